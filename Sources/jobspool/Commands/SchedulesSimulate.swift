/// `schedules simulate`: when an expression fires, by the rules the daemon goes by.
internal import ArgumentParser
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory

struct ScheduleSimulate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Print the next times of a schedule or of an expression, in UTC.",
    discussion: """
      The times come strictly after --from. An expression that cannot be read, or could never fire, ends with 65.

        jobspool schedules simulate nightly
        jobspool schedules simulate --cron '0 9 * * mon-fri' --timezone Europe/Berlin --count 5
        jobspool schedules simulate --cron '@hourly' --from 2026-03-29T00:00:00Z --json
      """)

  @Argument(help: "The schedule; or else --cron.")
  var name: String?

  @Option(help: ArgumentHelp("An expression of 5 or 6 fields, or @daily and its like.", valueName: "expr"))
  var cron: String?

  @Option(help: ArgumentHelp("The time zone of --cron; UTC by default.", valueName: "zone"))
  var timezone: String?

  @Option(help: ArgumentHelp("Times after this one: RFC 3339, or a day; now by default.", valueName: "time"))
  var from: String?

  @Option(help: "So many times.")
  var count = 10

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    guard (name == nil) != (cron == nil) else { throw ValidationError("name a schedule, or give --cron, not both") }
    if timezone != nil, cron == nil { throw ValidationError("--timezone goes with --cron; a schedule has its own") }
    guard (1...1_000_000).contains(count) else { throw ValidationError("--count goes from 1 to 1000000") }
  }

  func run() throws {
    let (expression, zone) = try rule()
    var time = WallTime.current
    if let from {
      guard let given = WallTime(argument: from, now: time) else {
        throw ValidationError("--from \(Console.plain(from)): expected RFC 3339 such as 2026-11-21T00:00:00Z, or a day")
      }
      time = given
    }
    var times: [String] = []
    while times.count < count, let next = expression.next(after: time, in: zone) {
      times.append(next.toTheSecond)
      time = next
    }
    guard options.json else { return Console.write(Array(times.map { "\($0)\n" }.joined().utf8)) }
    Console.json { writer in
      writer.beginArray()
      for time in times { writer.string(time) }
      writer.endArray()
    }
  }

  private func rule() throws -> (CronExpression, TimeZoneRules) {
    if let name {
      let row = try options.reader().known(name)
      guard let settings = row.settings else { throw Failure(row.problem ?? "\(name) does not load", exit: 78) }
      return (settings.cron, settings.zone)
    }
    let text = cron ?? ""
    let expression: CronExpression
    do throws(CronProblem) { expression = try CronExpression(text) } catch {
      throw Failure("--cron '\(Console.plain(text))': \(error)", exit: 65)
    }
    do throws(TimeZoneProblem) { return (expression, try TimeZoneFile.load(timezone ?? "UTC")) } catch {
      throw Failure("--timezone: \(error.message)", exit: 65)
    }
  }
}
