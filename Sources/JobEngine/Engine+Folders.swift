/// What happens when somebody moves, deletes or replaces folders of the spool under the running daemon. Its descriptors
/// would go on working there, unseen: jobs accepted into the new folder would never run, and ends and audit lines would go to
/// the old one. So while a folder is missing nothing is claimed, written or renamed, and handlers only run on; when
/// another one stands in its place, this process ends, and its next start reads what is there.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  private static let alert = "spool_moved"

  /// Looks whether all folders are where they were; `isAdrift` tells. While they are not, only the timer looks.
  func checkFolders() {
    if !isAdrift { lookForFolders() }
  }

  private func lookForFolders() {
    guard let found = spool.displacement() else {
      guard isAdrift else { return }
      isAdrift = false
      calm(Engine.alert)
      logger.notice("the spool is complete again; going on")
      lookAgain()
      return
    }
    if found.kind == .replaced {
      logger.critical(
        """
        \(found.path) was replaced by another folder while the daemon ran; stopping, because nothing written to the old one \
        would be found. The next start works in the new one: move over what is still in the old one
        """)
      // As after a crash: what ran is run again, and its handlers are ended before.
      for id in running.keys { runner.stop(id, reason: .shutdown) }
      runner.hurry()
      exit(75)
    }
    if !isAdrift {
      isAdrift = true
      logger.error(
        """
        \(found.path) is missing: moved, deleted or unmounted; nothing is started or ended until it is back. Put it back, or \
        make it anew with 'jobspool init \(spool.path)'
        """)
      _ = status.alert(Engine.alert, "\(found.path) is missing; nothing runs until it is back", at: effects.now())
    }
    loop.after(.seconds(1)) { [unowned self] in lookForFolders() }
  }
}
