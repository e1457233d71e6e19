import JobModel
import Testing

@Suite("Cron expressions") struct CronExpressionTests {
  @Test(
    "fire at the times their fields say",
    arguments: [
      ("* * * * *", ["2026-11-21T01:40:00Z", "2026-11-21T01:41:00Z", "2026-11-21T01:42:00Z"]),
      ("0 * * * *", ["2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z"]),
      ("*/15 * * * *", ["2026-11-21T01:45:00Z", "2026-11-21T02:00:00Z"]),
      ("5/15 * * * *", ["2026-11-21T01:50:00Z", "2026-11-21T02:05:00Z"]),
      ("23 0-23/2 * * *", ["2026-11-21T02:23:00Z", "2026-11-21T04:23:00Z"]),
      ("0 9-17 * * mon-fri", ["2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z"]),
      ("15 14 1 * *", ["2026-12-01T14:15:00Z", "2027-01-01T14:15:00Z"]),
      ("5 4 * * sun", ["2026-11-22T04:05:00Z", "2026-11-29T04:05:00Z"]),
      ("5 4 * * 0", ["2026-11-22T04:05:00Z"]), ("5 4 * * 7", ["2026-11-22T04:05:00Z"]),
      ("0 0 * * fri-sun", ["2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"]),
      ("0 0 * * 5-7", ["2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"]),
      ("0 0 1 jan,JUL *", ["2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z"]),
      ("0 0 ? * mon", ["2026-11-23T00:00:00Z"]), ("0 0 1 * ?", ["2026-12-01T00:00:00Z"]),
      ("0 0 31-31 * *", ["2026-12-31T00:00:00Z"]),
      (" 0\t0  1 * * ", ["2026-12-01T00:00:00Z"]),
      // Six fields: seconds first.
      ("30 * * * * *", ["2026-11-21T01:39:30Z", "2026-11-21T01:40:30Z"]),
      ("*/20 39 1 * * *", ["2026-11-21T01:39:20Z", "2026-11-21T01:39:40Z", "2026-11-22T01:39:00Z"]),
      ("* * * * * *", ["2026-11-21T01:39:03Z", "2026-11-21T01:39:04Z"]),
      ("@yearly", ["2027-01-01T00:00:00Z"]), ("@annually", ["2027-01-01T00:00:00Z"]),
      ("@monthly", ["2026-12-01T00:00:00Z"]), ("@weekly", ["2026-11-22T00:00:00Z"]),
      ("@daily", ["2026-11-22T00:00:00Z"]), ("@midnight", ["2026-11-22T00:00:00Z"]),
      ("@hourly", ["2026-11-21T02:00:00Z"]),
    ] as [(String, [String])])
  func fire(text: String, expected: [String]) throws {
    #expect(try firings(text, after: "2026-11-21T01:39:02Z", count: expected.count) == expected)
  }

  @Test("day of month or day of week when neither starts with *, both when one does")
  func days() throws {
    let start = "2026-11-01T00:00:00Z"
    // Friday the 13th is a matter of *.
    #expect(
      try firings("0 0 13 * fri", after: start, count: 3)
        == ["2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"])
    #expect(
      try firings("30 4 1,15 * 5", after: start, count: 4)
        == ["2026-11-01T04:30:00Z", "2026-11-06T04:30:00Z", "2026-11-13T04:30:00Z", "2026-11-15T04:30:00Z"])
    // Starts with * though it restricts: odd days that are Fridays.
    #expect(
      try firings("0 0 */2 * fri", after: start, count: 2) == ["2026-11-13T00:00:00Z", "2026-11-27T00:00:00Z"])
    #expect(
      try firings("0 0 13 * */5", after: start, count: 2) == ["2026-11-13T00:00:00Z", "2026-12-13T00:00:00Z"])
    // A range over everything does not start with *.
    #expect(
      try firings("0 0 1-31 * fri", after: start, count: 2) == ["2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"])
  }

  @Test("29 February fires in leap years, and skips 2100")
  func leapDays() throws {
    #expect(
      try firings("0 0 29 2 *", after: "2026-01-01T00:00:00Z", count: 2) == [
        "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z",
      ])
    #expect(try firings("0 0 29 2 *", after: "2096-03-01T00:00:00Z", count: 1) == ["2104-02-29T00:00:00Z"])
    #expect(try firings("0 0 29 2 *", after: "2396-03-01T00:00:00Z", count: 1) == ["2400-02-29T00:00:00Z"])
    // On a Sunday (`*/7` is Sunday and starts with *): 28 years apart, 40 over 2100.
    #expect(
      try firings("0 0 29 2 */7", after: "2060-03-01T00:00:00Z", count: 2) == [
        "2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z",
      ])
    #expect(
      try firings("0 0 31 * *", after: "2026-11-01T00:00:00Z", count: 2) == [
        "2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z",
      ])
  }

  @Test("strictly after, to the microsecond")
  func strictlyAfter() throws {
    let noon = try CronExpression("0 12 * * *")
    let moment = time("2026-11-21T12:00:00Z")
    func micro(_ offset: Int64) -> WallTime { WallTime(microseconds: moment.microseconds + offset) }
    #expect(noon.next(after: micro(-1)) == moment)
    #expect(noon.next(after: moment) == time("2026-11-22T12:00:00Z"))
    #expect(noon.next(after: micro(1)) == time("2026-11-22T12:00:00Z"))
    let every = try CronExpression("* * * * * *")
    #expect(every.next(after: micro(999_999)) == micro(1_000_000))
    #expect(every.next(after: micro(1_000_000)) == micro(2_000_000))
  }

  @Test("times before 1970 and at the end of the calendar")
  func edges() throws {
    let expression = try CronExpression("0 0 1 1 *")
    #expect(expression.next(after: WallTime(seconds: -1)) == WallTime(seconds: 0))
    #expect(expression.next(after: WallTime(microseconds: -1)) == WallTime(seconds: 0))
    #expect(expression.next(after: time("9999-06-01T00:00:00Z")) == nil)
    #expect(expression.next(after: .latest) == nil)
    #expect(expression.next(after: WallTime(microseconds: .max)) == nil)
    #expect(expression.next(after: WallTime(microseconds: .min)) == nil)
    let leap = try CronExpression("0 0 29 2 *")
    #expect(leap.next(after: time("9996-03-01T00:00:00Z"), in: berlin) == nil)
  }

  @Test("a firing's id is the schedule's name and the time in UTC")
  func firingID() {
    #expect(CronExpression.firingID(of: "nightly", at: time("2026-11-21T01:39:02.512Z")) == "nightly.20261121T013902Z")
  }

  @Test("describes itself as it was written") func description() throws {
    #expect(try CronExpression("@daily").description == "@daily")
  }
}
