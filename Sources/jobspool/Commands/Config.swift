/// `config check`: every mistake of the configuration at once.
internal import ArgumentParser
internal import JobModel
internal import SpoolConfig
internal import SpoolStore

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check the configuration.", subcommands: [Check.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read jobspool.toml, handlers and schedules; show every mistake with file and line.",
      discussion: """
        Ends with 78 when something cannot be used as it is written.

          jobspool config check
          jobspool config check --config /etc/jobspool/jobspool.toml
        """)

    @OptionGroup var options: SpoolOptions

    func run() throws {
      // The spool itself need not be sound, or there, for its configuration to be read.
      let configuration = Configuration.load(spool: options.path, config: options.config)
      if options.json { json(configuration) } else { text(configuration) }
      if !configuration.errors.isEmpty { throw Failure.silent(78) }
    }

    private func text(_ configuration: Configuration) {
      for problem in configuration.problems { Console.line(problem.description) }
      let file = configuration.file ?? "no jobspool.toml (all defaults)"
      Console.remark(
        "\(file): \(configuration.handlers.count) handlers, \(configuration.schedules.count) schedules, "
          + "\(configuration.errors.count) mistakes")
    }

    private func json(_ configuration: Configuration) {
      Console.json { writer in
        writer.beginObject()
        writer.key("file")
        if let file = configuration.file { writer.string(file) } else { writer.null() }
        writer.key("ok")
        writer.bool(configuration.errors.isEmpty)
        writer.key("handlers")
        writer.int(configuration.handlers.count)
        writer.key("schedules")
        writer.int(configuration.schedules.count)
        writer.key("problems")
        writer.beginArray()
        for problem in configuration.problems { write(problem, &writer) }
        writer.endArray()
        writer.endObject()
      }
    }

    private func write(_ problem: ConfigProblem, _ writer: inout JSONWriter) {
      writer.beginObject()
      writer.key("severity")
      writer.string(problem.severity.rawValue)
      writer.key("file")
      writer.string(problem.file)
      if let line = problem.line {
        writer.key("line")
        writer.int(line)
      }
      if let column = problem.column {
        writer.key("column")
        writer.int(column)
      }
      if let key = problem.key {
        writer.key("key")
        writer.string(key)
      }
      writer.key("message")
      writer.string(problem.message)
      writer.endObject()
    }
  }
}
