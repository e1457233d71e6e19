/// The copy by which an edit replaces what the producer wrote: staged and durable first, published by one rename once its
/// line is in the log.
internal import Glibc
internal import JobModel

extension Transitions {
  /// Puts a waiting job back that was claimed to have a record, which it could not get: as it was, without one. What
  /// cannot be done now is left to the next start, which does the same.
  func takeBack(_ settlement: Settlement) {
    guard case .success(let job) = settlement.claim.content else { return }
    let tail = Array(job.bytes[job.tail...])
    guard (try? restore(settlement.id, head: job.head, tail: tail, record: nil)) == .some(nil) else { return }
    _ = try? putBack(settlement.id)
  }

  /// How the copies of edits begin in `cur/`.
  static let editPrefix = ".edit."

  /// Whose job a text of ours says it is.
  static func submitter(in bytes: [UInt8]) -> UInt32? {
    (try? JobScanner.scan(bytes))?.record?.submittedBy?.uid
  }

  /// A regular file of ours with no other name lies there under this one.
  func isOurs(_ name: String, in folder: Spool.Folder) -> Bool {
    guard let status = try? syscalls.status(spool.descriptor(folder), name) else { return false }
    return status.kind == .regular && status.uid == uid && status.links == 1
  }

  /// Writes the edited file, whole and durable, where no producer may create names.
  func stageEdit(_ id: String, _ bytes: [UInt8]) throws(SpoolError) {
    let name = "\(Transitions.editPrefix)\(id)"
    do throws(Errno) {
      let fd = try createBeside(name)
      defer { syscalls.close(fd) }
      try syscalls.write(fd, bytes, offset: 0)
      try syscalls.share(fd, with: Transitions.submitter(in: bytes))
      try syscalls.sync(fd)
      try syscalls.sync(spool.descriptor(JobState.cur))
    } catch {
      throw SpoolError(doing: "writing the edited job", path: "\(spool.path)/cur/\(name)", error)
    }
  }

  /// Puts the staged file in the place of the job, durably. The bytes of a file that had been refused go with the old one.
  func publishEdit(_ id: String, in state: JobState, from staging: Spool.Folder = .cur) throws(SpoolError) {
    let folder = spool.descriptor(state)
    do throws(Errno) {
      try syscalls.rename(
        spool.descriptor(staging), "\(Transitions.editPrefix)\(id)", to: folder, JobID.fileName(id),
        replacing: true)
      if state == .dead {
        do throws(Errno) { try syscalls.unlink(folder, "\(id).bad") } catch { if error != .noEntry { throw error } }
      }
      try syscalls.sync(folder)
    } catch {
      throw SpoolError(doing: "putting the edited job in its place", path: spool.path(of: id, in: state), error)
    }
  }
}
