/// `report`: how it went, for people, programs and mail.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Report totals, success, durations, SLA kept, top errors and capacity.",
    discussion: """
      Days that are over come from their rollups, so a report also reaches back to what retention has removed.

        jobspool report --weekly
        jobspool report --daily --format html > /var/www/queue.html
        jobspool report --since 2026-11-01 --format json | jq .total.success
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, html }

  @Flag(help: "The last 24 hours (the default).")
  var daily = false

  @Flag(help: "The last 7 days.")
  var weekly = false

  @Option(help: ArgumentHelp("From when: RFC 3339, a UTC day, or 2h, 30d ago.", valueName: "time"))
  var since: String?

  @Option(help: "text, json or html.")
  var format: Format?

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    guard [daily, weekly, since != nil].filter({ $0 }).count <= 1 else {
      throw ValidationError("only one of --daily, --weekly and --since")
    }
    guard !options.json || format ?? .json == .json else { throw ValidationError("--json or --format, not both") }
  }

  func run() throws {
    let reader = try options.reader()
    let text = since ?? (weekly ? "7d" : "1d")
    guard let moment = WallTime(argument: text, now: reader.now) else {
      throw ValidationError("--since \(text): expected RFC 3339 with offset, a day such as 2026-11-21, or 2h, 7d")
    }
    let kind = since != nil ? "Report" : weekly ? "Weekly report" : "Daily report"
    let report = try reader.report("\(kind) of \(reader.spool.path)", since: moment)
    switch options.json ? .json : format ?? .text {
    case .json: Console.json { report.write(to: &$0) }
    case .html: Console.write(Array(report.html.utf8))
    case .text: show(report)
    }
  }

  private func show(_ report: Report) {
    Console.line(Console.paint(Console.plain(report.title), .bold))
    Console.line(report.summary)
    for part in report.tables {
      Console.line("\n" + Console.paint(part.heading, .bold))
      if !part.rows.isEmpty {
        var table = Table(part.columns.map { $0.uppercased() }, indent: "  ")
        for row in part.rows { table.add(row.map { Console.plain($0) }) }
        Console.write(Array(table.text.utf8))
      }
      if let remark = part.remark { Console.line("  " + Console.plain(remark)) }
    }
  }
}
