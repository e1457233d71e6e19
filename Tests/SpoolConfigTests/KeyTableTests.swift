/// Every key of the three files: a value that must arrive where it belongs, and values that must be refused.
import JobModel
import SpoolConfig
import Testing

/// One key: what loads, what that does to the settings, and what does not load (wrong type, out of range, …).
private struct Row<Settings>: Sendable {
  var key: String
  var good: String
  var effect: @Sendable (inout Settings) -> Void
  var bad: [String]
  /// Other lines the key needs to make sense; they come first.
  var needs: String

  init(
    _ key: String, _ good: String, bad: [String], needs: String = "",
    _ effect: @escaping @Sendable (inout Settings) -> Void
  ) {
    self.key = key
    self.good = good
    self.bad = bad
    self.needs = needs
    self.effect = effect
  }
}

/// `notify.on` in the file is `on` below `[[notify]]`, `env.NAME` is `env.X`.
private func assignment(_ key: String, _ value: String) -> String {
  if key.hasPrefix("notify.") { return "[[notify]]\n\(key.dropFirst(7)) = \(value)" }
  return key.split(separator: ".").map { $0 == "NAME" ? "mail" : String($0) }.joined(separator: ".") + " = \(value)"
}

@Suite struct KeyTableTests {
  private static let text = ["4", "[]", "true", "\"\""]
  private static let longTime = [#""4x""#, "true", "[]", "-1", #""-1s""#, "nan", "2020-01-01", #""99999999d""#]

  private static let daemon: [Row<DaemonSettings>] = [
    Row("max_jobs", "10", bad: ["\"4\"", "0", "10001", "4.0", "[4]"]) { $0.maxJobs = 10 },
    Row("rescan", "\"5s\"", bad: longTime + ["0", "\"2d\""]) { $0.rescan = .seconds(5) },
    Row("drain", "0", bad: longTime + ["\"2d\""]) { $0.drain = .zero },
    Row("node", "\"box-1\"", bad: text + ["\"a/b\"", "\"-a\"", "\"a\\u0000\""]) { $0.node = "box-1" },
    Row("min_free", "\"5%\"", bad: ["\"5x\"", "\"100%\"", "-1", "true", "\"101%\"", "1.5"]) {
      $0.minFree = .percent(5)
    },
    Row("max_job_bytes", "\"64K\"", bad: ["\"64X\"", "1023", "\"2G\"", "true", "\"5%\""]) { $0.maxJobBytes = 65536 },
    Row("durability", "\"relaxed\"", bad: ["\"none\"", "1", "\"Full\""]) { $0.durability = .relaxed },
    Row(
      "web.listen", "\"[::1]:7733\"",
      bad: text + ["\"7733\"", "\"a:99999\"", "\":1\"", "\"::1:80\"", "\"a b:1\"", "\"unix:a\""]
    ) {
      $0.web.listen = "[::1]:7733"
    },
    Row("web.stats_interval", "\"1s\"", bad: longTime + ["0", "\"2h\""]) { $0.web.statsInterval = .seconds(1) },
    Row(
      "web.allowed_origins", "[\"https://a.example:8443\"]", bad: ["1", "[1]", "[\"a.example\"]", "[\"https://a/b\"]"]
    ) {
      $0.web.allowedOrigins = ["https://a.example:8443"]
    },
    Row("web.key", "\"a.key\"", bad: text) { $0.web.key = "a.key" },
    Row("web.public_key", "\"/a.pem\"", bad: text) { $0.web.publicKey = "/a.pem" },
    Row("web.roles.NAME", "\"admin\"", bad: ["\"root\"", "1"]) { $0.web.roles = ["mail": "admin"] },
    Row("web.rate.NAME", "\"100/15m\"", bad: ["100", "\"100\"", "\"0/s\"", "\"1/0s\"", "\"1/2/s\"", "\"-1/s\""]) {
      $0.web.rate = ["mail": Rate(limit: 100, per: .seconds(900))]
    },
    Row("retain.done", "\"7d\"", bad: longTime + ["0"]) { $0.retain.done = .seconds(604_800) },
    Row("retain.dead", "\"7d\"", bad: longTime + ["0"]) { $0.retain.dead = .seconds(604_800) },
    Row("retain.log", "\"7d\"", bad: longTime + ["0"]) { $0.retain.log = .seconds(604_800) },
    Row("retain.done_max", "1_000", bad: ["\"1\"", "-1", "1.5"]) { $0.retain.doneMax = 1000 },
    Row("retain.dead_max", "0", bad: ["\"1\"", "-1", "1.5"]) { $0.retain.deadMax = 0 },
    Row("pools.NAME.concurrency", "3", bad: ["0", "\"3\"", "10001"]) { $0.pools = ["mail": 3] },
    Row("notify.on", "[\"dead\", \"disk\"]\nwebhook = \"https://a\"", bad: ["\"dead\"", "[\"died\"]", "[1]"]) {
      $0.notices = [notice { $0.on = ["dead", "disk"] }]
    },
    Row("notify.types", "[\"mail\"]\non = [\"dead\"]\nwebhook = \"https://a\"", bad: ["\"mail\"", "[\"Mail\"]", "[1]"])
    {
      $0.notices = [notice { $0.types = ["mail"] }]
    },
    Row(
      "notify.webhook", "\"http://b/c\"\non = [\"dead\"]",
      bad: text + ["\"ftp://a\"", "\"https://\"", "\"https://a b\""]
    ) {
      $0.notices = [notice { $0.webhook = "http://b/c" }]
    },
    Row("notify.format", "\"slack\"\non = [\"dead\"]\nwebhook = \"https://a\"", bad: ["\"teams\"", "1"]) {
      $0.notices = [notice { $0.format = .slack }]
    },
    Row("notify.command", "[\"mail\", \"\"]\non = [\"dead\"]", bad: ["\"mail\"", "[]", "[1]", "[\"\"]"]) {
      $0.notices = [
        notice {
          $0.webhook = nil
          $0.command = ["mail", ""]
        }
      ]
    },
    Row(
      "notify.secret", "\"whsec_MDEyMzQ1Njc4OWFiY2RlZg==\"\non = [\"dead\"]\nwebhook = \"https://a\"",
      bad: text + ["\"whsec_x\"", "\"whsec_MDEy\"", "\"?\""]
    ) {
      $0.notices = [notice { $0.secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==" }]
    },
    Row("notify.at_most", "\"5/1h\"\non = [\"dead\"]\nwebhook = \"https://a\"", bad: ["5", "\"5\"", "\"0/1m\""]) {
      $0.notices = [notice { $0.atMost = Rate(limit: 5, per: .seconds(3600)) }]
    },
  ]

  private static func notice(_ change: (inout NoticeSettings) -> Void) -> NoticeSettings {
    var notice = NoticeSettings()
    notice.on = ["dead"]
    notice.webhook = "https://a"
    change(&notice)
    return notice
  }

  private static let handler: [Row<HandlerSettings>] = [
    Row("command", "[\"/bin/true\", \"\"]", bad: ["\"/bin/true\"", "[]", "[1]", "[\"\"]", "[\"a\\u0000\"]"]) {
      $0.command = ["/bin/true", ""]
    },
    Row("mode", "\"worker\"", bad: ["\"fork\"", "1"]) { $0.mode = .worker },
    Row("processes", "2", bad: ["0", "1001", "\"2\""]) { $0.processes = 2 },
    Row("recycle_after", "1000", bad: ["0", "\"2\"", "1.5"]) { $0.recycleAfter = 1000 },
    Row("watch", "[\"*.py\"]", bad: ["\"*.py\"", "[1]", "[\"\"]"]) { $0.watch = ["*.py"] },
    Row("grace", "\"1s\"", bad: longTime + ["\"2d\""]) { $0.grace = .seconds(1) },
    Row("max_result_bytes", "0", bad: ["\"1X\"", "-1", "\"2G\"", "true"]) { $0.maxResultBytes = 0 },
    Row("concurrency", "4", bad: ["\"four\"", "0", "1001", "4.5"]) { $0.concurrency = 4 },
    Row("pool", "\"mail\"", bad: text + ["\"mial\""]) { $0.pool = "mail" },
    Row("serial_by", "\"/payload/a~1b\"", bad: ["\"payload\"", "\"/a~2\"", "1", "\"/a~\""]) {
      $0.serialBy = "/payload/a~1b"
    },
    Row("timeout", "1.5", bad: longTime + ["0"]) { $0.timeout = .milliseconds(1500) },
    Row("stalled_after", "\"5m\"", bad: longTime + ["0"]) { $0.stalledAfter = .seconds(300) },
    Row("max_attempts", "1", bad: ["0", "1001", "\"5\""]) { $0.retry.maxAttempts = 1 },
    Row("backoff.base", "\"1s\"", bad: longTime + ["\"2h\""]) { $0.retry.spacing = spacing(base: .seconds(1)) },
    Row("backoff.factor", "3", bad: ["0.5", "\"2\"", "101", "nan"]) { $0.retry.spacing = spacing(factor: 3) },
    Row("backoff.max", "\"1m\"", bad: longTime + ["\"1s\""]) { $0.retry.spacing = spacing(max: .seconds(60)) },
    Row("backoff.jitter", "0", bad: ["-0.1", "1.1", "\"0\"", "inf"]) { $0.retry.spacing = spacing(jitter: 0) },
    Row("delays", "[\"5s\", 15, \"60s\"]", bad: ["\"5s\"", "[]", "[\"5x\"]", "[-1]"]) {
      $0.retry = RetryPolicy(delays: [.seconds(5), .seconds(15), .seconds(60)])
    },
    Row("rate.limit", "10", bad: ["0", "\"10\""], needs: "rate.per = \"1h\"") {
      $0.rate = rate(10) { _ in }
    },
    Row("rate.per", "\"1h\"", bad: longTime + ["0"], needs: "rate.limit = 10") { $0.rate = rate(10) { _ in } },
    Row("rate.by", "\"/payload/user\"", bad: ["\"user\"", "1"], needs: "rate.limit = 2\nrate.per = 3600") {
      $0.rate = rate(2) { $0.by = "/payload/user" }
    },
    Row("rate.over", "\"reject\"", bad: ["\"drop\"", "1"], needs: "rate.limit = 2\nrate.per = 3600") {
      $0.rate = rate(2) { $0.over = .reject }
    },
    Row("schema", "\"x.schema.json\"", bad: text + ["\"missing.json\"", "\"../handlers\""]) {
      $0.schema = "x.schema.json"
    },
    Row("redact", "[\"/payload/token\"]", bad: ["\"/payload/token\"", "[\"token\"]", "[\"/type\"]", "[1]"]) {
      $0.redact = ["/payload/token"]
    },
    Row("encrypt", "[\"/payload/pw\"]", bad: ["\"/payload/pw\"", "[\"pw\"]", "[\"/id\"]", "[1]"]) {
      $0.encrypt = ["/payload/pw"]
    },
    Row("retain.done", "\"7d\"", bad: longTime) { $0.retain.done = .seconds(604_800) },
    Row("retain.dead", "\"7d\"", bad: longTime) { $0.retain.dead = .seconds(604_800) },
    Row("retain.log", "\"7d\"", bad: longTime) { $0.retain.log = .seconds(604_800) },
    Row("retain.done_max", "5", bad: ["\"1\"", "-1"]) { $0.retain.doneMax = 5 },
    Row("retain.dead_max", "5", bad: ["\"1\"", "-1"]) { $0.retain.deadMax = 5 },
    Row("allow", "[\"www-data\", \"@staff\"]", bad: ["\"root\"", "[\"\"]", "[\"@\"]", "[1]"]) {
      $0.allow = ["www-data", "@staff"]
    },
    Row("limits.memory", "\"256M\"", bad: ["\"5%\"", "1000", "true"]) { $0.limits.memory = 256 << 20 },
    Row("limits.cpu", "\"30s\"", bad: longTime + ["0"]) { $0.limits.cpu = .seconds(30) },
    Row("limits.files", "256", bad: ["7", "\"256\"", "1048577"]) { $0.limits.files = 256 },
    Row("limits.nice", "-5", bad: ["-21", "20", "\"5\""]) { $0.limits.nice = -5 },
    Row("user", "\"www-data\"", bad: text) { $0.user = "www-data" },
    Row("env.NAME", "\"\"", bad: ["1", "true", "\"a\\u0000\""]) { $0.environment = ["mail": ""] },
    Row("sla", "\"10m\"", bad: longTime + ["0"]) { $0.sla = .seconds(600) },
  ]

  private static func spacing(
    base: Duration = .seconds(15), factor: Double = 2, max: Duration = .seconds(3600), jitter: Double = 0.2
  ) -> RetryPolicy.Spacing {
    .backoff(base: base, factor: factor, max: max, jitter: jitter)
  }

  private static func rate(
    _ limit: Int, _ change: (inout HandlerSettings.RateLimit) -> Void
  ) -> HandlerSettings.RateLimit {
    var rate = HandlerSettings.RateLimit(rate: Rate(limit: limit, per: .seconds(3600)))
    change(&rate)
    return rate
  }

  private static let schedule: [Row<ScheduleSettings>] = [
    Row("cron", "\"@daily\"", bad: text + ["\"* * * *\"", "\"0 3 30 2 *\"", "\"@nightly\""]) {
      $0.cron = Self.cron("@daily")
    },
    Row(
      "timezone", "\"America/Argentina/Buenos_Aires\"",
      bad: text + ["\"../etc/passwd\"", "\"/UTC\"", "\"a b\"", "\"Europe\"", "\"Europe/Berln\""]
    ) {
      $0.timezone = "America/Argentina/Buenos_Aires"
      $0.zone = Self.buenosAires
    },
    Row("type", "\"report\"", bad: text + ["\"Mail\"", "\"jobspool.notify\""]) { $0.type = "report" },
    Row("payload", "{ b = 1, a = [1.0, true, \"é\\n\"] }", bad: ["2020-01-01", "[nan]", "{ a = { b = 07:32:00 } }"]) {
      $0.payload = Array(#"{"b":1,"a":[1.0,true,"é\n"]}"#.utf8)
    },
    Row("description", "\"every night\"", bad: ["1", "[]"]) { $0.description = "every night" },
    Row("enabled", "false", bad: ["\"no\"", "0"]) { $0.enabled = false },
    Row("overlap", "\"queue\"", bad: ["\"both\"", "true"]) { $0.overlap = .queue },
    Row("catch_up", "\"all\"", bad: ["\"some\"", "false"]) { $0.catchUp = .all },
    Row("jitter", "\"5m\"", bad: longTime + ["\"2d\""]) { $0.jitter = .seconds(300) },
  ]

  private static func cron(_ text: String) -> CronExpression {
    do { return try CronExpression(text) } catch { preconditionFailure("\(error)") }
  }

  private static let buenosAires: TimeZoneRules = {
    do { return try TimeZoneFile.load("America/Argentina/Buenos_Aires") } catch { preconditionFailure("\(error)") }
  }()

  @Test("the tables below name every key that is accepted, and no other")
  func tablesAreComplete() {
    #expect(Self.daemon.map(\.key).sorted() == ConfigKeys.daemon.all.sorted())
    #expect(Self.handler.map(\.key).sorted() == ConfigKeys.handler.all.sorted())
    #expect(Self.schedule.map(\.key).sorted() == ConfigKeys.schedule.all.sorted())
  }

  @Test("a good value arrives in the daemon's settings and changes nothing else", arguments: daemon.indices)
  func daemonKeys(index: Int) {
    let row = Self.daemon[index]
    let folder = ConfigFolder()
    var expected = DaemonSettings()
    row.effect(&expected)
    folder.write("jobspool.toml", assignment(row.key, row.good))
    let configuration = folder.load()
    #expect(configuration.settings == expected, "\(row.key)")
    #expect(configuration.settings != DaemonSettings())
    #expect(configuration.errors == [])
  }

  @Test("a bad value of the daemon's is refused at its line and key", arguments: daemon.indices)
  func daemonRefusals(index: Int) throws {
    let row = Self.daemon[index]
    for bad in row.bad {
      let folder = ConfigFolder()
      let isNotice = row.key.hasPrefix("notify.")
      folder.write("jobspool.toml", assignment(row.key, bad))
      let errors = folder.load().errors.filter { $0.line == (isNotice ? 2 : 1) }
      let error = try #require(errors.first, "\(row.key) = \(bad) was accepted")
      #expect(error.key == row.key.split(separator: ".").map { $0 == "NAME" ? "mail" : $0 }.joined(separator: "."))
      #expect(errors.count == 1)
    }
  }

  @Test("a good value arrives in the handler's settings and changes nothing else", arguments: handler.indices)
  func handlerKeys(index: Int) {
    let row = Self.handler[index]
    let folder = Self.folderForHandlers()
    var expected = HandlerSettings(type: "x", file: folder.spool + "/handlers/x.toml", command: ["a"])
    let plain = expected
    row.effect(&expected)
    let command = row.key == "command" ? "" : "command = [\"a\"]"
    folder.write("handlers/x.toml", "\(command)\n\(row.needs)\n\(assignment(row.key, row.good))")
    let configuration = folder.load()
    #expect(configuration.handlers["x"] == expected, "\(row.key)")
    #expect(expected != plain)
    #expect(configuration.errors == [])
    #expect(configuration.brokenHandlers.isEmpty)
  }

  @Test("a bad value of a handler's is refused at its line and key, and breaks the handler", arguments: handler.indices)
  func handlerRefusals(index: Int) throws {
    let row = Self.handler[index]
    for bad in row.bad {
      let folder = Self.folderForHandlers()
      let command = row.key == "command" ? "" : "command = [\"a\"]"
      let head = "\(command)\n\(row.needs)\n"
      folder.write("handlers/x.toml", head + assignment(row.key, bad))
      let configuration = folder.load()
      #expect(configuration.handlers["x"] == nil)
      let errors = try #require(configuration.brokenHandlers["x"], "\(row.key) = \(bad) was accepted")
        .filter { $0.severity == .error }
      let line = head.utf8.count { $0 == 10 } + 1
      let key = row.key.split(separator: ".").map { $0 == "NAME" ? "mail" : $0 }.joined(separator: ".")
      #expect(errors.contains { $0.line == line && $0.key == key }, "\(row.key) = \(bad): \(errors)")
    }
  }

  private static func folderForHandlers() -> ConfigFolder {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "pools.mail.concurrency = 1")
    folder.write("handlers/x.schema.json", "{}")
    return folder
  }

  @Test("a good value arrives in the schedule's settings and changes nothing else", arguments: schedule.indices)
  func scheduleKeys(index: Int) {
    let row = Self.schedule[index]
    let folder = ConfigFolder()
    var expected = ScheduleSettings(
      name: "n", file: folder.spool + "/schedules/n.toml", cron: Self.cron("* * * * *"), type: "t")
    let plain = expected
    row.effect(&expected)
    folder.write("schedules/n.toml", Self.schedule(row, row.good))
    let configuration = folder.load()
    #expect(configuration.schedules["n"] == expected, "\(row.key)")
    #expect(expected != plain)
    #expect(configuration.errors == [])
  }

  @Test(
    "a bad value of a schedule's is refused at its line and key, and breaks the schedule", arguments: schedule.indices)
  func scheduleRefusals(index: Int) throws {
    let row = Self.schedule[index]
    for bad in row.bad {
      let folder = ConfigFolder()
      folder.write("schedules/n.toml", Self.schedule(row, bad))
      let configuration = folder.load()
      #expect(configuration.schedules["n"] == nil)
      let errors = try #require(configuration.brokenSchedules["n"], "\(row.key) = \(bad) was accepted")
        .filter { $0.severity == .error }
      #expect(errors.map(\.line) == [3], "\(row.key) = \(bad)")
      #expect(errors.map(\.key) == [row.key])
    }
  }

  private static func schedule(_ row: Row<ScheduleSettings>, _ value: String) -> String {
    let cron = row.key == "cron" ? "" : "cron = \"* * * * *\""
    let type = row.key == "type" ? "" : "type = \"t\""
    return "\(cron)\n\(type)\n\(assignment(row.key, value))"
  }

  @Test("a key nobody knows is refused in each of the three files")
  func unknownKeys() {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "zzz = 1")
    folder.write("handlers/x.toml", "command = [\"a\"]\nzzz = 1")
    folder.write("schedules/n.toml", "cron = \"@daily\"\ntype = \"x\"\nzzz.a.b = 1")
    let errors = folder.load().errors
    #expect(errors.map(\.line) == [1, 2, 3])
    #expect(errors.allSatisfy { $0.key == "zzz" && $0.message.hasPrefix("unknown key; known here: ") })
  }
}
