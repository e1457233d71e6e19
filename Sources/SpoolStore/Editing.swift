/// Replaces what a producer wrote, for a job that waits, is held or is dead. The record stays word for word, so the audit
/// log bears it out as before; a job that has none yet gets one, because with the copy the file's owner is lost, who tells
/// who submitted it.
///
///     a waiting job is claimed           nobody else can touch it then; a held or dead one nobody claims
///     stage   cur/.edit.ID, synced       crash: the file is as it was; the next start removes the copy
///     note    `edited`, durable          crash: the next start finds copy and line and completes the edit
///     publish renamed over the file      at that instant it is edited
///     a waiting job goes back to new/
package import JobModel

extension Operator {
  /// The text of a job as its producer wrote it, without the daemon's record; of a rejected file its own bytes.
  ///
  /// Throws `noSuchJob`, and `wrongState` when it runs or is done.
  package static func text(of id: String, in spool: Spool) throws(SpoolError) -> [UInt8] {
    let state = try editable(id, in: spool)
    guard let bytes = try spool.read(id, in: state, limit: 256 << 20) else {
      throw SpoolError(.noSuchJob, "\(id) is not in \(state.rawValue) any more")
    }
    guard let job = try? JobScanner.scan(bytes) else { return bytes }
    if job.isBare, state == .dead, let refused = spool.readRoot("dead/\(id).bad", limit: 256 << 20) { return refused }
    return job.original
  }

  /// Puts `text` in the place of what the producer wrote; returns where the job is afterwards.
  ///
  /// Throws `badJob` with the place of the fault, `noSuchJob`, `wrongState`, `noSpace`.
  package func edit(_ id: String, _ text: [UInt8]) throws(SpoolError) -> JobState {
    guard JobID.isValid(id) else {
      throw SpoolError(.noSuchJob, "\"\(id)\" is no job id: expected \(JobID.expected)")
    }
    var job = try Operator.checked(text, id: id, limit: maxJobBytes)
    if let payload = try transitions.sealing?(job) { job = job.replacing(payload: payload) }
    guard job.bytes.count <= maxJobBytes else {
      throw SpoolError(.badJob, "sealed, the job has \(job.bytes.count) bytes; max_job_bytes allows \(maxJobBytes)")
    }
    let state = try Operator.editable(id, in: transitions.spool)
    guard state == .new else {
      try replace(id, in: state, by: job)
      return state
    }
    // Before the claim's rename overwrites it: a delay goes on counting from there.
    let firstSeen = try firstSeen(id)
    guard let claim = try transitions.claim(id, limit: maxJobBytes) else {
      throw SpoolError(.noSuchJob, "\(id) is not waiting any more")
    }
    let uid = claim.uid
    let failure: SpoolError?
    do throws(SpoolError) {
      try replace(id, in: .cur, by: job, uid: uid, firstSeen: firstSeen)
      failure = nil
    } catch {
      failure = error
    }
    // Whatever happened, it goes back; what was dropped meanwhile under its id moves away first.
    if try !transitions.unclaim(claim) {
      try moveTwinAway(id)
      guard try transitions.unclaim(claim) else {
        throw SpoolError(.exists, "\(id) cannot go back to new: its place is taken again and again")
      }
    }
    if let failure { throw failure }
    return .new
  }

  private static func editable(_ id: String, in spool: Spool) throws(SpoolError) -> JobState {
    guard let state = try spool.state(of: id) else { throw SpoolError(.noSuchJob, "no job \(id) in \(spool.path)") }
    switch state {
    case .new, .hold, .dead: return state
    case .cur: throw SpoolError(.wrongState, "cannot edit \(id): it is running; cancel it first")
    case .done: throw SpoolError(.wrongState, "cannot edit \(id): it is done; submit a new job")
    }
  }

  /// The new text as a job, or why it is none.
  package static func checked(_ text: [UInt8], id: String, limit: Int) throws(SpoolError) -> Job {
    guard text.count <= limit else {
      throw SpoolError(.badJob, "the job has \(text.count) bytes; max_job_bytes allows \(limit)")
    }
    let job: Job
    do throws(JobProblem) { job = try JobScanner.scan(text, id: id) } catch {
      throw SpoolError(.badJob, error.description)
    }
    guard job.record == nil, job.subject == nil else {
      throw SpoolError(.badJob, "\"jobspool\" is the daemon's record, which stays as it is; leave it out")
    }
    guard !JobType.isReserved(job.type) else {
      throw SpoolError(.badJob, "types beginning with jobspool. are the program's own")
    }
    return job
  }

  private func replace(
    _ id: String, in state: JobState, by job: Job, uid: UInt32? = nil, firstSeen: WallTime? = nil
  ) throws(SpoolError) {
    guard let old = try transitions.spool.read(id, in: state, limit: 256 << 20) else {
      throw SpoolError(.noSuchJob, "\(id) is not in \(state.rawValue) any more")
    }
    let known = try? JobScanner.scan(old)
    var before = known.map { Digest.sha256($0.original) } ?? Digest.sha256(old)
    if let known, known.isBare { before = known.record?.sha256 ?? before }
    let record: [UInt8]
    if let kept = known?.recordBytes {
      record = kept
    } else {
      record = try newRecord(id, in: state, sha256: before, subject: known?.subject, uid: uid, firstSeen: firstSeen)
    }
    let new = Array(job.bytes[..<job.head]) + job.ending(record: record)
    try transitions.stageEdit(id, new)
    try transitions.audit.append(
      .edited, at: now, job: id, type: job.type, from: state == .cur ? .new : state, to: state == .cur ? .new : state,
      by: by
    ) { writer in
      writer.key("before")
      writer.string(before)
      writer.key("after")
      writer.string(Digest.sha256(job.bytes))
      writer.key("file")
      writer.string(Digest.sha256(new))
      if record.count > Limits.recordInAuditLine {
        writer.key("record_sha256")
        writer.string(Digest.sha256(record))
        if let known = Recovery.record(record) {
          writer.key("brief")
          known.writeBrief(to: &writer)
        }
      } else {
        writer.key("record")
        writer.raw(record)
      }
    }
    try transitions.audit.commit()
    try transitions.publishEdit(id, in: state)
  }

  private func newRecord(
    _ id: String, in state: JobState, sha256: String, subject: String?, uid: UInt32?, firstSeen: WallTime?
  ) throws(SpoolError) -> [UInt8] {
    let status: FileStatus
    do throws(Errno) {
      status = try transitions.spool.syscalls.status(transitions.spool.descriptor(state), JobID.fileName(id))
    } catch {
      throw SpoolError(doing: "looking at the job", path: transitions.spool.path(of: id, in: state), error)
    }
    let seen = firstSeen ?? WallTime(microseconds: status.changed)
    var record = JobRecord(id: id, state: .new, submittedAt: seen, updatedAt: now, node: transitions.node)
    var accounts = Accounts()
    let owner = uid ?? status.uid
    record.submittedBy = JobRecord.Submitter(
      uid: owner, user: accounts.name(of: owner), subject: accounts.mayVouch(owner) ? subject : nil)
    record.sha256 = sha256
    return record.json
  }

  private func moveTwinAway(_ id: String) throws(SpoolError) {
    let first = try transitions.droppedHash(id, in: .cur, limit: maxJobBytes)
    guard try !transitions.moveDirectoryAside(id, at: now) else { return }
    guard let twin = try transitions.claimTwin(id, at: now, limit: maxJobBytes) else { return }
    let settlement = transitions.judge(twin: twin, first: first, at: now, by: nil)
    try transitions.write(settlement)
    try transitions.note(settlement, at: now)
    try transitions.audit.commit()
    _ = try transitions.publish(settlement)
  }
}

extension Recovery {
  /// Edits whose line is durable and whose copy still lies in `cur/` are completed; other copies are removed. Before
  /// anything else looks at the jobs. A daemon of before version 1.0 staged them in `tmp/`.
  func completeEdits() throws(SpoolError) -> Int {
    try completeEdits(in: .cur) + completeEdits(in: .tmp)
  }

  private func completeEdits(in staging: Spool.Folder) throws(SpoolError) -> Int {
    var ids: [String] = []
    try Scan.names(of: staging, in: transitions.spool) { name in
      // What is not ours is no copy: producers may put anything into tmp/ under any name, and the sweeper sees to it.
      guard name.hasPrefix(Transitions.editPrefix), transitions.isOurs(name, in: staging) else { return }
      ids.append(String(name.dropFirst(Transitions.editPrefix.count)))
    }
    guard !ids.isEmpty else { return 0 }
    let traces = try AuditReader.traces(of: Set(ids), in: transitions.spool)
    var completed = 0
    for id in ids.sorted() {
      if let line = traces[id]?.settle, traces[id]?.last == .edited, let wanted = line["file"]?.string,
        let copy = transitions.spool.readRoot(
          "\(staging.rawValue)/\(Transitions.editPrefix)\(id)", limit: 256 << 20),
        Digest.sha256(copy) == wanted, let state = try transitions.spool.state(of: id), state != .done
      {
        try transitions.publishEdit(id, in: state, from: staging)
        completed += 1
      } else if staging == .tmp {
        try transitions.sweepStaged("\(Transitions.editPrefix)\(id)")
      }
    }
    return completed
  }
}
