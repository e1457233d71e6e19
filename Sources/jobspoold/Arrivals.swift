/// Wake-ups for the engine: runs the watcher over `new/`, `ctl/` and the configuration, restarts it when it dies, and
/// lets the engine poll while there is none. Events are hints; the engine's scan covers every gap.
internal import Glibc
internal import JobEngine
internal import JobModel
internal import Logging
internal import SpoolConfig
internal import SpoolStore
internal import SpoolWatch

final class Arrivals {
  private let spool: Spool
  private let configuration: () -> Configuration
  private var watcher: Watcher
  private let loop: EventLoop
  private let logger: Logger
  private var watchedFiles: [String]
  private var engine: Engine?
  private var watched: Int32 = -1
  private var failures = 0
  private var reloadIsDue = false

  private static let configPrefix = "config"

  /// - Parameter configuration: what is to be watched now; asked again after every edit.
  init(_ spool: Spool, loop: EventLoop, logger: Logger, configuration: @escaping () -> Configuration) {
    self.spool = spool
    self.configuration = configuration
    self.loop = loop
    self.logger = logger
    let current = configuration()
    watchedFiles = current.watchedFiles
    watcher = Watcher(Arrivals.places(spool, current), removals: true)
  }

  private static func places(_ spool: Spool, _ configuration: Configuration) -> [Watcher.Place] {
    var places = [
      Watcher.Place("\(spool.path)/new", name: "new"), Watcher.Place("\(spool.path)/ctl", name: "ctl"),
    ]
    for (index, folder) in configuration.watchedFolders.enumerated() {
      // The spool's own folder changes with every status.json; only its subfolders are watched for edits.
      let name = "\(Arrivals.configPrefix)\(index)"
      places.append(Watcher.Place(folder, name: name))
    }
    return places
  }

  /// Children that are not handlers.
  var pids: [Int32] { watcher.pid.map { [$0] } ?? [] }

  func start(_ engine: Engine) {
    self.engine = engine
    open()
  }

  func stop() {
    close()
    watcher.stop()
  }

  private func open() {
    do throws(WatchProblem) {
      try watcher.start()
    } catch {
      return retry("\(error)")
    }
    watched = watcher.descriptor
    do throws(EventLoop.Failure) {
      try loop.watch(watched, for: .read) { [unowned self] _ in take() }
    } catch {
      retry("\(error)")
    }
  }

  private func take() {
    for event in watcher.read() {
      switch event {
      case .arrived(let directory, let name):
        failures = 0
        if directory.hasPrefix(Arrivals.configPrefix) { edited(name) } else { engine?.arrived(name, in: directory) }
      case .removed(let directory, let name):
        if directory == "ctl" {
          engine?.arrived(name, in: directory)
        } else if directory.hasPrefix(Arrivals.configPrefix) {
          edited(name)
        }
      case .lookAgain:
        engine?.lookAgain()
      case .ended(let reason):
        return retry(reason)
      }
    }
  }

  /// An editor writes a file in several steps; the reload waits for the last of them.
  private func edited(_ name: String) {
    let isOurs =
      name.hasSuffix(".toml") || name == "handlers" || name == "schedules"
      || watchedFiles.contains { $0.hasSuffix("/\(name)") }
    guard isOurs, !reloadIsDue else { return }
    reloadIsDue = true
    loop.after(.milliseconds(200)) { [unowned self] in
      reloadIsDue = false
      watchAnew()
      engine?.reloadConfiguration(by: "edit of \(name)")
    }
  }

  /// A folder may have come since, such as `schedules/` with the first schedule. The watches stand before the reload
  /// reads, so a file that is written meanwhile is reported.
  private func watchAnew() {
    let current = configuration()
    watchedFiles = current.watchedFiles
    let places = Arrivals.places(spool, current)
    guard places != watcher.places, watched >= 0 else { return }
    close()
    watcher.stop()
    watcher = Watcher(places, removals: true)
    open()
  }

  private func close() {
    if watched >= 0 { loop.unwatch(watched) }
    watched = -1
  }

  /// Without a watcher jobs are found by the scan; the wait for the next try grows to a minute.
  private func retry(_ reason: String) {
    close()
    watcher.stop()
    failures += 1
    let wait = Duration.milliseconds(min(100 << min(failures - 1, 10), 60_000))
    logger.warning("no wake-ups from jobspool-watch (\(reason)); polling, next try in \(DurationText.format(wait))")
    engine?.lookAgain()
    loop.after(wait) { [unowned self] in
      // One of its folders may be gone.
      watcher = Watcher(Arrivals.places(spool, configuration()), removals: true)
      open()
    }
  }
}
