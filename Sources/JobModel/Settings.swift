/// What the configuration files say, as plain values.
///
/// `SpoolConfig` reads them from TOML; the engine, the command line and the web program only see these. Every default
/// is the documented one, so `DaemonSettings()` is what an empty `jobspool.toml` means.

/// `jobspool.toml`.
package struct DaemonSettings: Sendable, Equatable {
  package enum Durability: String, Sendable, CaseIterable { case full, relaxed }

  package var maxJobs = 4
  package var rescan = Duration.seconds(30)
  package var drain = Duration.seconds(30)
  /// This machine's name in records and log file names; the host name when nil.
  package var node: String?
  package var minFree = SizeLimit.bytes(64 << 20)
  package var maxJobBytes = 1 << 20
  package var durability = Durability.full
  package var web = WebSettings()
  package var retain = Retention()
  /// Pool name → how many jobs of all its types may run at once.
  package var pools: [String: Int] = [:]
  package var notices: [NoticeSettings] = []

  package init() {}
}

/// An amount of disk space: bytes, or a share of the file system.
package enum SizeLimit: Sendable, Equatable {
  case bytes(Int)
  case percent(Double)
}

/// `[web]`, `[web.roles]`, `[web.rate]`: read here, acted on by the web program.
package struct WebSettings: Sendable, Equatable {
  /// From the least rights to the most.
  package static let ownRoles = ["viewer", "producer", "operator", "admin"]

  /// `HOST:PORT` or `unix:/path`; the web program is not started when nil.
  package var listen: String?
  package var statsInterval = Duration.seconds(5)
  package var allowedOrigins: [String] = []
  /// Files of the keys that tokens are checked with; a relative path counts from the configuration's folder.
  package var key: String?
  package var publicKey: String?
  /// Foreign role name → one of `ownRoles`.
  package var roles: [String: String] = [:]
  /// Role, else subject of a token → permitted requests of each subject, e.g. "100/15m".
  package var rate: [String: Rate] = [:]
  package init() {}
}

/// So many in any interval of `per`.
package struct Rate: Sendable, Equatable {
  package var limit: Int
  package var per: Duration
  package init(limit: Int, per: Duration) {
    self.limit = limit
    self.per = per
  }
}

/// How long finished jobs are kept; nil means the default of the level above.
package struct Retention: Sendable, Equatable {
  package var done: Duration?
  package var dead: Duration?
  package var log: Duration?
  package var doneMax: Int?
  package var deadMax: Int?
  package init() {}

  /// What holds where neither the handler nor `[retain]` says otherwise; no limit by count.
  package static var standard: Retention {
    var standard = Retention()
    standard.done = .seconds(30 * 86_400)
    standard.dead = .seconds(180 * 86_400)
    standard.log = .seconds(180 * 86_400)
    return standard
  }

  /// This level's values, with those of the level above where it has none.
  package func filled(from above: Retention) -> Retention {
    var filled = self
    filled.done = done ?? above.done
    filled.dead = dead ?? above.dead
    filled.log = log ?? above.log
    filled.doneMax = doneMax ?? above.doneMax
    filled.deadMax = deadMax ?? above.deadMax
    return filled
  }
}

/// One `[[notify]]`.
package struct NoticeSettings: Sendable, Equatable {
  package enum Format: String, Sendable, CaseIterable { case standard, slack, discord }
  /// Everything `on` may name.
  package static let occasions = Notice.Occasion.allCases.map(\.rawValue)

  /// Empty: only what jobs ask for by their own `notify`.
  package var on: [String] = []
  /// Only jobs of these types; all when empty.
  package var types: [String] = []
  package var webhook: String?
  package var format = Format.standard
  package var command: [String] = []
  /// Key of the Standard Webhooks signature.
  package var secret: String?
  /// Notices that may be sent in a time; what is above is told in one, later.
  package var atMost = Rate(limit: 30, per: .seconds(60))
  package init() {}

  /// The bytes of a secret as Standard Webhooks writes it: `whsec_`, which may be missing, and base64 of 16 bytes or more.
  package static func signingKey(_ secret: String) -> [UInt8]? {
    let text = secret.hasPrefix("whsec_") ? secret.dropFirst(6) : secret[...]
    guard let key = Base64.decode(text), key.count >= 16 else { return nil }
    return key
  }
}

/// `handlers/TYPE.toml`.
package struct HandlerSettings: Sendable, Equatable {
  package enum Mode: String, Sendable, CaseIterable { case exec, worker }

  package struct RateLimit: Sendable, Equatable {
    package enum Over: String, Sendable, CaseIterable { case wait, reject }
    package var rate: Rate
    /// JSON pointer into the job, e.g. `/payload/userId`.
    package var by: String?
    package var over = Over.wait
    package init(rate: Rate) { self.rate = rate }
  }

  package struct ProcessLimits: Sendable, Equatable {
    /// Bytes it may write into privately (RLIMIT_DATA).
    package var memory: Int?
    /// Processor time, whole seconds (RLIMIT_CPU).
    package var cpu: Duration?
    /// Open files (RLIMIT_NOFILE).
    package var files: Int?
    package var nice: Int?
    package init() {}
  }

  package var type: String
  /// The file this was read from; relative paths inside it are relative to its folder.
  package var file: String
  package var command: [String]
  package var mode = Mode.exec
  /// Worker mode; as many as `concurrency` when nil.
  package var processes: Int?
  package var recycleAfter: Int?
  package var watch: [String] = []
  package var grace = Duration.seconds(5)
  package var maxResultBytes = 1 << 20
  package var concurrency = 1
  package var pool: String?
  package var serialBy: String?
  package var timeout = Duration.seconds(3600)
  package var stalledAfter: Duration?
  package var retry = RetryPolicy()
  package var rate: RateLimit?
  package var schema: String?
  package var redact: [String] = []
  package var encrypt: [String] = []
  package var retain = Retention()
  package var allow: [String] = []
  package var limits = ProcessLimits()
  package var user: String?
  package var environment: [String: String] = [:]
  package var sla: Duration?

  package init(type: String, file: String, command: [String]) {
    self.type = type
    self.file = file
    self.command = command
  }
}

/// `schedules/NAME.toml`.
package struct ScheduleSettings: Sendable, Equatable {
  package enum Overlap: String, Sendable, CaseIterable { case skip, queue }
  package enum CatchUp: String, Sendable, CaseIterable { case one, none, all }

  package var name: String
  package var file: String
  package var cron: CronExpression
  package var timezone = "UTC"
  /// What the name stands for.
  package var zone = TimeZoneRules.utc
  package var type: String
  /// JSON text of the payload; `null` when the file gives none.
  package var payload: [UInt8] = Array("null".utf8)
  package var description = ""
  package var enabled = true
  package var overlap = Overlap.skip
  package var catchUp = CatchUp.one
  package var jitter: Duration?

  package init(name: String, file: String, cron: CronExpression, type: String) {
    self.name = name
    self.file = file
    self.cron = cron
    self.type = type
  }
}
