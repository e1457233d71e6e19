internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobModel

/// What a handler finds in its environment: the daemon's own, the handler file's `env`, and what the job is.
enum Environment {
  /// Not handed on: they speak to systemd in the daemon's name (sd_notify(3), sd_listen_fds(3)).
  private static let daemonsOwn: Set<String> = [
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
  ]

  /// The daemon's environment as it is now, byte for byte: names and values need not be UTF-8.
  static func inherited() -> [[CChar]] {
    var entries: [[CChar]] = []
    guard var next = spool_environment() else { return [] }
    while let entry = next.pointee {
      entries.append(Array(UnsafeBufferPointer(start: entry, count: strlen(entry) + 1)))
      next += 1
    }
    return entries
  }

  /// The part that is the same for all jobs of a type. `JOBSPOOL_*` of the daemon is left out: it would be taken for the
  /// job's, and one of them is a secret.
  static func fixed(inherited: [[CChar]], settings: HandlerSettings, account: Account?) -> [[CChar]] {
    var added = settings.environment
    if let account {
      let usual = [("HOME", account.home), ("USER", account.name), ("LOGNAME", account.name), ("SHELL", account.shell)]
      for (name, value) in usual where added[name] == nil { added[name] = value }
    }
    let kept = inherited.filter { entry in
      let name = name(entry)
      return !name.hasPrefix("JOBSPOOL_") && added[name] == nil && !daemonsOwn.contains(name)
    }
    return kept
      + added.sorted { $0.key < $1.key }.filter { !$0.key.hasPrefix("JOBSPOOL_") }
      .map { Array("\($0.key)=\($0.value)".utf8CString) }
  }

  /// What this attempt is. The token marks every process of this spool, also those that outlive the daemon.
  static func variables(_ request: AttemptRequest) -> [String] {
    [
      "JOBSPOOL_ID=\(request.id)",
      "JOBSPOOL_TYPE=\(request.handler.type)",
      "JOBSPOOL_ATTEMPT=\(request.attempt)",
      "JOBSPOOL_MAX_ATTEMPTS=\(request.maxAttempts)",
      "JOBSPOOL_JOB=\(request.jobPath)",
      "JOBSPOOL_DIR=\(request.spoolPath)",
      "JOBSPOOL_NODE=\(request.node)",
      "JOBSPOOL_TOKEN=\(request.token)",
    ]
  }

  /// The same for a long-lived process: nothing about a job, and a number that tells its processes from those of others.
  static func variables(worker number: Int, _ request: AttemptRequest) -> [String] {
    [
      "JOBSPOOL_WORKER=\(number)",
      "JOBSPOOL_TYPE=\(request.handler.type)",
      "JOBSPOOL_DIR=\(request.spoolPath)",
      "JOBSPOOL_NODE=\(request.node)",
      "JOBSPOOL_TOKEN=\(request.token)",
    ]
  }

  private static func name(_ entry: [CChar]) -> String {
    String(decoding: entry.prefix { $0 != 0 && $0 != 61 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The value of `name` in an environment; nil when it is not there.
  static func value(of name: String, in entries: [[CChar]]) -> String? {
    entries.first { self.name($0) == name }.map {
      String(decoding: $0.dropFirst(name.utf8.count + 1).dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }
}
