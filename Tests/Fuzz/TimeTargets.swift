/// Cron expressions and time zones: what an administrator writes, and the system's files.
import JobModel
import SpoolConfig

extension FuzzTarget {
  private static let zones: [(String, TimeZoneRules)] =
    [
      "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia",
      "Asia/Tehran",
    ]
    .compactMap { name in (try? TimeZoneFile.load(name)).map { (name, $0) } }

  private static let starts: [Int64] = [
    0, 1_711_846_799, 1_729_990_799, 1_800_000_000, 253_402_214_400, 253_402_300_798, 253_402_300_799, -1,
    .min / 2_000_000,
  ]

  /// An expression; a firing is later than what it is asked after, nothing fires in between, and in UTC the clock shows it.
  static let cron = FuzzTarget(
    name: "cron",
    words: ["*", "*/5", "1-5", "mon", "FEB", "L", "#", "@daily", "@reboot", "0 0 29 2 *", ",", " ", "/", "7", "60"]
  ) { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    let expression: CronExpression
    do throws(CronProblem) { expression = try CronExpression(text) } catch { return "no \(error)" }
    var kinds = 0
    for (name, zone) in zones {
      for start in starts {
        let start = WallTime(seconds: start)
        guard let next = expression.next(after: start, in: zone) else { continue }
        kinds += 1
        try require(next > start && next <= .latest, "'\(text)' in \(name): \(next.rfc3339) after \(start.rfc3339)")
        let again = expression.next(after: next + .seconds(-1), in: zone)
        try require(again == next, "'\(text)' in \(name): \(next.rfc3339), but not asked a second before")
        if name == "UTC", let fires = CronReading(text)?.shows(next.calendar) {
          try require(fires, "'\(text)' does not name \(next.rfc3339)")
        }
      }
    }
    return "ok \(kinds) \(min(text.utf8.count / 8, 8))"
  }

  /// A zone file; whatever is taken for one has a clock that firings go by.
  static let zone = FuzzTarget(
    name: "zone", words: ["TZif2", "TZif", "\nCET-1CEST,M3.5.0,M10.5.0/3\n", "\u{0}\u{0}\u{0}\u{1}"]
  ) { bytes in
    let rules: TimeZoneRules
    do throws(TimeZoneProblem) { rules = try TimeZoneFile.decode(bytes) } catch { return "no \(error)" }
    var offsets: [Int64] = []
    for start in starts {
      let start = WallTime(seconds: start)
      offsets.append(rules.offset(at: start))
      for text in ["30 2 * * *", "*/7 * * * *", "0 0 29 2 0"] {
        guard let next = (try? CronExpression(text))?.next(after: start, in: rules) else { continue }
        try require(next > start, "'\(text)': \(next.rfc3339) after \(start.rfc3339)")
      }
    }
    return "ok \(Set(offsets).count)"
  }
}

/// A cron expression of numbers, lists, ranges and steps, read in the plainest way: to compare with, for what it can read.
struct CronReading {
  private var fields: [(values: Set<Int>, star: Bool)] = []

  init?(_ text: String) {
    var words = text.split { $0 == " " || $0 == "\t" }.map(String.init)
    if words.count == 5 { words.insert("0", at: 0) }
    guard words.count == 6 else { return nil }
    for (word, range) in zip(words, [0...59, 0...59, 0...23, 1...31, 1...12, 0...7]) {
      var values: Set<Int> = []
      for item in word.split(separator: ",", omittingEmptySubsequences: false) {
        let parts = item.split(separator: "/", omittingEmptySubsequences: false)
        guard let bounds = parts.first?.split(separator: "-", omittingEmptySubsequences: false), parts.count <= 2 else {
          return nil
        }
        let step: Int
        if parts.count == 2 {
          guard let given = Int(parts[1]), given > 0 else { return nil }
          step = given
        } else {
          step = 1
        }
        var (low, high) = (range.lowerBound, range.upperBound)
        if parts[0] != "*" {
          guard let first = Int(bounds[0]), bounds.count <= 2, parts.count == 1 || bounds.count == 2 else { return nil }
          low = first
          high = first
          if bounds.count == 2 {
            guard let last = Int(bounds[1]) else { return nil }
            high = last
          }
        }
        guard low <= high, range.contains(low), range.contains(high) else { return nil }
        values.formUnion(stride(from: low, through: high, by: step))
      }
      fields.append((values, word.hasPrefix("*")))
    }
  }

  func shows(_ time: CalendarTime) -> Bool {
    let weekday = time.weekday
    let isWeekday = fields[5].values.contains(weekday) || (weekday == 0 && fields[5].values.contains(7))
    let isDay = fields[3].values.contains(time.day)
    let isDate = fields[3].star || fields[5].star ? isDay && isWeekday : isDay || isWeekday
    return isDate && fields[0].values.contains(time.second) && fields[1].values.contains(time.minute)
      && fields[2].values.contains(time.hour) && fields[4].values.contains(time.month)
  }
}
