/// `handlers ls`: which types there are, and how each is run.
internal import ArgumentParser
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Handlers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the handlers, or try one on a job.", subcommands: [HandlerList.self, RunOnce.self],
    defaultSubcommand: HandlerList.self)
}

struct HandlerList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List the types with the limits of each, and those whose file does not load.",
    discussion: """
        jobspool handlers
      """)

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    guard let configuration = reader.configuration else { return }
    let types = Set(configuration.handlers.keys).union(configuration.brokenHandlers.keys).sorted()
    if options.json { return json(reader, configuration, types) }
    guard !types.isEmpty else { return Console.remark("no handlers in \(configuration.folder)/handlers") }
    var table = Table(["TYPE", "MODE", "RUNNING", "WAITING", "TIMEOUT", "ATTEMPTS", "LIMITS", "COMMAND"])
    for type in types {
      let status = reader.status?.types[type]
      guard let handler = configuration.handlers[type] else {
        let problem = configuration.brokenHandlers[type]?.first?.description ?? "does not load"
        table.add([
          (type, nil), ("broken", .red), ("-", nil), ("-", nil), ("-", nil), ("-", nil), ("-", nil), (problem, nil),
        ])
        continue
      }
      let broken = status?.broken
      let paused = status?.paused ?? reader.spool.hasRoot("ctl/pause.\(type)")
      table.add([
        (type, nil),
        broken != nil ? ("broken", .red) : paused ? ("paused", .yellow) : (handler.mode.rawValue, nil),
        ("\(status.map { "\($0.running)" } ?? "-")/\(handler.concurrency)", nil),
        (status.map { "\($0.waiting)" } ?? "-", nil), (DurationText.format(handler.timeout), nil),
        ("\(handler.retry.maxAttempts)", nil), (limits(handler, status, reader, configuration), nil),
        (Console.shortened(Console.plain(broken ?? handler.command.joined(separator: " ")), to: 80), nil),
      ])
    }
    Console.write(Array(table.text.utf8))
  }

  /// Its limits besides `concurrency`, with what is used of them now.
  private func limits(
    _ handler: HandlerSettings, _ status: DaemonStatus.TypeStatus?, _ reader: SpoolReader,
    _ configuration: Configuration
  ) -> String {
    var parts: [String] = []
    if let pool = handler.pool, let size = configuration.settings.pools[pool] {
      let members = configuration.handlers.values.filter { $0.pool == pool }.map(\.type)
      let used = reader.status.map { status in members.reduce(0) { $0 + (status.types[$1]?.running ?? 0) } }
      parts.append("pool \(pool) \(used.map { "\($0)" } ?? "-")/\(size)")
    }
    if let pointer = handler.serialBy { parts.append("one per \(pointer)") }
    if let limit = handler.rate {
      let full = status?.rate?.full.values.filter { $0 > reader.now }.count ?? 0
      let whose = limit.by.map { " per \($0)" } ?? ""
      let more = full == Limits.rateValuesPublished ? "+" : ""
      parts.append(
        "\(limit.rate.text)\(whose)" + (full == 0 ? "" : limit.by == nil ? ", reached" : ", reached by \(full)\(more)"))
    }
    if let circuit = status?.circuit { parts.append("rests after \(circuit.failures) failures") }
    return parts.isEmpty ? "-" : parts.joined(separator: "; ")
  }

  private func json(_ reader: SpoolReader, _ configuration: Configuration, _ types: [String]) {
    Console.json { writer in
      writer.beginArray()
      for type in types {
        writer.beginObject()
        writer.key("type")
        writer.string(type)
        if let handler = configuration.handlers[type] { write(handler, &writer) }
        let status = reader.status?.types[type]
        writer.key("paused")
        writer.bool(status?.paused ?? reader.spool.hasRoot("ctl/pause.\(type)"))
        if let status {
          writer.key("running")
          writer.int(status.running)
          writer.key("waiting")
          writer.int(status.waiting)
        }
        if let handler = configuration.handlers[type] { writeLimits(handler, status, reader, configuration, &writer) }
        if let broken = status?.broken ?? configuration.brokenHandlers[type]?.first?.description {
          writer.key("broken")
          writer.string(broken)
        }
        writer.endObject()
      }
      writer.endArray()
    }
  }

  private func write(_ handler: HandlerSettings, _ writer: inout JSONWriter) {
    writer.key("file")
    writer.string(handler.file)
    writer.key("command")
    writer.beginArray()
    for word in handler.command { writer.string(word) }
    writer.endArray()
    writer.key("mode")
    writer.string(handler.mode.rawValue)
    writer.key("concurrency")
    writer.int(handler.concurrency)
    writer.key("timeout")
    writer.string(DurationText.format(handler.timeout))
    writer.key("max_attempts")
    writer.int(handler.retry.maxAttempts)
  }

  private func writeLimits(
    _ handler: HandlerSettings, _ status: DaemonStatus.TypeStatus?, _ reader: SpoolReader,
    _ configuration: Configuration, _ writer: inout JSONWriter
  ) {
    if let pool = handler.pool {
      writer.key("pool")
      writer.string(pool)
    }
    if let pointer = handler.serialBy {
      writer.key("serial_by")
      writer.string(pointer)
    }
    if let limit = handler.rate {
      writer.key("rate")
      writer.beginObject()
      writer.key("limit")
      writer.int(limit.rate.limit)
      writer.key("per")
      writer.string(DurationText.format(limit.rate.per))
      if let by = limit.by {
        writer.key("by")
        writer.string(by)
      }
      writer.key("over")
      writer.string(limit.over.rawValue)
      if let full = status?.rate?.full {
        writer.key("values_reached")
        writer.int(full.values.filter { $0 > reader.now }.count)
      }
      writer.endObject()
    }
    guard let circuit = status?.circuit else { return }
    writer.key("rests_after_failures")
    writer.int(circuit.failures)
    if let until = circuit.until {
      writer.key("rests_until")
      writer.time(until)
    }
  }
}
