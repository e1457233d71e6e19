import JobModel
import SpoolTestSupport
import Testing

@Suite("Cron and the change to and from daylight saving time") struct CronDaylightTests {
  struct Forward: Sendable, CustomTestStringConvertible {
    var zone: TimeZoneRules
    /// Midnight of the day of the change, the change, and half past two on the day after, in UTC.
    var midnight: String
    var change: String
    var nextDay: String
    var testDescription: String { change }
  }

  static let forward = [
    Forward(
      zone: berlin, midnight: "2026-03-28T23:00:00Z", change: "2026-03-29T01:00:00Z", nextDay: "2026-03-30T00:30:00Z"),
    Forward(
      zone: newYork, midnight: "2026-03-08T05:00:00Z", change: "2026-03-08T07:00:00Z", nextDay: "2026-03-09T06:30:00Z"),
    // 02:00 becomes 02:30, so 02:15 is skipped here.
    Forward(
      zone: lordHowe, midnight: "2026-10-03T13:30:00Z", change: "2026-10-03T15:30:00Z", nextDay: "2026-10-04T15:15:00Z"),
  ]

  @Test("a time that the clock skips fires right after the change, once", arguments: forward)
  func skipped(_ example: Forward) throws {
    let minute = example.zone == lordHowe ? 15 : 30
    #expect(
      try firings("\(minute) 2 * * *", after: example.midnight, count: 2, in: example.zone)
        == [example.change, example.nextDay])
    // Several skipped times are one firing.
    #expect(
      try firings("1,5,10,15,20 2 * * *", after: example.midnight, count: 1, in: example.zone) == [example.change])
    // Asked at the change itself, it has fired.
    #expect(
      try firings("\(minute) 2 * * *", after: example.change, count: 1, in: example.zone) == [example.nextDay])
    // One second before, it is still to come.
    let before = WallTime(seconds: time(example.change).wholeSeconds - 1)
    #expect(try CronExpression("\(minute) 2 * * *").next(after: before, in: example.zone) == time(example.change))
  }

  @Test("every so often follows real time over the change forward")
  func wildcardForward() throws {
    #expect(
      try firings("*/30 * * * *", after: "2026-03-29T00:00:00Z", count: 3, in: berlin)
        == ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"])
    // No clock shows an hour of two that day.
    #expect(
      try firings("*/30 2 * * *", after: "2026-03-28T02:00:00Z", count: 1, in: berlin) == ["2026-03-30T00:00:00Z"])
    #expect(
      try firings("0 */2 * * *", after: "2026-03-28T22:30:00Z", count: 3, in: berlin)
        == ["2026-03-28T23:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T04:00:00Z"])
  }

  @Test("a time that the clock shows twice fires the first time only")
  func repeated() throws {
    #expect(
      try firings("30 2 * * *", after: "2026-10-24T12:00:00Z", count: 2, in: berlin)
        == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])
    #expect(
      try firings("30 1 * * *", after: "2026-10-31T12:00:00Z", count: 2, in: newYork)
        == ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"])
    #expect(
      try firings("45 1 * * *", after: "2026-04-03T20:00:00Z", count: 2, in: lordHowe)
        == ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"])
    // Asked in the middle of the repetition: it has fired. And 03:00 is shown once.
    #expect(
      try firings("0,30 2,3 * * *", after: "2026-10-25T00:59:00Z", count: 2, in: berlin)
        == ["2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"])
    #expect(
      try firings("0,30 2,3 * * *", after: "2026-10-25T01:15:00Z", count: 1, in: berlin) == ["2026-10-25T02:00:00Z"])
  }

  @Test("every so often follows real time over the change back")
  func wildcardBack() throws {
    #expect(
      try firings("*/30 * * * *", after: "2026-10-25T00:00:00Z", count: 4, in: berlin)
        == ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"])
    #expect(
      try firings("*/30 2 * * *", after: "2026-10-24T12:00:00Z", count: 5, in: berlin)
        == [
          "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z",
          "2026-10-26T01:00:00Z",
        ])
  }

  @Test("a clock moved by more than three hours was corrected: what it skipped is gone")
  func correction() throws {
    // Samoa, 2011-12-30: from UTC-10 to UTC+14, a day that never was.
    let samoa = TimeZoneRules(
      offset: -36_000, changes: [.init(at: time("2011-12-30T10:00:00Z").wholeSeconds, offset: 50_400)])
    #expect(
      try firings("0 12 * * *", after: "2011-12-29T00:00:00Z", count: 3, in: samoa)
        == ["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"])
    #expect(try firings("0 12 30 12 *", after: "2011-12-01T00:00:00Z", count: 1, in: samoa) == ["2012-12-29T22:00:00Z"])
  }

  @Test("UTC firings of a zone far ahead and far behind")
  func offsets() throws {
    #expect(
      try firings("0 0 * * *", after: "2026-11-21T00:00:00Z", count: 1, in: zone("<+14>-14")) == [
        "2026-11-21T10:00:00Z"
      ])
    #expect(
      try firings("0 0 * * *", after: "2026-11-21T00:00:00Z", count: 1, in: zone("<-12>12")) == ["2026-11-21T12:00:00Z"]
    )
    #expect(
      try firings("0 0 * * *", after: "2026-11-21T00:00:00Z", count: 1, in: zone("<+0545>-5:45")) == [
        "2026-11-21T18:15:00Z"
      ])
  }

  /// cron(8) acted out minute by minute: virtual time catches up with the clock and runs what it passes; it never goes
  /// back. The expressions are those of `MadeExpression`, which does not read the text.
  @Test("agrees with cron acted out minute by minute around the changes", arguments: [UInt64(1), 2, 3, 4])
  func actedOut(seed: UInt64) throws {
    var numbers = SeededNumbers(seed: seed)
    var compared = 0
    for zone in [berlin, newYork, lordHowe] {
      for start in [
        "2026-03-06T00:00:00Z", "2026-03-27T12:00:00Z", "2026-04-03T00:00:00Z", "2026-10-02T12:00:00Z",
        "2026-10-24T00:00:00Z", "2026-10-31T00:00:00Z",
      ] {
        let first = time(start).wholeSeconds / 60
        // What the clock shows in each minute, itself in minutes.
        let shown = (0...Int64(2 * 24 * 60)).map { minute in
          first + minute + zone.offset(at: WallTime(seconds: (first + minute) * 60)) / 60
        }
        for _ in 0..<6 {
          let made = MadeExpression(withSeconds: false, using: &numbers)
          guard let expression = try? CronExpression(made.text) else { continue }
          var expected: [Int64] = []
          var passed = shown[0]
          for (minute, reading) in shown.enumerated().dropFirst() {
            let fires: Bool
            if made.followsRealTime {
              fires = made.matches(reading * 60)
            } else {
              fires = reading > passed && (passed + 1...reading).contains { made.matches($0 * 60) }
              passed = max(passed, reading)
            }
            if fires { expected.append((first + Int64(minute)) * 60) }
          }
          let end = (first + Int64(shown.count) - 1) * 60
          var found: [Int64] = []
          var last = WallTime(seconds: first * 60)
          while let next = expression.next(after: last, in: zone), next.wholeSeconds <= end {
            found.append(next.wholeSeconds)
            last = next
          }
          #expect(found == expected, "\(made.text) from \(start), seed \(seed)")
          compared += expected.count
        }
      }
    }
    #expect(compared > 1000)
  }

  @Test("asked from any moment, the answer is the next of the chain", arguments: [UInt64(11), 12])
  func anyMoment(seed: UInt64) throws {
    var numbers = SeededNumbers(seed: seed)
    for _ in 0..<200 {
      let made = MadeExpression(withSeconds: Bool.random(using: &numbers), using: &numbers)
      guard let expression = try? CronExpression(made.text) else { continue }
      let zone = [berlin, newYork, lordHowe, .utc].randomElement(using: &numbers) ?? .utc
      let start = WallTime(seconds: Int64.random(in: 1_700_000_000...1_900_000_000, using: &numbers))
      guard let next = expression.next(after: start, in: zone) else { continue }
      #expect(next > start)
      // Nothing lies between: from any moment before it, it is the next.
      for _ in 0..<5 {
        let between = WallTime(microseconds: Int64.random(in: start.microseconds..<next.microseconds, using: &numbers))
        #expect(expression.next(after: between, in: zone) == next, "\(made.text) from \(between.rfc3339), seed \(seed)")
      }
    }
  }
}
