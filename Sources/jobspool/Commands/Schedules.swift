/// `schedules`: what fires when, how the last runs went, and the switches. Looking needs no daemon; `run` does.
internal import ArgumentParser
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Schedules: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, run, enable, disable and simulate schedules.",
    subcommands: [
      ScheduleList.self, ScheduleShow.self, ScheduleRunNow.self, ScheduleEnable.self, ScheduleDisable.self,
      ScheduleSimulate.self,
    ],
    defaultSubcommand: ScheduleList.self)
}

struct ScheduleList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List the schedules with their next and last run.",
    discussion: """
        jobspool schedules
      """)

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    let rows = try reader.schedules()
    if options.json {
      return Console.json { writer in
        writer.beginArray()
        for row in rows { row.write(to: &writer) }
        writer.endArray()
      }
    }
    guard !rows.isEmpty else {
      return Console.remark("no schedules in \(reader.configuration?.folder ?? reader.spool.path)/schedules")
    }
    var table = Table(["NAME", "STATE", "CRON", "TYPE", "NEXT", "LAST", "RESULT", "DESCRIPTION"])
    for row in rows {
      let state = row.shownState
      let result = row.lastResult.map { ($0, $0 == "done" ? nil : Console.Colour.red) } ?? ("-", nil)
      table.add([
        (row.name, nil), state, (Console.plain(row.shownCron), nil), (row.settings?.type ?? "-", nil),
        (row.next?.toTheSecond ?? "-", nil), (row.last?.toTheSecond ?? "-", nil), result,
        (Console.shortened(Console.plain(row.problem ?? row.settings?.description ?? ""), to: 80), nil),
      ])
    }
    Console.write(Array(table.text.utf8))
    let enabled = rows.count { $0.enabled }
    let running = rows.count { $0.running }
    let total = rows.count == 1 ? "1 schedule" : "\(rows.count) schedules"
    Console.line("\n\(total), \(enabled) enabled, \(running) running")
  }
}

struct ScheduleShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show one schedule and the history of its runs.",
    discussion: """
        jobspool schedules show nightly --limit 30
      """)

  @Argument(help: "The schedule.")
  var name: String

  @Option(help: "So many runs, newest first.")
  var limit = 10

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    guard (0...100_000).contains(limit) else { throw ValidationError("--limit goes from 0 to 100000") }
  }

  func run() throws {
    let reader = try options.reader()
    let row = try reader.known(name)
    let runs = limit == 0 ? [] : try reader.runs(of: name, limit: limit)
    if options.json {
      return Console.json { writer in
        writer.beginObject()
        writer.key("schedule")
        row.write(to: &writer)
        writer.key("runs")
        writer.beginArray()
        for run in runs { run.write(to: &writer) }
        writer.endArray()
        writer.endObject()
      }
    }
    var facts = Table()
    func add(_ key: String, _ value: String?) {
      if let value, !value.isEmpty { facts.add([(key, .faint), (Console.plain(value), nil)]) }
    }
    add("name", row.name)
    add("description", row.settings?.description)
    facts.add([("state", .faint), row.shownState])
    add("problem", row.problem)
    add("cron", row.settings?.cron.description)
    add("timezone", row.settings?.timezone)
    add("type", row.settings?.type)
    add("payload", row.settings.map { String(decoding: $0.payload, as: UTF8.self) })
    add("overlap", row.settings?.overlap.rawValue)
    add("catch_up", row.settings?.catchUp.rawValue)
    add("jitter", row.settings?.jitter.map(DurationText.format))
    add("next", row.next.map { "\($0.toTheSecond) (in \(Age.text($0 - reader.now)))" })
    add("last", row.last?.toTheSecond)
    add("last job", row.job)
    add("last result", row.lastResult)
    Console.write(Array(facts.text.utf8))
    guard !runs.isEmpty else { return }
    var table = Table(["", "DUE", "JOB", "RUN", "TOOK", "WHY"])
    for run in runs {
      let how = run.outcome?.rawValue ?? run.state.map { $0 == .cur ? "running" : "waiting" } ?? run.event.rawValue
      let took = run.startedAt.flatMap { start in run.finishedAt.map { Age.text($0 - start) } }
      let why = run.error?.message ?? run.reason ?? (run.tick == nil ? "asked for by \(run.by)" : "")
      table.add([
        (how, run.outcome == .done ? .green : run.outcome != nil || run.event == .missed ? .red : nil),
        ((run.tick ?? run.at).toTheSecond, nil), (run.job, nil), (run.startedAt?.toTheSecond ?? "-", nil),
        (took ?? "-", nil), (Console.shortened(Console.plain(why), to: 80), nil),
      ])
    }
    Console.write(Array("\n\(table.text)".utf8))
  }
}

extension SpoolReader {
  /// The schedule of that name; 66 when there is none.
  func known(_ name: String) throws -> ScheduleRow {
    if let row = try schedule(name) { return row }
    let names = Set(configuration?.schedules.keys.map { $0 } ?? [])
    let near = Spelling.nearest(to: name, among: names).map { "; did you mean \($0)?" } ?? ""
    throw Failure(
      "there is no schedule \(Console.plain(name)): no such file in \(configuration?.folder ?? spool.path)/schedules\(near)",
      exit: 66)
  }
}

extension ScheduleRow {
  fileprivate var shownState: (String, Console.Colour?) {
    if settings == nil { return ("broken", .red) }
    if running { return ("running", .green) }
    if !enabled { return ("disabled", .yellow) }
    return paused ? ("paused", .yellow) : ("enabled", nil)
  }

  fileprivate var shownCron: String {
    guard let settings else { return "-" }
    return settings.timezone == "UTC" ? settings.cron.description : "\(settings.cron.description) \(settings.timezone)"
  }
}

extension WallTime {
  /// RFC 3339 in UTC without a fraction, as all ticks are.
  var toTheSecond: String { "\(rfc3339.prefix(19))Z" }
}
