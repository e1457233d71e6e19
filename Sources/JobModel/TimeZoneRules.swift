// The clock of a time zone as a value: which offset from UTC held, holds and will hold when. Reading it from the
// system's files is SpoolConfig's work; nothing here touches the disk.

/// Offsets from UTC over all time: a list of changes, and a yearly rule for what comes after the last.
package struct TimeZoneRules: Sendable, Equatable {
  /// From `at` (seconds since 1970, UTC) clocks are `offset` seconds ahead of UTC.
  package struct Change: Sendable, Equatable {
    package var at: Int64
    package var offset: Int64
    package init(at: Int64, offset: Int64) {
      self.at = at
      self.offset = offset
    }
  }

  /// A time of constant offset: from `start` to before `end`, nil for no bound.
  struct Stretch: Equatable {
    var start: Int64?
    var end: Int64?
    var offset: Int64
    /// The offset before `start`; equal to `offset` when there is no start.
    var offsetBefore: Int64
  }

  /// What becomes of a reading of the clock.
  enum Moment: Equatable {
    /// It was shown, the first time at this moment.
    case shown(Int64)
    /// The clock was set forward past it, at the moment `change`, by `size` seconds.
    case skipped(change: Int64, size: Int64)
  }

  /// No zone's clock is further from UTC (RFC 8536, section 3.2: more than -25, less than 26 hours).
  package static let largestOffset: Int64 = 26 * 3600

  package static let utc = TimeZoneRules(offset: 0)

  private let initialOffset: Int64
  private let changes: [Change]
  private let rule: YearlyRule?

  /// - Parameters:
  ///   - offset: before the first change.
  ///   - changes: in order of time, each offset less than `largestOffset` from zero.
  ///   - rule: holds after the last change.
  package init(offset: Int64, changes: [Change] = [], rule: YearlyRule? = nil) {
    initialOffset = offset
    self.changes = changes
    self.rule = rule
  }

  /// A zone that has always followed one rule.
  package init(rule: YearlyRule) {
    self.init(offset: rule.offset, rule: rule)
  }

  /// Seconds that clocks are ahead of UTC at a moment.
  package func offset(at time: WallTime) -> Int64 { stretch(at: time.wholeSeconds).offset }

  func stretch(at time: Int64) -> Stretch {
    // The first change after `time`.
    var (low, high) = (0, changes.count)
    while low < high {
      let middle = (low + high) / 2
      if changes[middle].at <= time { low = middle + 1 } else { high = middle }
    }
    let before = low > 1 ? changes[low - 2].offset : initialOffset
    var stretch = Stretch(
      start: low > 0 ? changes[low - 1].at : nil, end: low < changes.count ? changes[low].at : nil,
      offset: low > 0 ? changes[low - 1].offset : initialOffset, offsetBefore: before)
    if low == 0 { stretch.offsetBefore = stretch.offset }
    guard low == changes.count, let rule else { return stretch }
    let listed = stretch.start ?? .min
    for change in rule.changes(around: time) where change.at > listed {
      if change.at > time {
        stretch.end = change.at
        break
      }
      stretch = Stretch(start: change.at, end: nil, offset: change.offset, offsetBefore: stretch.offset)
    }
    return stretch
  }

  /// When a clock here shows `reading`, in seconds since 1970 as the clock counts.
  func moment(of reading: Int64) -> Moment {
    var stretch = stretch(at: reading - Self.largestOffset)
    // In order of time, so that of two moments the first is found.
    while true {
      let moment = reading - stretch.offset
      guard let end = stretch.end, moment >= end else { return .shown(moment) }
      let next = self.stretch(at: end)
      if reading < end + next.offset { return .skipped(change: end, size: next.offset - stretch.offset) }
      stretch = next
    }
  }
}
