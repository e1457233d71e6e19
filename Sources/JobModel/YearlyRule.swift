// The yearly rule of a time zone, as the TZ variable of POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`. It ends the
// system's zone files and says what happens after the last change they list (RFC 8536, section 3.3; tzset(3)).

/// A standard offset and, where clocks change, a second one with the days it begins and ends.
package struct YearlyRule: Sendable, Equatable {
  /// A day of the year and a time on it, by the clock that is about to be changed.
  struct Turn: Sendable, Equatable {
    enum Day: Sendable, Equatable {
      /// `Jn`: 1…365, never counting 29 February.
      case julian(Int)
      /// `n`: 0…365, counting it.
      case ordinal(Int)
      /// `Mm.w.d`: the w-th weekday d of month m; 5 is the last.
      case weekday(month: Int, week: Int, weekday: Int)
    }
    var day: Day
    /// Seconds after midnight; from -167 to 167 hours.
    var time: Int64
  }

  struct Summer: Sendable, Equatable {
    var offset: Int64
    var begin: Turn
    var end: Turn
  }

  let offset: Int64
  let summer: Summer?

  /// Reads the text between the newlines of a zone file's last line; nil when it is no such rule.
  package init?(posix text: String) {
    var reader = PosixReader(text)
    guard reader.name(), let west = reader.time(limit: 24), abs(west) < TimeZoneRules.largestOffset else { return nil }
    offset = -west
    if reader.atEnd {
      summer = nil
      return
    }
    guard reader.name() else { return nil }
    var summerOffset = offset + 3600
    if !reader.at(",") {
      guard let west = reader.time(limit: 24) else { return nil }
      summerOffset = -west
    }
    // Without days the rule would be the reader's guess; zone files always give them.
    guard reader.take(","), let begin = reader.turn(), reader.take(","), let end = reader.turn(), reader.atEnd else {
      return nil
    }
    summer = Summer(offset: summerOffset, begin: begin, end: end)
  }

  /// The changes of the year of `time` and of its neighbours, in order of time.
  func changes(around time: Int64) -> [TimeZoneRules.Change] {
    guard let summer else { return [] }
    let year = CalendarTime(seconds: time).year
    var changes: [TimeZoneRules.Change] = []
    for year in year - 1...year + 1 {
      changes.append(.init(at: summer.begin.seconds(in: year) - offset, offset: summer.offset))
      changes.append(.init(at: summer.end.seconds(in: year) - summer.offset, offset: offset))
    }
    // Where one year's end is the next one's beginning (summer time all year) the beginning holds: it comes later here.
    return changes.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
  }
}

extension YearlyRule.Turn {
  /// Seconds since 1970 as the clock counts that is about to be changed.
  fileprivate func seconds(in year: Int) -> Int64 {
    let newYear = CalendarTime(year: year, month: 1, day: 1).daysSinceEpoch
    let date: Int64
    switch day {
    case .julian(let number):
      let leap = CalendarTime.daysIn(month: 2, year: year) == 29 && number >= 60
      date = newYear + Int64(number) - 1 + (leap ? 1 : 0)
    case .ordinal(let number):
      date = newYear + Int64(number)
    case .weekday(let month, let week, let weekday):
      let first = CalendarTime(year: year, month: month, day: 1)
      var number = 1 + (weekday - first.weekday + 7) % 7 + (week - 1) * 7
      if number > CalendarTime.daysIn(month: month, year: year) { number -= 7 }
      date = first.daysSinceEpoch + Int64(number) - 1
    }
    return date * 86_400 + time
  }
}

/// The characters of a POSIX rule.
private struct PosixReader {
  private let text: [UInt8]
  private var index = 0

  init(_ text: String) { self.text = Array(text.utf8.prefix(256)) }

  var atEnd: Bool { index == text.count }

  func at(_ character: Unicode.Scalar) -> Bool { index < text.count && text[index] == UInt8(ascii: character) }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard at(character) else { return false }
    index += 1
    return true
  }

  /// Three letters or more, or anything between angle brackets.
  mutating func name() -> Bool {
    let start = index
    if take("<") {
      while !atEnd, !at(">") { index += 1 }
      return take(">")
    }
    while !atEnd, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(text[index] | 0x20) { index += 1 }
    return index - start >= 3
  }

  mutating func number(_ range: ClosedRange<Int>) -> Int? {
    var value = 0
    let start = index
    while !atEnd, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[index]), index - start < 4 {
      value = value * 10 + Int(text[index] - UInt8(ascii: "0"))
      index += 1
    }
    return index > start && range.contains(value) ? value : nil
  }

  /// `[+-]hh[:mm[:ss]]` in seconds.
  mutating func time(limit: Int) -> Int64? {
    let negative = take("-")
    if !negative { _ = take("+") }
    guard let hours = number(0...limit) else { return nil }
    var seconds = hours * 3600
    if take(":") {
      guard let minutes = number(0...59) else { return nil }
      seconds += minutes * 60
      if take(":") {
        guard let rest = number(0...59) else { return nil }
        seconds += rest
      }
    }
    return Int64(negative ? -seconds : seconds)
  }

  mutating func turn() -> YearlyRule.Turn? {
    let day: YearlyRule.Turn.Day
    if take("J") {
      guard let number = number(1...365) else { return nil }
      day = .julian(number)
    } else if take("M") {
      guard let month = number(1...12), take("."), let week = number(1...5), take("."), let weekday = number(0...6)
      else {
        return nil
      }
      day = .weekday(month: month, week: week, weekday: weekday)
    } else {
      guard let number = number(0...365) else { return nil }
      day = .ordinal(number)
    }
    guard take("/") else { return YearlyRule.Turn(day: day, time: 7200) }
    guard let time = time(limit: 167) else { return nil }
    return YearlyRule.Turn(day: day, time: time)
  }
}
