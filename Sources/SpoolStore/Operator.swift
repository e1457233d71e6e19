/// What an operator may ask for, done to one job that does not run: by the daemon for requests in `ctl/`, by the command
/// line itself while no daemon holds the lock. Nothing is durable before `commitMoves()`, which the caller does once for
/// all jobs of a request.
package import JobModel

package enum OperatorVerb: String, Sendable, CaseIterable {
  case cancel, requeue, hold, release
  /// Removes a finished or held job for good; `rm` on the command line.
  case purge

  /// Where jobs lie that it fits; a few of those are refused all the same.
  package var states: Set<JobState> {
    switch self {
    case .cancel: [.new, .cur, .hold]
    case .requeue: [.done, .dead]
    case .hold: [.new]
    case .release: [.hold]
    case .purge: [.done, .dead, .hold]
    }
  }
}

package struct Operator {
  package let transitions: Transitions
  package let maxJobBytes: Int
  package let now: WallTime
  /// Who asked, as the audit log says it: `anna (uid 1000)`.
  package let by: String
  /// When the waiting job came in, if that is known better than its file tells.
  package var since: WallTime?

  package init(transitions: Transitions, maxJobBytes: Int, now: WallTime, by: String) {
    self.transitions = transitions
    self.maxJobBytes = maxJobBytes
    self.now = now
    self.by = by
  }

  /// Does it and returns where the job is afterwards; nil: gone.
  ///
  /// Throws `noSuchJob`, `wrongState` when the verb does not fit (running jobs are cancelled by the daemon's runner),
  /// `exists` when its place is taken.
  package func perform(_ verb: OperatorVerb, _ id: String) throws(SpoolError) -> JobState? {
    guard JobID.isValid(id) else {
      throw SpoolError(.noSuchJob, "\"\(id)\" is no job id: expected \(JobID.expected)")
    }
    guard let state = try transitions.spool.state(of: id) else {
      throw SpoolError(.noSuchJob, "no job \(id) in \(transitions.spool.path)")
    }
    func unfit(_ hint: String) -> SpoolError {
      SpoolError(
        .wrongState, "cannot \(verb == .purge ? "remove" : verb.rawValue) \(id): it is in \(state.rawValue); \(hint)")
    }
    let type = try? type(of: id, in: state)
    switch (verb, state) {
    case (.requeue, .dead) where type == "":
      // Only the record is there; as a job it could only be refused again.
      throw SpoolError(
        .wrongState,
        "cannot requeue \(id): what was dropped could not be read and lies in dead/\(id).bad; mend it and submit it anew"
      )
    case (.requeue, .dead), (.requeue, .done):
      try transitions.requeue(id, from: state, type: type, at: now, by: by)
      return .new
    case (.requeue, _): throw unfit("only done and dead jobs are requeued")
    case (.hold, .new):
      try keepDelay(of: id)
      try transitions.hold(id, type: type, at: now, by: by)
      return .hold
    case (.hold, _): throw unfit("only waiting jobs are held")
    case (.release, .hold):
      try transitions.unhold(id, type: type, at: now, by: by)
      return .new
    case (.release, _): throw unfit("only held jobs are released")
    case (.purge, .done), (.purge, .dead), (.purge, .hold):
      try transitions.purge(id, from: state, type: type, at: now, by: by, reason: "removed by an operator")
      return nil
    case (.purge, _): throw unfit("cancel it first")
    case (.cancel, .new): return try cancelWaiting(id)
    case (.cancel, .hold):
      try transitions.unhold(id, type: type, at: now, by: by)
      return try cancelWaiting(id)
    case (.cancel, .cur): throw unfit("it is running, which only the daemon can end")
    case (.cancel, _): throw unfit("it has ended already")
    }
  }

  /// A `delay` counts from when the job was first seen, which only the file's times tell until it has a record; the rename
  /// into `hold/` would overwrite them, and the delay would begin anew when it is released.
  private func keepDelay(of id: String) throws(SpoolError) {
    guard let bytes = try transitions.spool.read(id, in: .new, limit: maxJobBytes),
      let job = try? JobScanner.scan(bytes), job.isDelayed, job.record == nil
    else { return }
    let firstSeen = try firstSeen(id)
    guard let claim = try transitions.claim(id, limit: maxJobBytes) else {
      throw SpoolError(.noSuchJob, "\(id) is not waiting any more")
    }
    guard case .success(let claimed) = claim.content, claimed.record == nil else {
      // Its owner put something else in its place just now; that is held as it is.
      _ = try transitions.unclaim(claim)
      return
    }
    var accounts = Accounts()
    let submitter = JobRecord.Submitter(uid: claim.uid, user: accounts.name(of: claim.uid))
    var record = JobRecord.taken(from: claim, submitter: submitter, firstSeen: firstSeen, node: transitions.node)
    record.updatedAt = now
    let settlement = Settlement(claim, .release, record)
    do throws(SpoolError) {
      try transitions.write(settlement)
      try transitions.note(settlement, at: now, by: by)
      try transitions.audit.commit()
    } catch {
      // On a full disk the job would lie in cur/, which nobody looks at, until the next start.
      transitions.takeBack(settlement)
      throw error
    }
    guard try transitions.publish(settlement) else {
      throw SpoolError(.exists, "\(id) cannot be held: a file of the same name was dropped just now; try again")
    }
  }

  /// When a job in `new/` came there.
  func firstSeen(_ id: String) throws(SpoolError) -> WallTime {
    let spool = transitions.spool
    do throws(Errno) {
      let status = try spool.syscalls.status(spool.descriptor(JobState.new), JobID.fileName(id))
      return min(WallTime(microseconds: status.changed), since ?? .latest, now)
    } catch {
      if error == .noEntry { throw SpoolError(.noSuchJob, "\(id) is not waiting any more") }
      throw SpoolError(doing: "looking at the job", path: spool.path(of: id, in: .new), error)
    }
  }

  private func cancelWaiting(_ id: String) throws(SpoolError) -> JobState? {
    guard let claim = try transitions.claim(id, limit: maxJobBytes) else {
      throw SpoolError(.noSuchJob, "\(id) is not waiting any more")
    }
    var record = JobRecord.taken(from: claim, submitter: nil, node: transitions.node)
    // A record that the log does not bear out is nobody's, and this end must not make it a true one.
    var isForged = false
    if case .success(let job) = claim.content, let text = job.recordBytes {
      isForged = try AuditReader.traces(of: [id], in: transitions.spool)[id]?.bearsOut(text) != true
    }
    if isForged {
      record = JobRecord(
        id: id, state: .new, submittedAt: min(claim.firstSeen, now), updatedAt: now, node: transitions.node)
      record.sha256 = claim.sha256
    }
    record.state = .dead
    record.outcome = .cancelled
    record.error = JobError(code: "cancelled", message: "cancelled by \(by) before it ran")
    record.runAt = nil
    record.updatedAt = now
    record.finishedAt = now
    let settlement = Settlement(claim, .cancel, record, whole: isForged)
    try transitions.write(settlement)
    try transitions.note(settlement, at: now, by: by)
    try transitions.audit.commit()
    _ = try transitions.publish(settlement)
    return .dead
  }

  private func type(of id: String, in state: JobState) throws(SpoolError) -> String? {
    guard let bytes = try transitions.spool.read(id, in: state, limit: 16 << 20) else { return nil }
    return (try? JobScanner.scan(bytes))?.type
  }
}

extension JobRecord {
  /// The record a claimed job goes on with: its own, started over when it had ended before, or a fresh one.
  ///
  /// - Parameter firstSeen: when it came into `new/`, if known; the claim's rename has overwritten what the file told.
  package static func taken(
    from claim: borrowing Claim, submitter: Submitter?, firstSeen: WallTime? = nil, node: String
  ) -> JobRecord {
    var record: JobRecord
    if case .success(let job) = claim.content, let known = job.record {
      record = known
      record.startOverIfEnded(at: firstSeen ?? claim.firstSeen)
      record.id = claim.id
    } else {
      record = JobRecord(
        id: claim.id, state: .new, submittedAt: firstSeen ?? claim.firstSeen, updatedAt: claim.firstSeen, node: node)
    }
    if record.submittedBy == nil {
      record.submittedBy = submitter
      // Judged before: `Engine.isForged`.
      if case .success(let job) = claim.content, let subject = job.subject { record.submittedBy?.subject = subject }
    }
    record.sha256 = record.sha256 ?? claim.sha256
    record.node = node
    return record
  }
}
