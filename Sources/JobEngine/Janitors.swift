/// Periodic chores of one shape: look, do, say one line when something was done.
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  /// Removes what dead writers left in `tmp/`, and answers in `ctl/` that nobody fetched.
  func sweep() {
    let now = effects.now()
    var old: [String] = []
    var replies: [String] = []
    let syscalls = spool.syscalls
    func age(_ name: String, in folder: Spool.Folder) -> Int64? {
      guard let status = try? syscalls.status(spool.descriptor(folder), name), status.kind == .regular else {
        return nil
      }
      return (now.microseconds - max(status.modified, status.changed)) / 1_000_000
    }
    do throws(SpoolError) {
      try Scan.names(of: .tmp, in: spool) { name in
        // git's way of keeping an empty folder.
        guard name != ".gitkeep", let age = age(name, in: .tmp), age > Int64(Limits.sweepStagingSeconds) else { return }
        old.append(name)
      }
      for name in old { try transitions.sweepStaged(name) }
      try Scan.names(of: .ctl, in: spool) { name in
        guard name.hasSuffix(".reply"), let age = age(name, in: .ctl), age > 3600 else { return }
        replies.append(name)
      }
    } catch {
      return troubled(error)
    }
    for name in replies { removeControl(name) }
    if !old.isEmpty { logger.notice("swept \(old.count) stale files out of tmp") }
  }
}
