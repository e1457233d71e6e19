/// The handler of `jobspool.notify`, which has no file: the command line's hidden `notify-run`, so that the daemon itself
/// speaks no HTTP and the secrets of webhooks are read by a process that lives for one notice.
internal import Glibc
internal import JobModel
internal import SpoolConfig

enum NoticeHandler {
  static func settings(_ configuration: Configuration, spool: String, config: String?) -> HandlerSettings {
    var command = [program, "notify-run", "--spool", spool]
    // Handlers run in the spool's folder.
    if let config { command += ["--config", absolute(config)] }
    var settings = HandlerSettings(type: Notice.type, file: "[[notify]]", command: command)
    // One notice to a receiver at a time: in order, and one that hangs holds up no other.
    settings.serialBy = "/payload/notify"
    settings.concurrency = min(max(configuration.settings.notices.count, 1), 8)
    settings.timeout = .seconds(60)
    settings.grace = .seconds(1)
    settings.maxResultBytes = 1 << 16
    // About a day: 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, then every 4 hours.
    settings.retry = RetryPolicy(
      maxAttempts: 12, spacing: .backoff(base: .seconds(5), factor: 4, max: .seconds(4 * 3600), jitter: 0.2))
    settings.retain.done = .seconds(7 * 86_400)
    return settings
  }

  /// Beside this program, else where packages put it.
  private static var program: String {
    var places = ["/usr/lib/jobspool/jobspool", "/usr/bin/jobspool"]
    if let own = realpath("/proc/self/exe", nil) {
      defer { free(own) }
      let path = String(cString: own)
      if let slash = path.lastIndex(of: "/") { places.insert(path[...slash] + "jobspool", at: 0) }
    }
    return places.first { access($0, X_OK) == 0 } ?? places[0]
  }

  private static func absolute(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
