/// The rename with which the end of a job becomes visible. It needs neither the log nor the engine, so that the thread that
/// made the end's line durable can make it visible as well.
internal import JobModel

package struct EndMoves: Sendable {
  private let spool: Spool

  package init(_ spool: Spool) { self.spool = spool }

  /// `cur/ID.json` to `done/`, where nobody's file is replaced. An older one of this id in `dead/` is what this run replaces.
  package func finish(_ id: String) throws(SpoolError) {
    try clearDead(id)
    try move(id, to: .done, replacing: false)
  }

  /// `cur/ID.json` to `dead/`, over an older one.
  func bury(_ id: String) throws(SpoolError) { try move(id, to: .dead, replacing: true) }

  /// The history of a twin in `dead/` was copied into a record that is durable now: the old file goes, with the bytes
  /// beside it if it had been refused.
  func clearDead(_ id: String) throws(SpoolError) {
    let dead = spool.descriptor(JobState.dead)
    do throws(Errno) {
      try spool.syscalls.unlink(dead, JobID.fileName(id))
      try spool.syscalls.unlink(dead, "\(id).bad")
    } catch {
      if error == .noEntry { return }
      throw SpoolError(doing: "removing the replaced job", path: spool.path(of: id, in: .dead), error)
    }
  }

  private func move(_ id: String, to state: JobState, replacing: Bool) throws(SpoolError) {
    let name = JobID.fileName(id)
    do throws(Errno) {
      try spool.syscalls.rename(
        spool.descriptor(JobState.cur), name, to: spool.descriptor(state), name, replacing: replacing)
    } catch {
      if error == .exists {
        throw SpoolError(
          .exists, "\(id) has ended, but somebody put another file in its place; move that away and restart the daemon",
          path: spool.path(of: id, in: state))
      }
      throw SpoolError(doing: "moving the job to \(state.rawValue)", path: spool.path(of: id, in: .cur), error)
    }
  }
}
