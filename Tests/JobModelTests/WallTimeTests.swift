/// Times as RFC 3339 writes them.
import JobModel
import SpoolTestSupport
import Testing

@Suite("Times")
struct WallTimeTests {
  @Test(
    "are read with their offset",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("1970-01-01T01:00:00+01:00", 0), ("1969-12-31T23:00:00-01:00", nil),
      ("2026-11-21T08:00:00Z", 1_795_248_000), ("2026-11-21t08:00:00z", 1_795_248_000),
      ("2026-11-21 08:00:00Z", 1_795_248_000), ("2026-11-21T13:30:00+05:30", 1_795_248_000),
      ("2026-11-21T00:15:00-07:45", 1_795_248_000), ("2024-02-29T00:00:00Z", 1_709_164_800),
      ("2000-02-29T12:00:00Z", 951_825_600), ("2016-12-31T23:59:60Z", 1_483_228_800),
      ("9999-12-31T23:59:59Z", 253_402_300_799), ("9999-12-31T23:59:60Z", nil), ("9999-12-31T23:59:59-00:01", nil),
      ("1969-12-31T23:59:59Z", nil), ("1970-01-01T00:00:00+00:01", nil), ("2023-02-29T00:00:00Z", nil),
      ("2100-02-29T00:00:00Z", nil), ("2026-11-31T00:00:00Z", nil), ("2026-00-10T00:00:00Z", nil),
      ("2026-13-10T00:00:00Z", nil), ("2026-11-00T00:00:00Z", nil), ("2026-11-21T24:00:00Z", nil),
      ("2026-11-21T08:60:00Z", nil), ("2026-11-21T08:00:61Z", nil), ("2026-11-21T08:00:00", nil), ("2026-11-21", nil),
      ("2026-11-21T08:00Z", nil), ("2026-11-21T08:00:00.Z", nil), ("2026-11-21T08:00:00+0100", nil),
      ("2026-11-21T08:00:00+24:00", nil), ("2026-11-21T08:00:00+01:60", nil), ("2026-11-21T08:00:00Zx", nil),
      (" 2026-11-21T08:00:00Z", nil), ("26-11-21T08:00:00Z", nil), ("+026-11-21T08:00:00Z", nil), ("", nil),
      ("２０２６-11-21T08:00:00Z", nil),
    ] as [(String, Int64?)])
  func reading(_ text: String, _ seconds: Int64?) {
    #expect(WallTime(rfc3339: text) == seconds.map { WallTime(seconds: $0) })
  }

  @Test("keep six digits of a fraction and pass over the rest")
  func fractions() {
    #expect(WallTime(rfc3339: "1970-01-01T00:00:00.5Z")?.microseconds == 500_000)
    #expect(WallTime(rfc3339: "1970-01-01T00:00:00.123456789Z")?.microseconds == 123_456)
    #expect(WallTime(rfc3339: "1970-01-01T00:00:00.000001+00:00")?.microseconds == 1)
  }

  @Test("are written in UTC with milliseconds")
  func writing() {
    #expect(JobFactory.now.rfc3339 == "2026-11-21T08:00:00.000Z")
    #expect(WallTime(microseconds: 1_999_999).rfc3339 == "1970-01-01T00:00:01.999Z")
    #expect(WallTime.latest.rfc3339 == "9999-12-31T23:59:59.000Z")
    #expect(JobFactory.now.day == "2026-11-21")
    var bytes: [UInt8] = []
    JobFactory.now.append(to: &bytes)
    #expect(bytes == Array("2026-11-21T08:00:00.000Z".utf8))
  }

  @Test("come back as they were written, on every day of 8,000 years")
  func roundTrip() {
    // 997 is prime, so every day of month and year comes by.
    for day in stride(from: 0 as Int64, to: 2_932_896, by: 997) {
      let time = WallTime(seconds: day * 86_400 + day % 86_400)
      #expect(WallTime(rfc3339: time.rfc3339) == time)
      #expect(time.calendar.secondsSinceEpoch == time.wholeSeconds)
      #expect(time.calendar.weekday == Int((day + 4) % 7))
    }
  }

  @Test("never overflow when a delay is added")
  func adding() {
    #expect(JobFactory.now + .seconds(1) == JobFactory.later(1))
    #expect(WallTime.latest + .seconds(Int64.max) == .latest)
    #expect(JobFactory.now + .seconds(300_000_000_000) == .latest)
    #expect(JobFactory.later(60) - JobFactory.now == .seconds(60))
  }

  @Test("no time is too far away to be written, added or compared")
  func far() {
    let times = [Int64.min, -62_167_219_200_000_001, -1, 0, 253_402_300_799_999_999, 253_402_300_800_000_000, .max]
      .map { WallTime(microseconds: $0) }
    for time in times {
      #expect(time.rfc3339.utf8.count == 24 && time.day.utf8.count == 10)
      for other in times { #expect((time - other > .zero) == (time > other)) }
      for duration in [Duration.zero, .seconds(Int64.max), .seconds(Int64.min), .seconds(3_155_760_000)] {
        #expect(time + duration <= max(.latest, time))
      }
    }
    #expect(WallTime(microseconds: .max).rfc3339 == "9999-12-31T23:59:59.999Z")
    #expect(WallTime(microseconds: -1).rfc3339 == "1969-12-31T23:59:59.999Z")
    #expect(WallTime(microseconds: .min).rfc3339 == "0000-01-01T00:00:00.000Z")
    #expect(WallTime(seconds: .max) > .latest && WallTime(seconds: .min) < WallTime(seconds: 0))
  }

  @Test(
    "a leap second is the second after it, also where there is none",
    arguments: [
      ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"), ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000Z"),
      ("2016-12-31T23:59:60.999Z", "2017-01-01T00:00:00.999Z"), ("2026-11-21T11:22:60Z", "2026-11-21T11:23:00.000Z"),
    ])
  func leap(_ text: String, _ same: String) {
    #expect(WallTime(rfc3339: text)?.rfc3339 == same)
  }

  @Test(
    "what lies outside of 1970 to 9999 is refused",
    arguments: [
      "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01", "1970-01-01T00:00:00+00:01", "1969-12-31T23:59:59Z",
      "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "2026-11-21T23:59:61Z",
      "2026-11-21T24:00:00Z", "99999999999999999999-01-01T00:00:00Z",
    ])
  func outside(_ text: String) {
    #expect(WallTime(rfc3339: text) == nil)
  }
}
