/// How names become waiting jobs: from the watcher, and from scans, which are the truth.
internal import JobModel
internal import SpoolStore

extension Engine {
  /// The watcher saw a file appear.
  package func arrived(_ name: String, in folder: String) {
    switch folder {
    case Spool.Folder.new.rawValue: arrived(fileName: name)
    case Spool.Folder.ctl.rawValue: controlIsDue = true
    default: break
    }
  }

  /// The watcher lost track, or begins: look at everything.
  package func lookAgain() {
    checkFolders()
    guard !isAdrift else { return }
    scan()
    scanControl()
  }

  private func arrived(fileName name: String) {
    guard let id = JobID.fromFileName(name) else { return reportOddName(name) }
    guard drain == .no else { return }
    // In a flood the names stay where they are: a scan finds them when these have been looked at.
    guard incoming.count - incomingNext < Limits.namesWaiting else {
      scanning.isOwed = true
      return
    }
    incoming.append(id)
  }

  /// Files beginning with a dot are somebody's own business.
  func reportOddName(_ name: String) {
    guard !name.hasPrefix(".") else { return }
    let shown = String(decoding: JSONValue.string(name).bytes, as: UTF8.self)
    reportOnce(name, "new/ holds \(shown), which is no ID.json; it is left alone")
  }

  /// Says once that a name is left alone. Whoever may write in `new/` may leave any number there, so only so many are
  /// named.
  private func reportOnce(_ name: String, _ message: String) {
    guard !reported.contains(name) else { return }
    guard reported.count < Limits.namesReported else {
      return raise(
        "odd_names", "new/ holds more than \(Limits.namesReported) names that are no jobs; they are left alone")
    }
    reported.insert(name)
    raise("odd_name:\(name)", message)
  }

  /// One that is set aside goes on waiting from when it first came, and comes back as what it was: no new submission.
  private func rememberHeld(_ id: String) {
    guard let since = agenda.firstSeen(id), held.count < Limits.heldRemembered,
      (try? spool.exists(id, in: .hold)) == true
    else { return }
    held[id] = since
  }

  func forget(_ id: String) {
    if held[id] != nil, (try? spool.exists(id, in: .hold)) == false { held[id] = nil }
    rememberHeld(id)
    agenda.remove(id)
    expiries.remove(id)
    requeued.remove(id)
    refusedBefore.remove(id)
    unheardOf.remove(id)
    slowArrivals.forgetVerdict(on: id)
    flows.unblock(id)
    waitingFor[id] = nil
    condemned[id] = nil
    if flows.count > 0, occupied[id] == nil, (try? spool.state(of: id)) == .some(nil) { flows.vanished(id) }
    if occupied[id] == nil { notices.deadlines.remove(id) }
    status.touch()
  }

  /// Looks at some of the names that came in; the rest waits for the next turn, so that jobs run while a deep backlog is
  /// still being read.
  func takeArrivals() {
    guard restoring == nil else { return }
    let limit = min(incoming.count, incomingNext + 512)
    let end = turnEnd()
    let now = effects.now()
    unproven.removeAll(keepingCapacity: true)
    while incomingNext < limit {
      let id = incoming[incomingNext]
      incomingNext += 1
      takeUp(id, now: now)
      // They may be large, or the disk slow; what runs does not wait for that.
      if EventLoop.now >= end { break }
    }
    takeSlowArrivals(now: now)
    if !unproven.isEmpty {
      prove(unproven)
      // They will be refused whatever else they say, and nobody's job waits behind them for that.
      for id in unproven where unheardOf.contains(id) && agenda.contains(id) { agenda.insertForJudgement(id) }
    }
    do throws(SpoolError) { try resolveBlocked(now: now) } catch { troubled(error) }
    if incomingNext == incoming.count {
      incoming.removeAll(keepingCapacity: incoming.count < 4096)
      incomingNext = 0
    } else {
      if incomingNext > 65_536 {
        incoming.removeFirst(incomingNext)
        incomingNext = 0
      }
      turnSoon()
    }
    if controlIsDue { scanControl() } else { takeRequests() }
    finishBatches()
  }

  /// Large files, when no other name waits to be looked at; a flood of those holds them up for a second at most.
  private func takeSlowArrivals(now: WallTime) {
    guard !slowArrivals.isEmpty, drain == .no else { return }
    turnSoon()
    guard incomingNext == incoming.count || EventLoop.now >= slowArrivals.due else { return }
    let end = turnEnd()
    repeat {
      guard let id = slowArrivals.take() else { break }
      takeUp(id, now: now)
    } while EventLoop.now < end
    slowArrivals.rest(until: EventLoop.now + .seconds(1))
  }

  private func takeUp(_ id: String, now: WallTime) {
    do throws(SpoolError) { try look(at: id, now: now) } catch {
      // No descriptor or no memory just now; the next scan finds it again.
      scanning.settled = nil
      troubled(error)
    }
  }

  /// When the part of a turn that begins now is over.
  func turnEnd() -> Duration { EventLoop.now + turnLength }

  func look(at id: String, now: WallTime) throws(SpoolError) {
    if slowArrivals.contains(id) || isSetAside(id) { return }
    switch try spool.peek(id, limit: settings.daemon.maxJobBytes, now: now) {
    case .gone:
      forget(id)
    case .directory:
      forget(id)
      reportOnce(JobID.fileName(id), "new/\(id).json is a directory; it is left alone")
    case .young:
      // Someone may be copying; the end of the copy is an event of its own, and this is for those that send none.
      guard young.insert(id).inserted else { return }
      loop.after(.milliseconds(Limits.youngFileMilliseconds + 50)) { [unowned self] in
        young.remove(id)
        incoming.append(id)
      }
    case .faulty:
      announceFaulty(id, now: now)
      agenda.insertForJudgement(id)
    case .job(let job, let firstSeen, let uid, let inode):
      try place(id, job, firstSeen: firstSeen, uid: uid, inode: inode, now: now)
    }
    status.touch()
  }

  /// Whether it is large, and therefore looked at later.
  private func isSetAside(_ id: String) -> Bool {
    guard slowArrivals.current != id,
      let status = try? spool.syscalls.status(spool.descriptor(JobState.new), JobID.fileName(id)),
      status.kind == .regular, status.size > Limits.checkedAtOnce
    else { return false }
    // As with names: beyond so many a scan finds them.
    if slowArrivals.count < Limits.namesWaiting { slowArrivals.add(id) } else { scanning.isOwed = true }
    turnSoon()
    return true
  }

  /// Puts a job that can be read onto the agenda.
  private func place(
    _ id: String, _ job: Job, firstSeen: WallTime, uid: UInt32, inode: UInt64, now: WallTime
  ) throws(SpoolError) {
    // A clock that was set back must not make a job wait until it has caught up.
    let since = held.removeValue(forKey: id)
    let firstSeen = min(firstSeen, now, since ?? .latest)
    let isTwin = try isTwin(id)
    let isKnown = isKnown(job.type)
    if !isTwin { noteFiring(id) }
    // One that will be refused is a member too, until it has been.
    if !isTwin, let batch = job.batch, flows.isWatched(batch: batch) { flows.member(id, of: batch, .open) }
    // Seen once more (an event and a scan) before it was refused; it is not counted twice, and not let in.
    if !isTwin, condemned[id]?.outcome == .rateLimited { return agenda.insertForJudgement(id) }
    let isNews = !isTwin && since == nil && announces(id, job.record)
    var submitter = job.record?.submittedBy ?? submitter(uid)
    if job.record == nil { submitter.subject = job.subject }
    if !isTwin, refusal(of: job, id, by: submitter) != nil {
      if isNews { announce(id, job, firstSeen: firstSeen, uid: uid, key: nil, now: now) }
      return agenda.insertForJudgement(id)
    }
    // One that comes back, by requeue or mv, has a record; it was a submission once.
    let key = isNews && job.record == nil ? submissionKey(of: job) : nil
    if let key, let until = refusal(job.type, key: key, at: now) {
      condemn(id, job.type, "; it takes another at \(until.rfc3339)")
      announce(id, job, firstSeen: firstSeen, uid: uid, key: nil, isRefused: true, now: now)
      return agenda.insertForJudgement(id)
    }
    if refusedBefore.remove(id) != nil, !isTwin, job.record == nil {
      condemn(id, job.type, "")
      return agenda.insertForJudgement(id)
    }
    if isNews { announce(id, job, firstSeen: firstSeen, uid: uid, key: key, now: now) }
    let isExpired = job.expiry.map { $0 < now } ?? false
    guard !isTwin, isKnown, !isExpired else { return agenda.insertForJudgement(id) }
    if job.record != nil, proven[id] == nil { unproven.append(id) }
    if let expiry = job.expiry {
      // Its own end may come before its turn.
      expiries.set(id, expiry + .milliseconds(1))
    }
    watchDeadline(id, job, firstSeen: firstSeen)
    guard job.after.isEmpty || job.record?.attempt ?? 0 > 0 else {
      return placeBlocked(BlockedArrival(id: id, job: job, firstSeen: firstSeen))
    }
    enter(
      id, job, due: job.due(firstSeen: firstSeen, now: now), firstSeen: firstSeen, inode: inode, now: now)
  }

  /// One submission too many.
  private func condemn(_ id: String, _ type: String, _ more: String) {
    let rate = settings.handlers[type]?.rate?.rate.words ?? "fewer"
    condemned[id] = (
      .rateLimited, .reject,
      JobError(code: "rate_limited", message: "\(type) takes \(rate), and that many were submitted\(more)")
    )
  }

  /// Onto the agenda: from now on limits and time decide.
  func enter(_ id: String, _ job: Job, due: WallTime, firstSeen: WallTime, inode: UInt64 = 0, now: WallTime) {
    checkpointing.arrivals += 1
    agenda.insert(
      id, type: job.type, priority: job.priority, due: due, firstSeen: firstSeen, keys: keys(of: job), inode: inode,
      hasMore: job.expiry != nil || notices.deadlines[id] != nil, now: now)
  }

  /// Whether this id is taken by a job that runs, is held, or is done. One in `dead/` may run again.
  func isTwin(_ id: String) throws(SpoolError) -> Bool {
    try catchUp(id)
    if occupied[id] != nil { return true }
    if try spool.exists(id, in: .done) { return true }
    if try spool.exists(id, in: .hold) { return true }
    return try spool.exists(id, in: .cur)
  }

  /// Whether the log has to be told of this file: a new job, or one an administrator moved back with `mv`.
  private func announces(_ id: String, _ record: JobRecord?) -> Bool {
    if announced.contains(id) {
      announced.remove(id)
      return record?.state == .dead || record?.state == .done
    }
    if agenda.contains(id) { return false }
    return record.map { $0.state != .new } ?? true
  }

  private func announce(
    _ id: String, _ job: Job?, firstSeen: WallTime, uid: UInt32, key: UInt64?, isRefused: Bool = false, now: WallTime
  ) {
    unheardOf.remove(id)
    do throws(SpoolError) {
      if let record = job?.record, record.state == .dead || record.state == .done {
        if try wasRequeued(id) { return }
        try transitions.audit.append(
          .requeued, at: now, job: id, type: job?.type, from: record.state, to: .new, by: "mv")
        // A run that begins in this turn must find this line before its own, whatever happens.
        return try transitions.audit.flush()
      }
      let user = accounts.name(of: uid)
      try transitions.audit.append(.submitted, at: now, job: id, type: job?.type, to: .new, by: user) { writer in
        writer.key("uid")
        writer.int(uid)
        writer.key("submitted_at")
        writer.time(firstSeen)
        if let subject = job?.subject, accounts.mayVouch(uid) {
          writer.key("subject")
          writer.string(subject)
        }
        if let job { Engine.describe(job, firstSeen: firstSeen, &writer) }
        if let key {
          writer.key("rate_key")
          writer.string(String(key, radix: 16))
        }
        if isRefused {
          // A crash before it is judged must not let it in.
          writer.key("refused")
          writer.string(JobOutcome.rateLimited.rawValue)
        }
      }
    } catch {
      troubled(error)
    }
  }

  /// Whether an operator's verb moved it, whose line the log has: one of this daemon's, or before it started.
  private func wasRequeued(_ id: String) throws(SpoolError) -> Bool {
    if requeued.remove(id) != nil { return true }
    return try AuditReader.traces(of: [id], in: spool, index: index)[id]?.last == .requeued
  }

  /// What makes a job findable in the log: lists, batches and flows live on it.
  private static func describe(_ job: Job, firstSeen: WallTime, _ writer: inout JSONWriter) {
    if job.start != .now {
      writer.key("due")
      writer.time(job.due(firstSeen: firstSeen))
    }
    if !job.after.isEmpty {
      writer.key("after")
      let names = job.after.map { parent in
        switch parent {
        case .job(let id): id
        case .batch(let name): "batch:\(name)"
        }
      }
      // A longer list is in the file alone.
      let isShort = names.reduce(0) { $0 + $1.utf8.count + 3 } <= 4096
      writer.value(isShort ? .array(names.map { .string($0) }) : .bool(true))
      if job.onParentDead == .run {
        writer.key("on_parent_dead")
        writer.string("run")
      }
    }
    if job.priority != 5 {
      writer.key("priority")
      writer.int(job.priority)
    }
    if let batch = job.batch {
      writer.key("batch")
      writer.string(batch)
    }
    if let parent = job.parent {
      writer.key("parent")
      writer.string(parent)
    }
    if !job.tags.isEmpty {
      writer.key("tags")
      writer.value(.array(job.tags.map { .string($0) }))
    }
    if let meta = job.meta, meta.count <= 1024 {
      writer.key("meta")
      writer.raw(job.bytes[meta].map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
    }
  }

  /// A file that cannot be read as a job still came in.
  private func announceFaulty(_ id: String, now: WallTime) {
    guard announces(id, nil) else { return }
    let status = try? spool.syscalls.status(spool.descriptor(JobState.new), JobID.fileName(id))
    announce(
      id, nil, firstSeen: status.map { WallTime(microseconds: $0.changed) } ?? now, uid: status?.uid ?? 0, key: nil,
      now: now)
  }
}
