/// Waits for jobs to end: wakes up when a name appears in `done/` or `dead/`, and looks for the names by itself now and
/// then. Where the folders may not be watched (a producer in a system spool), looking is all there is.
internal import Glibc
internal import JobModel
internal import SpoolHistory
internal import SpoolStore
internal import SpoolWatch

struct Waiting {
  let spool: Spool

  init(_ reader: SpoolReader) { spool = reader.spool }

  /// Calls `ended` once for each, as they end.
  ///
  /// Throws `noSuchJob` when one is in no folder, also when its file went away unseen, and a failure with 75 when
  /// `timeout` is over.
  ///
  /// - Parameter waiting: told now and then which have not ended.
  func wait(
    for ids: [String], timeout: Duration?, waiting: ([String]) -> Void = { _ in },
    ended: (String, JobState) throws -> Void
  ) throws {
    var open: [String] = []
    for id in ids where !open.contains(id) || ids.count > 1000 { open.append(id) }
    var missing: [String: Int] = [:]
    let clock = ContinuousClock()
    let deadline = timeout.map { clock.now + $0 }
    var watcher: Watcher?
    var isFirst = true
    var pause = Duration.milliseconds(2)
    while true {
      var left: [String] = []
      for id in open {
        switch try spool.state(of: id) {
        case let state? where state == .done || state == .dead: try ended(id, state)
        case nil:
          // Between two looks a job can jump from a folder not yet looked at into one already passed.
          missing[id, default: 0] += 1
          if missing[id] == 3 { throw SpoolError(.noSuchJob, "no job \(id) in \(spool.path)") }
          left.append(id)
        default:
          missing[id] = nil
          left.append(id)
        }
      }
      open = left
      guard !open.isEmpty else { return }
      waiting(open)
      if let deadline, clock.now >= deadline {
        throw Failure(
          "\(open.count) of the jobs have not ended in time: \(open[0])\(open.count > 1 ? " …" : "")", exit: 75)
      }
      // What ends before the watches stand is found by the look that follows the first event.
      if isFirst { watcher = start() }
      isFirst = false
      var span = watcher == nil || !missing.isEmpty ? pause : .seconds(1)
      if let deadline { span = min(span, max(deadline - clock.now, .milliseconds(1))) }
      if let running = watcher, running.descriptor >= 0 {
        _ = running.next(timeout: span)
        // Many jobs end at once: not a look at all of them for each.
        if open.count > 100 { usleep(20_000) }
      } else {
        usleep(UInt32(clamping: span.inMilliseconds * 1000))
        pause = min(pause * 2, .milliseconds(200))
      }
    }
  }

  /// nil: watching is impossible here.
  private func start() -> Watcher? {
    guard spool.isReadable(.done), spool.isReadable(.dead) else { return nil }
    let watcher = Watcher(["\(spool.path)/done", "\(spool.path)/dead"])
    guard (try? watcher.start()) != nil else { return nil }
    return watcher
  }
}
