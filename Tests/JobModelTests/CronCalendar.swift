// What the tests of cron expressions share: times in words, zones as rules.

import JobModel
import SpoolTestSupport

func time(_ text: String) -> WallTime {
  guard let time = WallTime(rfc3339: text) else { preconditionFailure("no time: \(text)") }
  return time
}

/// The first `count` firings after `start`, as RFC 3339 in UTC without fractions.
func firings(_ text: String, after start: String, count: Int, in zone: TimeZoneRules = .utc) throws -> [String] {
  let expression = try CronExpression(text)
  var times: [String] = []
  var last = time(start)
  while times.count < count, let next = expression.next(after: last, in: zone) {
    times.append(next.rfc3339.prefix(19) + "Z")
    last = next
  }
  return times
}

func zone(_ rule: String) -> TimeZoneRules {
  guard let rule = YearlyRule(posix: rule) else { preconditionFailure("no rule: \(rule)") }
  return TimeZoneRules(rule: rule)
}

/// An hour forward on the last Sunday of March at 02:00, back on the last of October at 03:00.
let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3")
/// An hour forward on the second Sunday of March at 02:00, back on the first of November at 02:00.
let newYork = zone("EST5EDT,M3.2.0,M11.1.0")
/// Half an hour, and summer over the new year: forward on the first Sunday of October at 02:00, back in April.
let lordHowe = zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")

/// A random cron expression, with the sets it stands for known from how it was made and not from reading it.
struct MadeExpression {
  struct Field {
    var text: String
    var values: Set<Int>
    var star: Bool
  }
  var seconds: Field?
  var minutes: Field
  var hours: Field
  var days: Field
  var months: Field
  var weekdays: Field

  var text: String {
    [seconds, minutes, hours, days, months, weekdays].compactMap { $0?.text }.joined(separator: " ")
  }

  var followsRealTime: Bool { minutes.star || hours.star || seconds?.star == true }

  init(withSeconds: Bool, using numbers: inout SeededNumbers) {
    seconds = withSeconds ? Self.field(0...59, using: &numbers) : nil
    minutes = Self.field(0...59, using: &numbers)
    hours = Self.field(0...23, using: &numbers)
    days = Self.field(1...31, stars: 3, using: &numbers)
    months = Self.field(
      1...12, names: ["", "jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], stars: 3,
      using: &numbers)
    weekdays = Self.field(
      0...7, names: ["sun", "Mon", "TUE", "wed", "thu", "fri", "sat", ""], stars: 3, using: &numbers)
    weekdays.values = Set(weekdays.values.map { $0 % 7 })
  }

  private static func field(
    _ bounds: ClosedRange<Int>, names: [String] = [], stars: Int = 1, using numbers: inout SeededNumbers
  ) -> Field {
    let last = bounds.upperBound == 7 ? 6 : bounds.upperBound
    if Int.random(in: 0..<5, using: &numbers) < stars { return Field(text: "*", values: Set(bounds), star: true) }
    var field = Field(text: "", values: [], star: false)
    for _ in 0..<Int.random(in: 1...3, using: &numbers) {
      let low = Int.random(in: bounds.lowerBound...last, using: &numbers)
      let high = Int.random(in: low...last, using: &numbers)
      let step = Int.random(in: 1...max(1, bounds.count / 2), using: &numbers)
      func word(_ value: Int) -> String {
        let name = value < names.count ? names[value] : ""
        return !name.isEmpty && value % 2 == 0 ? name : "\(value)"
      }
      let element: String
      let values: any Sequence<Int>
      switch Int.random(in: 0..<6, using: &numbers) {
      case 0:
        element = "*/\(step)"
        values = stride(from: bounds.lowerBound, through: last, by: step)
        if field.text.isEmpty { field.star = true }
      case 1, 2:
        // Sunday is 7 as well.
        let seven = last < bounds.upperBound && low == 0 && Bool.random(using: &numbers)
        element = seven ? "7" : word(low)
        values = [low]
      case 3 where low < high:
        element = "\(word(low))-\(word(high))"
        values = low...high
      case 4 where low < last:
        element = "\(low)/\(step)"
        values = stride(from: low, through: last, by: step)
      default:
        // Never 5-5, which is the fifth here and in cronie, but everything to croniter.
        let high = max(high, low + 1)
        guard high <= last else { continue }
        element = "\(low)-\(high)/\(step)"
        values = stride(from: low, through: high, by: step)
      }
      field.text += (field.text.isEmpty ? "" : ",") + element
      for value in values { field.values.insert(value) }
    }
    if field.text.isEmpty { return Field(text: "\(last)", values: [last], star: false) }
    return field
  }

  /// Whether a clock that shows `seconds` since 1970 shows a time of this expression.
  func matches(_ seconds: Int64) -> Bool {
    let shown = CalendarTime(seconds: seconds)
    let (day, weekday) = (days.values.contains(shown.day), weekdays.values.contains(shown.weekday))
    return (self.seconds?.values ?? [0]).contains(shown.second) && minutes.values.contains(shown.minute)
      && hours.values.contains(shown.hour) && months.values.contains(shown.month)
      && (days.star || weekdays.star ? day && weekday : day || weekday)
  }
}
