/// What a start does to files that a power cut left otherwise than the log says.
internal import Glibc
internal import JobModel

extension Transitions {
  /// Cuts a file (in `cur/`, unless a power cut tore it later) back to what the producer wrote and puts `record` in again,
  /// or none: for recovery, when a crash tore a record or left one whose end was never durable. `tail` is what stood
  /// behind the place of the record. Returns a problem, and changes nothing, when the producer's own part is damaged.
  func restore(
    _ id: String, in state: JobState = .cur, head: Int, tail: [UInt8], record: [UInt8]?
  ) throws(SpoolError) -> JobProblem? {
    guard let bytes = try spool.read(id, in: state, limit: head) else { return nil }
    let prefix = Array(bytes.prefix(head))
    let bare = prefix + tail
    let job: Job
    do throws(JobProblem) { job = try JobScanner.scan(bare) } catch {
      guard error.code == .missingType else { return error }
      job = Job(bytes: bare, type: "", head: head, tail: head)
    }
    // By a copy, in one step: half of it would be a file that no line of the log explains.
    let whole = prefix + (record.map { job.ending(record: $0) } ?? tail)
    let copy = try stage(id, whole, in: state, for: Transitions.submitter(in: whole))
    defer { syscalls.close(copy.fileDescriptor) }
    try complete([copy])
    return nil
  }

  /// Takes a record that no line of the log bears out off a claimed file again, and puts back the one before it: after a
  /// power cut the file may have what a run wrote without the rename and the line of that run. false: it stays as it was.
  package func rewind(_ claim: borrowing Claim, to record: [UInt8]?) throws(SpoolError) -> Bool {
    guard mendsTorn, claim.uid == uid, case .success(let job) = claim.content else { return false }
    return try restore(claim.id, head: job.head, tail: Array(job.bytes[job.tail...]), record: record) == nil
  }

  /// Puts the record of a durable end where its file was, when a power cut took what the producer wrote: who syncs nothing
  /// may lose a job, but not an end that was to be seen. What is left of the file goes to `dead/ID.bad`.
  func standIn(_ id: String, in state: JobState, record: JobRecord) throws(SpoolError) {
    try stageBare(id, record: record, for: uid)
    let target = spool.descriptor(state)
    do throws(Errno) {
      do throws(Errno) {
        if try syscalls.status(target, JobID.fileName(id)).size > 0 {
          try syscalls.rename(
            target, JobID.fileName(id), to: spool.descriptor(JobState.dead), "\(id).bad", replacing: true)
        }
      } catch {
        guard error == .noEntry else { throw error }
      }
      try syscalls.rename(
        spool.descriptor(JobState.cur), "\(Transitions.barePrefix)\(id)", to: target, JobID.fileName(id),
        replacing: true)
    } catch {
      throw SpoolError(doing: "putting the record in the place of the job", path: spool.path(of: id, in: state), error)
    }
  }

  /// Puts a file whose durable end was not followed by the rename of its claim, back where the rest of a start looks.
  func takeUp(_ id: String) throws(SpoolError) -> Bool { try move(id, .new, .cur) }
}
