/// Durations, sizes, rates and JSON pointers as people write them.
import JobModel
import Testing

@Suite struct TextFormsTests {
  @Test("text from elsewhere stays a line and steers no terminal")
  func plain() {
    #expect(TerminalText.plain("a\nb\u{1B}[31m\u{202E}c\u{7F} \u{E4}") == "a b\u{FFFD}[31m\u{FFFD}c\u{FFFD} \u{E4}")
  }

  @Test(
    "durations read as documented",
    arguments: [
      ("250ms", 250_000), ("90s", 90_000_000), ("5m", 300_000_000), ("2h", 7_200_000_000), ("1d", 86_400_000_000),
      ("1.5s", 1_500_000), ("0s", 0), ("0.25ms", 250),
    ] as [(String, Int64)])
  func durations(text: String, microseconds: Int64) {
    #expect(DurationText.parse(text)?.inMicroseconds == microseconds)
  }

  @Test(
    "what is no duration is nil",
    arguments: [
      "", "s", "5", "-1s", "+1s", " 1s", "1 s", "1S", "1w", "1h30m", "1e3s", "0x10s", "infs", "1..2s", "99999999d",
    ])
  func notDurations(text: String) { #expect(DurationText.parse(text) == nil) }

  @Test("a duration prints with the largest whole unit, and reads back")
  func format() {
    for (microseconds, text) in [
      (0, "0s"), (86_400_000_000, "1d"), (5_400_000_000, "90m"), (90_000_000, "90s"), (1_500_000, "1500ms"),
      (1, "0.001ms"), (1_250, "1.25ms"),
    ] as [(Int64, String)] {
      #expect(DurationText.format(.microseconds(microseconds)) == text)
      #expect(DurationText.parse(text) == .microseconds(microseconds))
    }
  }

  @Test("sizes and shares read as documented, and nothing else does")
  func sizes() {
    #expect(SizeText.parse("64K") == 65536)
    #expect(SizeText.parse("2G") == 2 << 30)
    #expect(SizeText.parse("12") == 12)
    #expect(SizeText.percent("5%") == 5)
    for text in ["", "K", "-1K", "64KB", "1.5G", "9999999999999T", "0x10"] { #expect(SizeText.parse(text) == nil) }
    for text in ["5", "%", "101%", "-1%", "nan%", "0x5%", "5 %"] { #expect(SizeText.percent(text) == nil) }
    for bytes in [0, 1, 1023, 1024, 1 << 20, 3 << 30] { #expect(SizeText.parse(SizeText.format(bytes)) == bytes) }
  }

  @Test("rates read as documented, and nothing else does")
  func rates() {
    #expect(Rate(text: "100/15m") == Rate(limit: 100, per: .seconds(900)))
    #expect(Rate(text: "200/s") == Rate(limit: 200, per: .seconds(1)))
    #expect(Rate(text: "100/15m")?.text == "100/15m")
    for text in ["", "/", "100", "100/", "/s", "0/s", "+1/s", "1/0s", "1/2/s", "1/ s", "1/-1s", "1/.5s", "1/5"] {
      #expect(Rate(text: text) == nil)
    }
  }

  @Test("pointers follow RFC 6901")
  func pointers() {
    #expect(JSONPointer("")?.tokens == [])
    #expect(JSONPointer("/")?.tokens == [""])
    #expect(JSONPointer("/payload/a~1b/~01/0")?.tokens == ["payload", "a/b", "~1", "0"])
    for text in ["a", "a/b", "#/a", "/~", "/~2", "/a~"] { #expect(JSONPointer(text) == nil) }
  }

  @Test("pointers overlap when one holds the other, by token and not by letter")
  func overlap() throws {
    let pointer = try #require(JSONPointer("/payload/user"))
    for (text, overlaps) in [
      ("/payload/user", true), ("/payload/user/id", true), ("/payload", true), ("", true), ("/payload/userId", false),
      ("/payload/x", false),
    ] {
      let other = try #require(JSONPointer(text))
      #expect(pointer.overlaps(other) == overlaps)
      #expect(other.overlaps(pointer) == overlaps)
    }
  }
}
