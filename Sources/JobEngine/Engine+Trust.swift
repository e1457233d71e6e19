/// Whose a job is, and whether its record is one of ours.
internal import JobModel
internal import SpoolStore

extension Engine {
  /// Whether the audit log bears out a record found in a file.
  private func isProven(_ id: String, _ text: [UInt8]) throws(SpoolError) -> Bool {
    // What is remembered may be older than the file: then the log decides.
    if let known = proven[id], known == Digest.sha256(text) { return true }
    if unheardOf.remove(id) != nil { return false }
    guard let trace = try AuditReader.traces(of: [id], in: spool, index: index)[id] else { return false }
    return trace.bearsOut(text)
  }

  /// Whether the job brings a record that nobody here wrote. To be asked before any record is written into the file: its
  /// line in the log would make the forged one a true one.
  ///
  /// - Parameter uid: the file's owner as it was dropped.
  func isForged(_ id: String, _ job: Job, by uid: UInt32) throws(SpoolError) -> Bool {
    if job.subject != nil { return !accounts.mayVouch(uid) }
    guard let text = job.recordBytes else { return false }
    return try !isProven(id, text)
  }

  /// After a power cut the record may be one of ours whose line got lost: then it goes back as it was before that run.
  func reject(_ claim: consuming Claim, orRewind id: String, now: WallTime) throws(SpoolError) {
    let record = transitions.mendsTorn ? try AuditReader.traces(of: [id], in: spool, index: index)[id]?.record : nil
    guard try transitions.rewind(claim, to: record) else { return rejectForged(claim, now: now) }
    if try !transitions.unclaim(claim) {
      // Somebody dropped the same id meanwhile.
      try settleTwin(id, now: now)
      guard try transitions.unclaim(claim) else {
        throw SpoolError(
          .exists, "\(id) cannot go back to new: its place is taken again and again",
          path: spool.path(of: id, in: .new))
      }
    }
    occupied[id] = nil
    incoming.append(id)
    turnSoon()
  }

  /// Nothing of the record is believed, so nothing of it is kept but the bytes beside it.
  func rejectForged(_ claim: consuming Claim, now: WallTime) {
    let problem = JobProblem(
      .forgedRecord, "the file has a \"jobspool\" record that the audit log does not know; drop the job without it",
      key: "jobspool")
    var record = JobRecord(
      id: claim.id, state: .new, submittedAt: min(claim.firstSeen, now), updatedAt: now, node: node)
    record.submittedBy = submitter(claim.uid)
    record.sha256 = claim.sha256
    bury(claim, record, .rejected, problem.error, .reject, now: now, whole: true)
  }

  func submitter(_ uid: UInt32) -> JobRecord.Submitter {
    JobRecord.Submitter(uid: uid, user: accounts.name(of: uid))
  }
}
