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
    scan()
    scanControl()
  }

  private func arrived(fileName name: String) {
    guard let id = JobID.fromFileName(name) else { return reportOddName(name) }
    guard drain == .no else { return }
    incoming.append(id)
  }

  /// Files beginning with a dot are somebody's own business.
  private func reportOddName(_ name: String) {
    guard !name.hasPrefix("."), reported.insert("new/\(name)").inserted else { return }
    let shown = String(decoding: JSONValue.string(name).bytes, as: UTF8.self)
    raise("odd_name:\(name)", "new/ holds \(shown), which is no ID.json; it is left alone")
  }

  /// Lists `new/`: what is not known yet is looked at, what is gone is forgotten.
  func scan() {
    guard drain == .no else { return }
    var present = Set<String>()
    do throws(SpoolError) {
      try Scan.names(of: .new, in: spool) { name in
        guard let id = JobID.fromFileName(name) else { return reportOddName(name) }
        present.insert(id)
        if !agenda.contains(id) { incoming.append(id) }
      }
    } catch {
      return troubled(error)
    }
    for id in agenda.ids where !present.contains(id) { forget(id) }
    turnSoon()
  }

  private func forget(_ id: String) {
    agenda.remove(id)
    status.touch()
  }

  /// Looks at some of the names that came in; the rest waits for the next turn, so that jobs run while a deep backlog is
  /// still being read.
  func takeArrivals() {
    let limit = min(incoming.count, incomingNext + 512)
    let now = effects.now()
    unproven.removeAll(keepingCapacity: true)
    while incomingNext < limit {
      let id = incoming[incomingNext]
      incomingNext += 1
      do throws(SpoolError) { try look(at: id, now: now) } catch {
        // No descriptor or no memory just now; the next scan finds it again.
        troubled(error)
      }
    }
    if !unproven.isEmpty { prove(unproven) }
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
    if controlIsDue { scanControl() }
  }

  private func look(at id: String, now: WallTime) throws(SpoolError) {
    switch try spool.peek(id, limit: settings.daemon.maxJobBytes, now: now) {
    case .gone:
      forget(id)
    case .directory:
      forget(id)
      guard reported.insert("new/\(id).json/").inserted else { return }
      raise("odd_name:\(id)", "new/\(id).json is a directory; it is left alone")
    case .young:
      // Someone may be copying; the end of the copy is an event of its own, and this is for those that send none.
      guard young.insert(id).inserted else { return }
      loop.after(.milliseconds(Limits.youngFileMilliseconds + 50)) { [unowned self] in
        young.remove(id)
        incoming.append(id)
      }
    case .faulty:
      announce(id, type: nil, now: now)
      agenda.insertForJudgement(id)
    case .job(let job, let firstSeen, let uid):
      try place(id, job, firstSeen: firstSeen, uid: uid, now: now)
    }
    status.touch()
  }

  /// Puts a job that can be read onto the agenda.
  private func place(
    _ id: String, _ job: Job, firstSeen: WallTime, uid: UInt32, now: WallTime
  ) throws(SpoolError) {
    let isTwin = try isTwin(id)
    if !isTwin { announce(id, type: job.type, record: job.record, firstSeen: firstSeen, uid: uid, now: now) }
    let isKnown = settings.handlers[job.type] != nil || settings.broken[job.type] != nil
    let isExpired = job.expiry.map { $0 < now } ?? false
    guard !isTwin, isKnown, !isExpired else { return agenda.insertForJudgement(id) }
    if job.record != nil, proven[id] == nil { unproven.append(id) }
    let due = job.due(firstSeen: firstSeen)
    agenda.insert(id, type: job.type, priority: job.priority, due: due, firstSeen: firstSeen, now: now)
    if let expiry = job.expiry {
      // Its own end may come before its turn.
      loop.after(max(.milliseconds(1), min(expiry - now + .milliseconds(1), .seconds(3600)))) { [unowned self] in
        if agenda.contains(id) { incoming.append(id) }
      }
    }
  }

  /// Whether this id is taken by a job that runs, is held, or is done. One in `dead/` may run again.
  func isTwin(_ id: String) throws(SpoolError) -> Bool {
    if occupied[id] != nil { return true }
    if try spool.exists(id, in: .done) { return true }
    if try spool.exists(id, in: .hold) { return true }
    return try spool.exists(id, in: .cur)
  }

  /// The first line about a job, and the line about one an administrator moved back with `mv`.
  private func announce(
    _ id: String, type: String?, record: JobRecord? = nil, firstSeen: WallTime? = nil, uid: UInt32? = nil, now: WallTime
  ) {
    do throws(SpoolError) {
      if let record, record.state == .dead || record.state == .done {
        guard announced.remove(id) != nil || !agenda.contains(id) else { return }
        try transitions.audit.append(
          .requeued, at: now, job: id, type: type, from: record.state, to: .new, by: "mv")
        // A run that begins in this turn must find this line before its own, whatever happens.
        try transitions.audit.flush()
        return
      }
      guard announced.remove(id) == nil, !agenda.contains(id), record == nil else { return }
      let user = uid.map { accounts.name(of: $0) }
      try transitions.audit.append(.submitted, at: now, job: id, type: type, to: .new, by: user ?? "unknown") { writer in
        if let uid {
          writer.key("uid")
          writer.int(uid)
        }
        if let firstSeen {
          writer.key("submitted_at")
          writer.time(firstSeen)
        }
      }
    } catch {
      troubled(error)
    }
  }
}
