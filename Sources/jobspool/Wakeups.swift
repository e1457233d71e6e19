/// Waits for something to happen in folders of the spool: by jobspool-watch, so that nothing is done while nothing
/// happens; by looking now and then where there is none, or where the folders may not be watched.
internal import Glibc
internal import JobModel
internal import SpoolStore
internal import SpoolWatch

final class Wakeups {
  private var watcher: Watcher?

  /// - Parameters:
  ///   - folders: below the spool; `.` is the spool itself. Those that are not there are left out.
  ///   - writes: also when something is added to a file in them.
  init(_ folders: [String], of spool: Spool, writes: Bool) {
    let places = folders.filter { access("\(spool.path)/\($0)", R_OK) == 0 }.enumerated().map { index, folder in
      Watcher.Place(folder == "." ? spool.path : "\(spool.path)/\(folder)", name: "place\(index)")
    }
    guard places.count == folders.count else { return }
    let watcher = Watcher(places, writes: writes)
    guard (try? watcher.start()) != nil else { return }
    self.watcher = watcher
  }

  /// What becomes readable when something happens; -1 when nothing will.
  var descriptor: Int32 { watcher?.descriptor ?? -1 }

  /// How often to look when nothing wakes us.
  static let looking = Duration.milliseconds(200)

  /// Returns when a name that concerns us is spoken of, or when events may have been missed, or after `limit`.
  func wait(atMost limit: Duration, for concerns: (String) -> Bool = { _ in true }) {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while let watcher {
      let left = deadline - clock.now
      guard left > .zero else { return }
      if take(watcher.next(timeout: left), concerns) { return }
    }
    let left = min(deadline - clock.now, Wakeups.looking)
    if left > .zero { usleep(UInt32(clamping: left.inMilliseconds * 1000)) }
  }

  /// Takes what has come, without waiting: whether any of it concerns us.
  func take(_ concerns: (String) -> Bool = { _ in true }) -> Bool {
    guard let watcher else { return false }
    return take(watcher.read(), concerns)
  }

  private func take(_ events: [WatchEvent], _ concerns: (String) -> Bool) -> Bool {
    var isConcerned = false
    for event in events {
      switch event {
      case .arrived(_, let name), .removed(_, let name): isConcerned = isConcerned || concerns(name)
      case .lookAgain: isConcerned = true
      case .ended:
        watcher = nil
        isConcerned = true
      }
    }
    return isConcerned
  }
}
