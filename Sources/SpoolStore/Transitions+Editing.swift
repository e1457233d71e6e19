/// The copy by which an edit replaces what the producer wrote: staged and durable first, published by one rename once its
/// line is in the log.
internal import Glibc
internal import JobModel

extension Transitions {
  /// How the copies of edits begin in `tmp/`.
  static let editPrefix = ".edit."

  /// Whose job a text of ours says it is.
  static func submitter(in bytes: [UInt8]) -> UInt32? {
    (try? JobScanner.scan(bytes))?.record?.submittedBy?.uid
  }

  /// A regular file of ours with no other name lies in `tmp/` under this one.
  func isOurs(staged name: String) -> Bool {
    guard let status = try? syscalls.status(spool.descriptor(Spool.Folder.tmp), name) else { return false }
    return status.kind == .regular && status.uid == uid && status.links == 1
  }

  /// Writes the edited file, whole and durable, beside the spool's folders of jobs.
  func stageEdit(_ id: String, _ bytes: [UInt8]) throws(SpoolError) {
    let name = "\(Transitions.editPrefix)\(id)"
    let tmp = spool.descriptor(Spool.Folder.tmp)
    do throws(Errno) {
      try clear(tmp, name)
      let fd = try syscalls.open(tmp, name, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o640)
      defer { syscalls.close(fd) }
      try syscalls.write(fd, bytes, offset: 0)
      try syscalls.share(fd, with: Transitions.submitter(in: bytes))
      try syscalls.sync(fd)
      try syscalls.sync(tmp)
    } catch {
      throw SpoolError(doing: "writing the edited job", path: "\(spool.path)/tmp/\(name)", error)
    }
  }

  /// Puts the staged file in the place of the job, durably. The bytes of a file that had been refused go with the old one.
  func publishEdit(_ id: String, in state: JobState) throws(SpoolError) {
    let folder = spool.descriptor(state)
    do throws(Errno) {
      try syscalls.rename(
        spool.descriptor(Spool.Folder.tmp), "\(Transitions.editPrefix)\(id)", to: folder, JobID.fileName(id),
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
