// When a cron expression fires next. Nothing here steps through time: days are found by month as sets of bits, zones by
// their stretches of constant offset, so 29 February on a Sunday costs microseconds.
//
// Changes to and from daylight saving time are handled as cron(8) of cronie says, for changes of up to three hours:
// - an expression for a time on the clock fires right after the change when the clock skipped that time (once, however
//   many of its times were skipped), and once, the first time, when the clock shows it twice;
// - an expression whose minutes or hours (or seconds) start with `*` follows real time: it fires whenever the clock
//   shows a time of it.
// A clock moved further than that (an island changing sides of the date line) was corrected: what it skipped is gone.

extension CronExpression {
  /// The largest change of the clock that counts as daylight saving.
  private static let correction: Int64 = 3 * 3600

  /// The first firing strictly after `time`, in whole seconds, by the clock of `zone`; nil after the year 9999.
  package func next(after time: WallTime, in zone: TimeZoneRules = .utc) -> WallTime? {
    let seconds = time.wholeSeconds
    guard seconds < WallTime.latest.wholeSeconds, seconds > -WallTime.latest.wholeSeconds else { return nil }
    let found = followsRealTime ? nextInRealTime(after: seconds, zone) : nextOnTheClock(after: seconds, zone)
    guard let found, found <= WallTime.latest.wholeSeconds else { return nil }
    return WallTime(seconds: found)
  }

  /// Takes the stretches of constant offset one by one, and in each what its clock shows.
  private func nextInRealTime(after start: Int64, _ zone: TimeZoneRules) -> Int64? {
    var time = start
    while true {
      let stretch = zone.stretch(at: time + 1)
      guard let reading = nextReading(after: time + stretch.offset) else { return nil }
      guard let end = stretch.end, reading - stretch.offset >= end else { return reading - stretch.offset }
      // No clock showing something between here and `reading` fires. After a stretch seen whole, long enough for no
      // later clock to fall back behind where we began, we can go to just before `reading` in any zone.
      let far = end - time > 2 * TimeZoneRules.largestOffset
      time = far ? max(end - 1, reading - TimeZoneRules.largestOffset - 1) : end - 1
    }
  }

  /// Takes the readings of the clock one by one, and for each the moment it fires.
  private func nextOnTheClock(after start: Int64, _ zone: TimeZoneRules) -> Int64? {
    let stretch = zone.stretch(at: start)
    var reading = start + stretch.offset
    // The clock was set back: everything up to its old reading has fired.
    if let change = stretch.start, reading < change + stretch.offsetBefore {
      reading = change + stretch.offsetBefore - 1
    }
    while let next = nextReading(after: reading) {
      switch zone.moment(of: next) {
      case .shown(let moment):
        if moment > start { return moment }
        reading = next
      case .skipped(let change, let size):
        if size <= Self.correction && change > start { return change }
        reading = max(next, change + zone.stretch(at: change).offset - 1)
      }
    }
    return nil
  }

  /// The first matching reading of a clock strictly after `reading`, both in seconds since 1970 as that clock counts.
  private func nextReading(after reading: Int64) -> Int64? {
    let first = CalendarTime(seconds: reading + 1)
    var (year, month, day) = (first.year, first.month, first.day)
    if days(of: month, year) >> day & 1 == 1,
      let time = timeOfDay(from: first.hour, first.minute, first.second)
    {
      return CalendarTime(year: year, month: month, day: day).secondsSinceEpoch + time
    }
    day += 1
    guard let time = timeOfDay(from: 0, 0, 0) else { return nil }
    while year <= 9999 {
      if let day = days(of: month, year).first(from: day) {
        return CalendarTime(year: year, month: month, day: day).secondsSinceEpoch + time
      }
      day = 1
      if let later = months.first(from: month + 1) {
        month = later
      } else {
        year += 1
        month = months.first(from: 1) ?? 1
      }
    }
    return nil
  }

  /// The days of a month that match, as a set.
  private func days(of month: Int, _ year: Int) -> UInt64 {
    guard months >> month & 1 == 1 else { return 0 }
    let all = Self.allDays(in: month, of: year)
    // Bit n of `weekdays`, laid out over five weeks, shifted so that bit 1 is the weekday of the 1st.
    let weeks = weekdays | weekdays << 7 | weekdays << 14 | weekdays << 21 | weekdays << 28 | weekdays << 35
    let byWeekday = (weeks >> CalendarTime(year: year, month: month, day: 1).weekday) << 1
    return all & (bothDays ? days & byWeekday : days | byWeekday)
  }

  /// Seconds of the day of the first matching time from the one given.
  private func timeOfDay(from hour: Int, _ minute: Int, _ second: Int) -> Int64? {
    let (firstMinute, firstSecond) = (minutes.first(from: 0) ?? 0, seconds.first(from: 0) ?? 0)
    if hours >> hour & 1 == 1 {
      if minutes >> minute & 1 == 1, let second = seconds.first(from: second) {
        return Int64(hour * 3600 + minute * 60 + second)
      }
      if let minute = minutes.first(from: minute + 1) { return Int64(hour * 3600 + minute * 60 + firstSecond) }
    }
    return hours.first(from: hour + 1).map { Int64($0 * 3600 + firstMinute * 60 + firstSecond) }
  }
}

extension UInt64 {
  /// The lowest bit set that is not below `start`.
  fileprivate func first(from start: Int) -> Int? {
    let rest = start < 64 ? (self >> start) << start : 0
    return rest == 0 ? nil : rest.trailingZeroBitCount
  }
}
