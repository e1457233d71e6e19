/// From the agenda into `cur/`, and from there to a handler.
internal import JobModel
internal import JobSecrets
internal import SpoolStore

/// How many claims are begun together: as many as are soon done, because a turn does not end in the middle of them.
struct Burst {
  private(set) var size = 4

  private static let soon = Duration.milliseconds(Limits.turnMilliseconds / 2)

  mutating func learn(_ count: Int, took time: Duration) {
    guard count > 0 else { return }
    let fitting = Double(count) * (Burst.soon / max(time, .microseconds(1)))
    size = max(1, min(Int(min(fitting, 1e6)), size * 2, Limits.claimsAtOnce))
  }
}

extension Engine {
  // MARK: Jobs that run

  /// Begins to claim what may start now; `claim` goes on with it in the same turn.
  func beginClaims() {
    precondition(picked.isEmpty, "what was picked before is not claimed")
    guard drain == .no, !isBusy else { return }
    updatePause()
    _ = pick(now: effects.now())
  }

  /// Claims what may start now.
  func claim() {
    let end = turnEnd()
    let now = effects.now()
    var goesOn = drain == .no && !isBusy
    repeat {
      let began = EventLoop.now
      var picks = picked.makeIterator()
      while let move = claimer.next(startSome), let pick = picks.next() {
        do throws(SpoolError) {
          let isStarting = try begin(pick, try move.get(), now: now)
          if !isStarting { drop(pick, now: now) }
        } catch {
          drop(pick, now: now)
          lookAgain(pick)
          troubled(error)
          // Without this a disk that refuses every claim would be asked for ever.
          goesOn = false
        }
        updatePause()
      }
      // Each may be large and have a schema to be checked against.
      burst.learn(picked.count, took: EventLoop.now - began)
      picked = []
      if goesOn, EventLoop.now >= end {
        goesOn = false
        turnSoon()
      }
      if goesOn { goesOn = pick(now: now) }
    } while !picked.isEmpty
  }

  /// While others are being claimed: starts those that are, if it is worth a write to the log.
  private func startSome() {
    guard starting.count >= Limits.startedAtOnce else { return }
    flush()
    startClaimed()
  }

  /// Takes some that may start out of the agenda, and begins to claim them. False when the disk refuses.
  private func pick(now: WallTime) -> Bool {
    defer { claimer.begin(picked.map(\.id), limit: settings.daemon.maxJobBytes) }
    while picked.count < burst.size, let pick = agenda.next(now: now) {
      status.touch()
      do throws(SpoolError) {
        try catchUp(pick.id)
        if occupied[pick.id] == nil {
          picked.append(pick)
          continue
        }
        try settleTwin(pick.id, now: now)
        drop(pick, now: now)
      } catch {
        drop(pick, now: now)
        lookAgain(pick)
        troubled(error)
        updatePause()
        return false
      }
      updatePause()
    }
    return true
  }

  /// What the disk refused to claim goes on waiting since it was first seen, and is no new submission.
  private func lookAgain(_ pick: Agenda.Pick) {
    if held.count < Limits.heldRemembered { held[pick.id] = pick.firstSeen }
    incoming.append(pick.id)
  }

  /// Nothing of a pick will run: its places are free again.
  func drop(_ pick: Agenda.Pick, now: WallTime) {
    agenda.ended(pick.type)
    agenda.takeBack(pick)
    agenda.learn(pick.type, succeeded: nil, isTried: pick.isTried, now: now)
    if let value = pick.keys.serial { agenda.rested(pick.type, serial: value) }
  }

  /// One claim; false when nothing of it will run.
  private func begin(_ pick: Agenda.Pick, _ move: ClaimMove, now: WallTime) throws(SpoolError) -> Bool {
    let id = pick.id
    let file: ClaimedFile
    switch move {
    case .file(let claimed): file = claimed
    case .taken:
      try settleTwin(id, now: now)
      return false
    case .gone:
      // Taken away by its owner, or a directory.
      if try spool.exists(id, in: .new) { incoming.append(id) }
      return false
    }
    let claim = try transitions.accept(file, sharesSync: true)
    occupied[id] = claim.sha256
    expiries.remove(id)
    var record = JobRecord.taken(
      from: claim, submitter: submitter(claim.uid), firstSeen: pick.firstSeen, node: node)
    guard case .success(let job) = claim.content else {
      refuse(claim, record, now: now)
      return false
    }
    let isForged: Bool
    let history: JobRecord?
    do throws(SpoolError) {
      isForged = try self.isForged(id, job, by: claim.uid)
      history = file.replacesDead ? try historyOfDead(id) : nil
    } catch {
      try putBack(claim, firstSeen: pick.firstSeen)
      throw error
    }
    if isForged {
      try reject(claim, orRewind: id, now: now)
      return false
    }
    proven[id] = nil
    if let history, job.record == nil { record.adopt(history: history) }
    guard let handler = settings.handlers[job.type] else {
      // Its handler went since it was looked at; broken ones are never picked.
      judge(claim, job, record, now: now)
      return false
    }
    if let problem = refusal(of: job, claim.id, by: record.submittedBy ?? submitter(claim.uid)) {
      bury(claim, record, .rejected, problem.error, .reject, now: now)
      return false
    }
    guard agenda.types[pick.type].name == job.type, job.notBefore.map({ $0 <= now }) ?? true,
      job.expiry.map({ $0 >= now }) ?? true
    else {
      // Its owner replaced it since it was looked at.
      try putBack(claim, firstSeen: pick.firstSeen)
      return false
    }
    if pick.isRestored, !job.after.isEmpty, record.attempt == 0 {
      // What the checkpoint knew may be another file of this name; whether its parents are done is asked again.
      try putBack(claim, firstSeen: pick.firstSeen)
      return false
    }
    let number = record.attempt + 1
    if let adoption = claim.adoption, !adoption.isPlaced {
      let attempt = Attempt(
        claim: claim, typeNumber: pick.type, handler: handler, job: job, number: number, startedAt: now,
        record: record, isTried: pick.isTried)
      adopting.add(Adopting.Entry(attempt: attempt, adoption: adoption, pick: pick))
      return true
    }
    do throws(SpoolError) {
      try transitions.noteClaim(
        claim, type: job.type, attempt: number, waited: now - pick.readySince, rateKey: pick.keys.rate, at: now)
    } catch {
      try putBack(claim, firstSeen: pick.firstSeen)
      throw error
    }
    agenda.started(pick, at: now)
    if let value = pick.keys.serial { holding[id] = (pick.type, value) }
    starting.append(
      Attempt(
        claim: claim, typeNumber: pick.type, handler: handler, job: job, number: number, startedAt: now, record: record,
        isTried: pick.isTried))
    return true
  }

  /// - Parameter firstSeen: when it came into `new/`, as far as that is known.
  func putBack(_ claim: consuming Claim, firstSeen: WallTime? = nil) throws(SpoolError) {
    let id = claim.id
    let isCopy = claim.adoption?.isPlaced == true
    if case .success(let job) = claim.content, job.record == nil,
      isCopy && !accounts.isOwn(claim.uid) || job.isDelayed
    {
      // Adopted by the claim, it belongs to us now: put back as it is, it would count as ours, with all that we may. And
      // a delay would begin anew, since the renames have changed the only time the file itself tells.
      var record = JobRecord.taken(from: claim, submitter: submitter(claim.uid), firstSeen: firstSeen, node: node)
      record.state = .new
      return settling.add(Settlement(claim, .release, record))
    }
    if try transitions.unclaim(claim) {
      occupied[id] = nil
      incoming.append(id)
    } else {
      // A twin took its place: this file came first, so it is released like a run that was handed back.
      var record = JobRecord.taken(from: claim, submitter: submitter(claim.uid), node: node)
      record.state = .new
      settling.add(Settlement(claim, .release, record))
    }
  }

  /// The run of a job that is claimed to be run.
  func attempt(of id: String) -> Attempt? {
    running[id] ?? starting.first { $0.id == id } ?? adopting.attempt(id)
  }

  /// Starts what has its `claimed` line on the disk.
  func startClaimed() {
    guard !starting.isEmpty, !transitions.audit.hasPending else { return }
    if let until = carefulUntil {
      if EventLoop.now > until {
        carefulUntil = nil
      } else {
        // After an unclean start every run is durable before it begins, so that a job that takes the machine down with
        // it uses up its attempts.
        do throws(SpoolError) { try transitions.audit.commit(closing: !isCommitting) } catch { return troubled(error) }
      }
    }
    let attempts = starting
    starting.removeAll()
    for attempt in attempts { start(attempt) }
  }

  private func start(_ attempt: Attempt) {
    let policy = attempt.job.retryPolicy(attempt.handler.retry)
    let clear: Job
    do throws(SecretProblem) { clear = try opened(attempt.job) } catch {
      // It opened when it was claimed, so the key was changed since: the next look at it decides.
      return notStarted(attempt, StartProblem(.broken, error.message))
    }
    let request = AttemptRequest(
      id: attempt.id, attempt: attempt.number, maxAttempts: policy.maxAttempts, handler: attempt.handler,
      input: attempt.inputLine(clear), jobPath: spool.path(of: attempt.id, in: .cur), spoolPath: spool.path, node: node,
      logPath: spool.logPath(of: attempt.id), timeout: attempt.job.timeout ?? attempt.handler.timeout,
      stalledAfter: attempt.handler.stalledAfter, token: token, reader: attempt.record.submittedBy?.uid)
    do throws(StartProblem) {
      running[attempt.id] = attempt
      try runner.start(request) { [unowned self] event in attemptReported(attempt, event) }
      if !status.alerts.isEmpty { calm("handler:\(attempt.job.type)") }
      if attempt.isCancelled { runner.stop(attempt.id, reason: .cancelled) }
    } catch {
      notStarted(attempt, error)
    }
  }

  /// Nothing ran, so no attempt is burnt.
  func notStarted(_ attempt: Attempt, _ problem: StartProblem) {
    running[attempt.id] = nil
    agenda.ended(attempt.typeNumber)
    let type = attempt.job.type
    switch problem.kind {
    case .broken:
      agenda.markBroken(type, problem.message)
      raise("handler:\(type)", "\(type) is paused: \(problem.message)")
    case .busy:
      raise("busy", problem.message)
      restClaims()
    }
    release(attempt)
  }

  /// Nothing is claimed for a second: it would only be handed back, with work and lines in the log for every try.
  func restClaims() {
    guard !isBusy else { return }
    isBusy = true
    loop.after(.seconds(1)) { [unowned self] in
      isBusy = false
      calm("busy")
    }
  }

  /// What a dead job of this id went through, when a new file takes its place.
  private func historyOfDead(_ id: String) throws(SpoolError) -> JobRecord? {
    guard try spool.exists(id, in: .dead) else { return nil }
    guard let bytes = try spool.read(id, in: .dead, limit: 64 << 20), let job = try? JobScanner.scan(bytes) else {
      return nil
    }
    return job.record
  }
}

extension JobRecord {
  /// Takes over what an earlier job of this id went through.
  mutating func adopt(history: JobRecord) {
    attempts = history.attempts
  }
}
