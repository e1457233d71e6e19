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
    var table = Table(["TYPE", "MODE", "RUNNING", "WAITING", "TIMEOUT", "ATTEMPTS", "COMMAND"])
    for type in types {
      let status = reader.status?.types[type]
      guard let handler = configuration.handlers[type] else {
        let problem = configuration.brokenHandlers[type]?.first?.description ?? "does not load"
        table.add([(type, nil), ("broken", .red), ("-", nil), ("-", nil), ("-", nil), ("-", nil), (problem, nil)])
        continue
      }
      let broken = status?.broken
      let paused = status?.paused ?? reader.spool.hasRoot("ctl/pause.\(type)")
      table.add([
        (type, nil),
        broken != nil ? ("broken", .red) : paused ? ("paused", .yellow) : (handler.mode.rawValue, nil),
        ("\(status.map { "\($0.running)" } ?? "-")/\(handler.concurrency)", nil),
        (status.map { "\($0.waiting)" } ?? "-", nil), (DurationText.format(handler.timeout), nil),
        ("\(handler.retry.maxAttempts)", nil),
        (Console.shortened(Console.plain(broken ?? handler.command.joined(separator: " ")), to: 80), nil),
      ])
    }
    Console.write(Array(table.text.utf8))
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
}
