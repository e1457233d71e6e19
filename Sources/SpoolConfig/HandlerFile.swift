/// `handlers/TYPE.toml`: each key, its range, and what must agree with what. Defaults are those of `HandlerSettings`.
internal import JobModel
internal import JobSchema

struct HandlerFile {
  let type: String
  let file: String
  /// The pools of jobspool.toml; nil when that file could not be read, and nothing can be said.
  let pools: [String: Int]?

  /// The schema its `schema` names, once `settings` has read it.
  private(set) var payloadSchema: PayloadSchema?

  init(type: String, file: String, pools: [String: Int]?) {
    self.type = type
    self.file = file
    self.pools = pools
  }

  /// nil when anything is wrong: a handler runs as its author wrote it or not at all.
  mutating func settings(_ root: TOMLNode, log: ProblemLog) -> HandlerSettings? {
    KeyWalk(keys: .handler, log: log).visit(root)
    let reader = ConfigReader(root, keys: .handler, log: log)
    if reader["command"] == nil {
      reader.refuse("command", "is missing: the program and its arguments, such as [\"/usr/lib/shop/send-email\"]")
    }
    var settings = HandlerSettings(type: type, file: file, command: reader.command("command") ?? [])
    readRunning(reader, into: &settings)
    readLimits(reader, into: &settings)
    readPrivacy(reader, into: &settings)
    settings.retry = RetryRules.policy(reader)
    settings.retain = reader.retention("retain")
    return log.hasErrors ? nil : settings
  }

  private func readRunning(_ reader: ConfigReader, into settings: inout HandlerSettings) {
    settings.mode = reader.choice("mode") ?? settings.mode
    settings.processes = reader.integer("processes", in: 1...1000)
    settings.recycleAfter = reader.integer("recycle_after", in: 1...1_000_000_000)
    settings.watch = reader.texts("watch") ?? []
    settings.grace = reader.duration("grace", in: .zero...Duration.days(1)) ?? settings.grace
    settings.maxResultBytes = reader.size("max_result_bytes", in: 0...(1 << 30)) ?? settings.maxResultBytes
    settings.timeout = reader.duration("timeout", in: .milliseconds(1)...Duration.days(3650)) ?? settings.timeout
    settings.stalledAfter = reader.duration("stalled_after", in: .milliseconds(1)...Duration.days(3650))
    settings.sla = reader.duration("sla", in: .milliseconds(1)...Duration.days(3650))
    settings.user = reader.text("user")
    if let environment = reader.section("env") { settings.environment = variables(environment) }
    if settings.mode == .exec {
      for key in ["processes", "recycle_after", "watch"] where reader[key] != nil {
        reader.note(key, "only counts with mode = \"worker\"")
      }
    }
  }

  private func variables(_ reader: ConfigReader) -> [String: String] {
    var variables: [String: String] = [:]
    for entry in reader.named {
      let name = entry.key
      let isName =
        name.utf8.allSatisfy { FileName.isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
        && !(name.utf8.first.map { (48...57).contains($0) } ?? true)
      if !isName {
        reader.refuse(name, entry.node, "not the name of an environment variable: letters, digits and '_'")
      } else if name.hasPrefix("JOBSPOOL_") {
        reader.refuse(name, entry.node, "names beginning with JOBSPOOL_ are set by jobspool")
      } else {
        variables[name] = reader.value(of: entry, "a text") { $0.plainText }
      }
    }
    return variables
  }

  private func readLimits(_ reader: ConfigReader, into settings: inout HandlerSettings) {
    settings.concurrency = reader.integer("concurrency", in: 1...1000) ?? settings.concurrency
    if let processes = settings.processes, settings.mode == .worker, processes > settings.concurrency {
      reader.note(
        "processes", "\(processes) processes for concurrency \(settings.concurrency): the others never get a job")
    }
    settings.pool = reader.text("pool")
    if let pool = settings.pool, let pools, pools[pool] == nil {
      let near = nearMiss(of: pool, among: pools.keys.sorted()).map { "; did you mean \(quoted($0))?" } ?? ""
      reader.refuse("pool", "jobspool.toml has no \(dotted("[pools", pool))]\(near)")
    }
    if let rate = reader.section("rate") { settings.rate = rateLimit(rate) }
    if let limits = reader.section("limits") {
      settings.limits.memory = limits.size("memory", in: (1 << 20)...(1 << 50))
      settings.limits.cpu = limits.duration("cpu", in: .seconds(1)...Duration.days(3650))
      settings.limits.files = limits.integer("files", in: 8...1_048_576)
      settings.limits.nice = limits.integer("nice", in: -20...19)
    }
  }

  private func rateLimit(_ reader: ConfigReader) -> HandlerSettings.RateLimit? {
    for key in ["limit", "per"] where reader[key] == nil {
      reader.refuse(key, "is missing: a rate needs limit and per")
    }
    let limit = reader.integer("limit", in: 1...1_000_000_000)
    let per = reader.duration("per", in: .milliseconds(1)...Duration.days(366))
    let by = reader.pointer("by")
    let over: HandlerSettings.RateLimit.Over? = reader.choice("over")
    guard let limit, let per else { return nil }
    var rate = HandlerSettings.RateLimit(rate: Rate(limit: limit, per: per))
    rate.by = by
    rate.over = over ?? rate.over
    return rate
  }

  private mutating func readSchema(_ path: String, hiding hidden: [JSONPointer], _ reader: ConfigReader) {
    switch ConfigPath.read(path) {
    case .absent: reader.refuse("schema", "\(path): no such file")
    case .fault(let fault): reader.refuse("schema", "\(path): \(fault)")
    case .bytes(let bytes):
      do throws(SchemaProblem) {
        payloadSchema = try PayloadSchema(file: path, bytes, hiding: hidden)
      } catch {
        reader.refuse("schema", "\(path): \(error.description)")
      }
    }
  }

  /// Who may submit, what is hidden, and what therefore cannot be looked at.
  private mutating func readPrivacy(_ reader: ConfigReader, into settings: inout HandlerSettings) {
    settings.serialBy = reader.pointer("serial_by")
    settings.redact = reader.payloadPointers("redact") ?? []
    settings.encrypt = reader.payloadPointers("encrypt") ?? []
    settings.allow =
      reader.list("allow", of: "a user, or a group as \"@staff\"") { node in
        node.plainText.flatMap { $0.isEmpty || $0 == "@" ? nil : $0 }
      } ?? []
    settings.schema = reader.text("schema")
    if let schema = settings.schema {
      let path = ConfigPath.resolve(schema, besideFile: file)
      readSchema(path, hiding: (settings.redact + settings.encrypt).compactMap(JSONPointer.init), reader)
    }
    for sealed in settings.encrypt.compactMap(JSONPointer.init) {
      if let by = settings.serialBy.flatMap(JSONPointer.init), by.overlaps(sealed) {
        reader.refuse("serial_by", "points into what encrypt seals, which only the handler may read")
      }
      if let by = settings.rate?.by.flatMap(JSONPointer.init), by.overlaps(sealed) {
        reader.section("rate")?.refuse("by", "points into what encrypt seals, which only the handler may read")
      }
    }
  }
}
