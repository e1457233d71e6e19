/// The moves of a restore: files of a copied spool are put where its log says they were, before any daemon runs on it. They
/// leave no lines of their own, for nothing happened to the jobs.
internal import Glibc
internal import JobModel

extension Transitions {
  /// Puts a file of a restored copy where the log says that it was, or into `cur/`, where recovery takes it up. It leaves
  /// no line of its own: nothing happened to the job.
  func restoreMove(_ id: String, from: JobState, to: JobState) throws(SpoolError) {
    if from == to { return }
    guard try move(id, from, to) else {
      throw SpoolError(
        .exists, "\(id) cannot be put where it was when the backup was taken", path: spool.path(of: id, in: to))
    }
  }

  /// Removes from a restored copy a file of the job that was copied before, or after, it moved on.
  func restoreRemove(_ id: String, from: JobState) throws(SpoolError) { try remove(id, from: from) }

  /// The same for the bytes of a refused file, which lie beside the object that stands for it.
  func restoreRemove(refused id: String) throws(SpoolError) {
    do throws(Errno) { try syscalls.unlink(spool.descriptor(JobState.dead), "\(id).bad") } catch {
      throw SpoolError(doing: "removing the refused file", path: "\(spool.path)/dead/\(id).bad", error)
    }
  }

  /// Puts the bytes of a refused file where they were before it was refused.
  func restoreTakeUp(refused id: String) throws(SpoolError) {
    do throws(Errno) {
      try syscalls.rename(
        spool.descriptor(JobState.dead), "\(id).bad", to: spool.descriptor(JobState.cur), JobID.fileName(id),
        replacing: false)
    } catch {
      throw SpoolError(doing: "taking up the refused file", path: "\(spool.path)/dead/\(id).bad", error)
    }
  }
}
