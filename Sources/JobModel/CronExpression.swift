// Cron expressions: what a schedule's `cron` means. The language is cronie's crontab(5), with a field for seconds
// before the others when there are six. Promised: an expression that can never fire is refused when it is read, so
// `next` (CronNext.swift) finds a time whenever the calendar has one. Reading text is CronParser.swift's work.

/// The times at which a schedule fires, as sets of seconds, minutes, hours, days, months and weekdays.
package struct CronExpression: Sendable, Equatable, CustomStringConvertible {
  /// What was read, as written.
  package let description: String

  // Bit n stands for n: second 0…59, minute 0…59, hour 0…23, day 1…31, month 1…12, weekday 0…6 (0 is Sunday).
  let seconds: UInt64
  let minutes: UInt64
  let hours: UInt64
  let days: UInt64
  let months: UInt64
  let weekdays: UInt64

  /// A day must be in `days` and in `weekdays`: one of the two fields starts with `*`. Otherwise one suffices. So
  /// `0 0 1,15 * fri` fires on the 1st, the 15th and every Friday, but `0 0 */2 * fri` on odd Fridays (crontab(5), Note).
  let bothDays: Bool

  /// A field for the time of day starts with `*`: the expression means "every so often" rather than a time on the
  /// clock, and a change to or from daylight saving time neither delays nor suppresses it (cron(8)).
  let followsRealTime: Bool

  /// - Throws: `CronProblem`, naming the field, the column and what was expected there.
  package init(_ text: String) throws(CronProblem) {
    var parser = try CronParser(text)
    let fields = try parser.fields()
    description = text
    seconds = fields.seconds.set
    minutes = fields.minutes.set
    hours = fields.hours.set
    days = fields.days.set
    months = fields.months.set
    // 7 is Sunday as well.
    weekdays = (fields.weekdays.set | fields.weekdays.set >> 7) & 0x7f
    bothDays = fields.days.star || fields.weekdays.star
    followsRealTime = fields.seconds.star || fields.minutes.star || fields.hours.star
    guard canFire else {
      throw CronProblem(
        "day of month", column: fields.days.column,
        "no such day in the months given, so this could never fire; 31 needs a month of 31 days, 30 any but February")
    }
  }

  /// Over 400 years every date, 29 February included, falls on every weekday; so only a day that no month has can
  /// keep an expression from firing, and only when the weekday alone does not suffice.
  private var canFire: Bool {
    guard bothDays else { return true }
    return (1...12).contains { month in
      months >> month & 1 == 1 && days & CronExpression.allDays(in: month, of: 2000) != 0
    }
  }

  /// The days a month has, as a set.
  static func allDays(in month: Int, of year: Int) -> UInt64 {
    (1 << (CalendarTime.daysIn(month: month, year: year) + 1)) - 2
  }

  /// The id of a firing, `NAME.YYYYMMDDTHHMMSSZ` in UTC: one tick makes one job, whatever restarts.
  package static func firingID(of schedule: String, at time: WallTime) -> String {
    // 2026-11-21T01:39:02.512Z without its punctuation and fraction.
    schedule + "." + time.rfc3339.prefix(19).filter { $0 != "-" && $0 != ":" } + "Z"
  }
}

/// Why an expression is refused.
package struct CronProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// The field in words, e.g. "day of month"; nil when the expression as a whole is meant.
  package var field: String?
  /// Where in the text, counting bytes from 1; nil when the whole is meant.
  package var column: Int?
  /// What is wrong and what was expected.
  package var message: String

  init(_ message: String) { self.message = message }

  init(_ field: String, column: Int, _ message: String) {
    self.field = field
    self.column = column
    self.message = message
  }

  package var description: String {
    guard let field, let column else { return message }
    return "\(field) (column \(column)): \(message)"
  }
}
