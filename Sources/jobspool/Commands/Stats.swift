/// `stats`: how much there is, how it went, how long it took.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Count jobs; success, run and wait times by type; what needs attention.",
    discussion: """
      Totals come from the folders, the rest from the audit log and, for what retention has removed, its rollups.

        jobspool stats --since 1d
        jobspool stats --json | jq .jobs.dead
      """)

  @Option(help: ArgumentHelp("From when: RFC 3339, a UTC day, or 2h, 7d ago.", valueName: "time"))
  var since = "7d"

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    guard let since = WallTime(argument: since, now: reader.now) else {
      throw ValidationError("--since \(since): expected RFC 3339 with offset, a day such as 2026-11-21, or 2h, 7d")
    }
    let counts = try reader.countsByType()
    let statistics = try reader.statistics(since: since)
    let (today, lifetime) = (try reader.today(), try reader.lifetime())
    if options.json {
      json(reader, counts, statistics, today, lifetime)
    } else {
      text(reader, counts, statistics)
      text(today, lifetime)
    }
  }

  // MARK: For people

  private func text(_ reader: SpoolReader, _ counts: JobCounts, _ statistics: Statistics) {
    if let status = reader.status {
      let started = status.startedAt.map { ", up \($0.age(reader.now))" } ?? ""
      let paused = status.paused ? ", paused" : ""
      Console.line("jobspoold \(status.version), pid \(status.pid)\(started), \(status.mode.rawValue)\(paused)")
      for alert in status.alerts {
        let since = alert.at.map { " (since \($0.rfc3339))" } ?? ""
        Console.line("\(Console.paint("alert", .red))  \(Console.plain(alert.message))\(since)")
      }
    } else {
      Console.line(Console.paint(reader.hasDaemon ? "jobspoold runs" : "no daemon runs", .yellow))
    }
    let phases = [JobPhase.ready, .scheduled, .retry, .blocked].compactMap { phase in
      counts.count(phase).flatMap { $0 == 0 ? nil : "\($0) \(phase.rawValue)" }
    }
    var totals = Table()
    for state in JobState.allCases {
      let detail = state == .new && !phases.isEmpty ? "(\(phases.joined(separator: ", ")))" : ""
      totals.add([(state.rawValue, .faint), ("\(counts.states[state] ?? 0)", nil), (detail, .faint)])
    }
    Console.write(Array(totals.text.utf8))
    guard !statistics.types.isEmpty else { return }
    Console.line("\nsince \(statistics.since.rfc3339)")
    var table = Table([
      "TYPE", "DONE", "FAILED", "RETRIED", "OTHER", "SUCCESS", "RUN MEAN", "P50", "P95", "WAIT MEAN", "P50", "P95",
    ])
    for (name, type) in statistics.types.sorted(by: { $0.key < $1.key }) {
      table.add(row(name.isEmpty ? "(unknown)" : Console.plain(name), type))
    }
    if statistics.types.count > 1 { table.add(row("all", statistics.total)) }
    Console.write(Array(table.text.utf8))
  }

  private func text(_ today: Numbers, _ lifetime: Numbers) {
    guard lifetime.rollup.total.submitted > 0 else { return }
    var table = Table(["", "SUBMITTED", "DONE", "FAILED", "RETRIED", "OTHER", "SUCCESS", "RUN MEAN", "WAIT MEAN"])
    for (name, numbers) in [("today", today), ("since \(lifetime.since.day)", lifetime)] {
      let total = numbers.rollup.total
      table.add([
        name, "\(total.submitted)", "\(total.done)", "\(total.failed)", "\(total.retried)", "\(total.otherwise)",
        Figure.percent(total.success), Figure.duration(total.run.mean), Figure.duration(total.wait.mean),
      ])
    }
    Console.write(Array("\n\(table.text)".utf8))
  }

  private func row(_ name: String, _ type: Statistics.OfType) -> [String] {
    func spread(_ spread: Statistics.Spread) -> [String] {
      [spread.mean, spread.percentile(0.5), spread.percentile(0.95)].map { $0.map(Age.text) ?? "-" }
    }
    let success =
      type.success.map { "\(Int(($0 * 1000).rounded(.down)) / 10).\(Int(($0 * 1000).rounded(.down)) % 10)%" } ?? "-"
    return [name, "\(type.done)", "\(type.failed)", "\(type.retried)", "\(type.otherwise)", success] + spread(type.run)
      + spread(type.wait)
  }

  // MARK: For programs

  private func json(
    _ reader: SpoolReader, _ counts: JobCounts, _ statistics: Statistics, _ today: Numbers, _ lifetime: Numbers
  ) {
    Console.json { writer in
      writer.beginObject()
      writer.key("daemon")
      writer.bool(reader.hasDaemon)
      writer.key("paused")
      writer.bool(reader.status?.paused ?? reader.spool.hasRoot("ctl/pause"))
      writer.key("alerts")
      writer.beginArray()
      for alert in reader.status?.alerts ?? [] {
        writer.beginObject()
        if let at = alert.at {
          writer.key("at")
          writer.time(at)
        }
        writer.key("code")
        writer.string(alert.code)
        writer.key("message")
        writer.string(alert.message)
        writer.endObject()
      }
      writer.endArray()
      writer.key("jobs")
      writer.beginObject()
      for state in JobState.allCases {
        writer.key(escaping: state.rawValue)
        writer.int(counts.states[state] ?? 0)
      }
      for phase in [JobPhase.ready, .scheduled, .retry, .blocked] {
        writer.key(escaping: phase.rawValue)
        writer.int(counts.count(phase) ?? 0)
      }
      writer.endObject()
      writer.key("today")
      today.write(to: &writer)
      writer.key("lifetime")
      lifetime.write(to: &writer)
      writer.key("since")
      writer.time(statistics.since)
      writer.key("total")
      write(statistics.total, nil, &writer)
      writer.key("types")
      writer.beginObject()
      let names = Set(statistics.types.keys).union((counts.types ?? [:]).keys)
      for name in names.sorted() {
        writer.key(escaping: name)
        write(statistics.types[name] ?? .init(), counts.types?[name] ?? [:], &writer)
      }
      writer.endObject()
      writer.endObject()
    }
  }

  private func write(_ type: Statistics.OfType, _ now: [JobPhase: Int]?, _ writer: inout JSONWriter) {
    writer.beginObject()
    if let now {
      writer.key("waiting")
      writer.int([JobPhase.ready, .scheduled, .retry, .blocked].reduce(0) { $0 + (now[$1] ?? 0) })
      writer.key("running")
      writer.int(now[.cur] ?? 0)
      writer.key("held")
      writer.int(now[.hold] ?? 0)
    }
    let counts = [
      ("submitted", type.submitted), ("done", type.done), ("failed", type.failed), ("retried", type.retried),
      ("otherwise", type.otherwise),
    ]
    for (key, value) in counts {
      writer.key(escaping: key)
      writer.int(value)
    }
    writer.key("success")
    if let success = type.success { writer.double(success) } else { writer.null() }
    writer.key("run_ms")
    write(type.run, &writer)
    writer.key("wait_ms")
    write(type.wait, &writer)
    writer.endObject()
  }

  private func write(_ spread: Statistics.Spread, _ writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("count")
    writer.int(spread.count)
    for (key, value) in [
      ("mean", spread.mean), ("p50", spread.percentile(0.5)), ("p95", spread.percentile(0.95)),
    ] {
      writer.key(escaping: key)
      if let value { writer.double(Double(value.inMicroseconds) / 1000) } else { writer.null() }
    }
    writer.endObject()
  }
}
