import JobModel
import Testing

@Suite("The yearly rule of a time zone") struct YearlyRuleTests {
  @Test(
    "gives the offset of any moment",
    arguments: [
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T00:59:59Z", 3600),
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00:00Z", 7200),
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T00:59:59Z", 7200),
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00:00Z", 3600),
      ("EST5EDT,M3.2.0,M11.1.0", "2400-07-01T00:00:00Z", -14_400),
      ("EST5EDT,M3.2.0,M11.1.0", "2400-12-31T23:59:59Z", -18_000),
      // Summer over the new year, half an hour of it.
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-01-01T00:00:00Z", 39_600),
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-06-01T00:00:00Z", 37_800),
      // Godthab: a time before midnight; Gaza: one far after.
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200),
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 7200),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00:00Z", 10_800),
      // Dublin: winter is the exception.
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T00:00:00Z", 3600),
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-12-01T00:00:00Z", 0),
      // Summer time all year, as RFC 8536 writes it.
      ("EST5EDT,0/0,J365/25", "2026-01-01T04:30:00Z", -14_400),
      ("EST5EDT,0/0,J365/25", "2026-12-31T23:30:00Z", -14_400),
      // Days by number: J60 is 1 March in every year, 59 is 29 February in a leap year.
      ("AAA0BBB,J60/0,J300/0", "2028-02-29T23:59:59Z", 0), ("AAA0BBB,J60/0,J300/0", "2028-03-01T00:00:00Z", 3600),
      ("AAA0BBB,59/0,300/0", "2028-02-29T00:00:00Z", 3600), ("AAA0BBB,59/0,300/0", "2027-02-28T23:59:59Z", 0),
      ("UTC0", "2026-01-01T00:00:00Z", 0), ("<-0330>3:30", "2026-01-01T00:00:00Z", -12_600),
    ] as [(String, String, Int64)])
  func offset(rule: String, moment: String, expected: Int64) {
    #expect(zone(rule).offset(at: time(moment)) == expected)
  }

  @Test(
    "is refused when it is none",
    arguments: [
      "", "C", "CET", "CET-", "CET-1CEST", "CET-25", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
      "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,J0,J366",
      "CET-1CEST,M3.5.0,M10.5.0x", "<CET-1", "CET-1:60", ":Europe/Berlin", "CET-99999999999999999999",
      String(repeating: "A", count: 100_000) + "0",
    ])
  func refused(rule: String) {
    #expect(YearlyRule(posix: rule) == nil)
  }
}
