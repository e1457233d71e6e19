/// What is claimed only to be refused: jobs that nobody handles, that come too late, that are not as they should be, and twins.
internal import JobModel
internal import SpoolStore

extension Engine {
  /// Claims what has to be refused; no limit holds this up.
  func judge() {
    guard !isLowOnDisk, drain == .no else { return }
    let now = effects.now()
    let end = turnEnd()
    var budget = 256
    while budget > 0, settling.count < Limits.settlesWaiting, settling.fresh.count < Limits.refusalsPerTurn,
      let id = agenda.nextForJudgement()
    {
      budget -= 1
      do throws(SpoolError) { try judge(id, now: now) } catch {
        incoming.append(id)
        return troubled(error)
      }
      if EventLoop.now >= end { budget = 0 }
    }
    if budget == 0 || settling.fresh.count >= Limits.refusalsPerTurn { turnSoon() }
  }

  private func judge(_ id: String, now: WallTime) throws(SpoolError) {
    status.touch()
    if try isTwin(id) {
      condemned[id] = nil
      return try settleTwin(id, now: now)
    }
    guard let claim = try transitions.claim(id, limit: settings.daemon.maxJobBytes, sharesSync: true) else {
      condemned[id] = nil
      return
    }
    occupied[id] = claim.sha256
    if case .success(let job) = claim.content {
      let isForged: Bool
      do throws(SpoolError) { isForged = try self.isForged(id, job, by: claim.uid) } catch {
        try putBack(claim)
        throw error
      }
      if isForged { return try reject(claim, orRewind: id, now: now) }
    }
    let record = JobRecord.taken(from: claim, submitter: submitter(claim.uid), node: node)
    switch claim.content {
    case .failure: refuse(claim, record, now: now)
    case .success(let job): judge(claim, job, record, now: now)
    }
  }

  /// A job that can be read: expired, or of a type nobody handles. If neither is true any more, it goes back.
  func judge(_ claim: consuming Claim, _ job: Job, _ record: JobRecord, now: WallTime) {
    if let sentence = condemned.removeValue(forKey: claim.id) {
      return bury(claim, record, sentence.outcome, sentence.error, sentence.transition, now: now)
    }
    if let expiry = job.expiry, expiry < now {
      let error = JobError(
        code: "expired", message: "it had not started by \(expiry.rfc3339)",
        details: Array("{\"expires_at\":\"\(expiry.rfc3339)\"}".utf8))
      return bury(claim, record, .expired, error, .expire, now: now)
    }
    if let problem = refusal(of: job, claim.id, by: record.submittedBy ?? submitter(claim.uid)) {
      return bury(claim, record, .rejected, problem.error, .reject, now: now)
    }
    guard !isKnown(job.type) else {
      do throws(SpoolError) { try putBack(claim) } catch { troubled(error) }
      return
    }
    let near = Spelling.nearest(to: job.type, among: settings.handlers.keys).map { "; did you mean \"\($0)\"?" } ?? ""
    let problem = JobProblem(
      .unknownType, "no handler for the type \"\(job.type)\": there is no handlers/\(job.type).toml\(near)", key: "type"
    )
    bury(claim, record, .rejected, problem.error, .reject, now: now)
  }

  func refuse(_ claim: consuming Claim, _ record: JobRecord, now: WallTime) {
    guard case .failure(let problem) = claim.content else { preconditionFailure("only refused claims come here") }
    bury(claim, record, .rejected, problem.error, .reject, now: now)
  }

  func bury(
    _ claim: consuming Claim, _ record: JobRecord, _ outcome: JobOutcome, _ error: JobError, _ transition: Transition,
    now: WallTime, whole: Bool = false
  ) {
    var record = record
    record.state = .dead
    record.outcome = outcome
    record.error = error
    record.runAt = nil
    record.updatedAt = now
    record.finishedAt = now
    settling.add(Settlement(claim, transition, record, whole: whole))
  }

  // MARK: Twins

  /// Claims a file whose id is taken under a fresh one, and judges it.
  func settleTwin(_ id: String, now: WallTime) throws(SpoolError) {
    var first = occupied[id]
    for state in [JobState.done, .hold, .cur] where first == nil {
      if try spool.exists(id, in: state) {
        first = try transitions.droppedHash(id, in: state, limit: settings.daemon.maxJobBytes)
      }
    }
    guard let claim = try transitions.claimTwin(id, at: now, limit: settings.daemon.maxJobBytes) else { return }
    occupied[claim.id] = claim.sha256
    let submitter = submitter(claim.uid)
    settling.add(transitions.judge(twin: claim, first: first, at: now, by: submitter))
  }
}
