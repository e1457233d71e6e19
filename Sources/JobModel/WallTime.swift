/// A moment of wall-clock time in UTC, in microseconds since 1970. Used for names, records, the audit log and due times;
/// waiting is measured on the monotonic clock elsewhere. The model never reads a clock: times are handed in.
package struct WallTime: Sendable, Hashable, Comparable {
  package var microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  /// Beyond a hundred times recorded history it stays there: no sum or difference of times may overflow.
  package init(seconds: Int64) {
    microseconds = min(max(seconds, -WallTime.farthestSeconds), WallTime.farthestSeconds) * 1_000_000
  }

  private static let farthestSeconds: Int64 = 1_000_000_000_000

  /// The last moment RFC 3339 can write.
  package static let latest = WallTime(seconds: 253_402_300_799)

  package static func < (left: WallTime, right: WallTime) -> Bool { left.microseconds < right.microseconds }

  /// Later by `duration`, at most the year 9999: a job file may ask for any delay, and the sum must not overflow.
  package static func + (time: WallTime, duration: Duration) -> WallTime {
    let (seconds, _) = duration.components
    guard seconds.magnitude < 400_000_000_000 else { return seconds < 0 ? WallTime(seconds: 0) : .latest }
    let (sum, overflow) = time.microseconds.addingReportingOverflow(duration.inMicroseconds)
    if overflow { return seconds < 0 ? WallTime(seconds: 0) : .latest }
    return min(WallTime(microseconds: sum), .latest)
  }

  package static func - (left: WallTime, right: WallTime) -> Duration {
    let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
    return .microseconds(overflow ? (left > right ? .max : .min) : difference)
  }

  package var wholeSeconds: Int64 { microseconds.flooredQuotient(1_000_000) }
}

/// A date and time of day in the proleptic Gregorian calendar, without a zone.
package struct CalendarTime: Sendable, Hashable {
  package var year: Int
  package var month: Int
  package var day: Int
  package var hour: Int
  package var minute: Int
  package var second: Int

  package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// The calendar reading `seconds` after 1970-01-01T00:00:00 in the same zone.
  package init(seconds: Int64) {
    // Days to civil date by eras of 400 years, with years that begin in March so that the leap day comes last.
    let days = seconds.flooredQuotient(86_400)
    let rest = Int(seconds - days * 86_400)
    let shifted = days + 719_468
    let era = shifted.flooredQuotient(146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
    year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
    hour = rest / 3600
    minute = rest / 60 % 60
    second = rest % 60
  }

  /// Days since 1970-01-01 of the date part.
  package var daysSinceEpoch: Int64 {
    let shiftedYear = Int64(month <= 2 ? year - 1 : year)
    let era = shiftedYear.flooredQuotient(400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  package var secondsSinceEpoch: Int64 {
    daysSinceEpoch * 86_400 + Int64(hour * 3600 + minute * 60 + second)
  }

  /// 0 is Sunday.
  package var weekday: Int { Int((daysSinceEpoch + 4) - ((daysSinceEpoch + 4).flooredQuotient(7)) * 7) }

  package static func daysIn(month: Int, year: Int) -> Int {
    switch month {
    case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}

extension Int64 {
  func flooredQuotient(_ divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}

extension WallTime {
  package var calendar: CalendarTime { CalendarTime(seconds: wholeSeconds) }

  /// RFC 3339 in UTC with milliseconds: `2026-11-21T01:39:02.512Z`.
  package var rfc3339: String {
    String(unsafeUninitializedCapacity: 24) { buffer in
      write(into: buffer)
      return 24
    }
  }

  /// Day as in log file names, `2026-11-21`, UTC.
  package var day: String { String(rfc3339.prefix(10)) }

  /// Appends what `rfc3339` says without making a string of it.
  package func append(to bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 24) { buffer in
      write(into: buffer)
      bytes.append(contentsOf: buffer)
    }
  }

  /// Four digits are all a year has here: what lies outside of the years 0 to 9999 is written as their end.
  private func write(into buffer: UnsafeMutableBufferPointer<UInt8>) {
    let written = min(max(microseconds, WallTime.firstWritten), WallTime.latest.microseconds + 999_999)
    let seconds = written.flooredQuotient(1_000_000)
    let milliseconds = Int((written - seconds * 1_000_000) / 1000)
    let calendar = CalendarTime(seconds: seconds)
    let form: StaticString = "0000-00-00T00:00:00.000Z"
    for place in 0..<24 { buffer[place] = form.utf8Start[place] }
    func put(_ value: Int, endingAt end: Int) {
      var rest = value
      var place = end
      while rest > 0 {
        buffer[place] = UInt8(truncatingIfNeeded: 48 + rest % 10)
        rest /= 10
        place -= 1
      }
    }
    put(calendar.year, endingAt: 3)
    put(calendar.month, endingAt: 6)
    put(calendar.day, endingAt: 9)
    put(calendar.hour, endingAt: 12)
    put(calendar.minute, endingAt: 15)
    put(calendar.second, endingAt: 18)
    put(milliseconds, endingAt: 22)
  }

  /// 0000-01-01T00:00:00Z
  private static let firstWritten: Int64 = -62_167_219_200_000_000

  /// Reads an RFC 3339 date-time with its offset; years 1970–9999. A leap second counts as the second after it.
  ///
  /// nil for anything else, a date without a zone included.
  package init?(rfc3339 text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20 else { return nil }
    func number(_ start: Int, _ count: Int) -> Int? {
      guard start + count <= bytes.count else { return nil }
      var value = 0
      for byte in bytes[start..<start + count] {
        guard byte >= 48, byte <= 57 else { return nil }
        value = value * 10 + Int(byte - 48)
      }
      return value
    }
    func byte(_ index: Int, _ allowed: String) -> Bool {
      index < bytes.count && allowed.utf8.contains(bytes[index])
    }
    guard let year = number(0, 4), byte(4, "-"), let month = number(5, 2), byte(7, "-"), let day = number(8, 2),
      byte(10, "Tt "), let hour = number(11, 2), byte(13, ":"), let minute = number(14, 2), byte(16, ":"),
      let second = number(17, 2), year >= 1970, (1...12).contains(month), day >= 1,
      day <= CalendarTime.daysIn(month: month, year: year), hour < 24, minute < 60, second <= 60
    else { return nil }
    var index = 19
    var fraction: Int64 = 0
    if byte(index, ".") {
      index += 1
      var scale: Int64 = 100_000
      let start = index
      while index < bytes.count, bytes[index] >= 48, bytes[index] <= 57 {
        fraction += Int64(bytes[index] - 48) * scale
        scale /= 10
        index += 1
      }
      guard index > start else { return nil }
    }
    var offset = 0
    if byte(index, "Zz") {
      guard index + 1 == bytes.count else { return nil }
    } else {
      guard byte(index, "+-"), index + 6 == bytes.count, let hours = number(index + 1, 2), byte(index + 3, ":"),
        let minutes = number(index + 4, 2), hours < 24, minutes < 60
      else { return nil }
      offset = (hours * 3600 + minutes * 60) * (bytes[index] == UInt8(ascii: "-") ? -1 : 1)
    }
    let calendar = CalendarTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    let seconds = calendar.secondsSinceEpoch - Int64(offset)
    guard seconds >= 0, seconds <= WallTime.latest.wholeSeconds else { return nil }
    microseconds = seconds * 1_000_000 + fraction
  }
}
