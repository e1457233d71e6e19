import Testing

@testable import JobSchema

@Suite("Formats") struct FormatTests {
  @Test("date-time is RFC 3339 with offset")
  func dateTime() {
    fits(
      .dateTime,
      [
        "2026-11-21T08:00:00Z", "2024-02-29t23:59:59.123456789012+14:00", "2000-02-29T00:00:00-00:00",
        "1998-12-31T23:59:60Z", "1998-12-31T15:59:60.123-08:00", "1999-01-01T05:29:60+05:30", "0000-01-01T00:00:00z",
      ],
      but: [
        "2026-11-21T08:00:00", "2026-11-21 08:00:00Z", "2026-11-21", "2026-02-29T08:00:00Z", "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-11-21T24:00:00Z", "2026-11-21T08:60:00Z", "1998-12-31T23:58:60Z", "1998-12-31T22:59:60Z",
        "2026-11-21T08:00:00.Z", "2026-11-21T08:00:00,5Z", "2026-11-21T08:00:00+0100", "2026-11-21T08:00:00+24:00",
        "2026-11-21T08:00:00+01:60", "2026-11-21T08:00Z", "26-11-21T08:00:00Z", "2026-11-21T08:00:00Z ",
        "+002026-11-21T08:00:00Z", "2026-11-2\u{661}T08:00:00Z", "", "2026-11-21T08:00:61Z",
      ])
  }

  @Test("date and time are its halves")
  func dateAndTime() {
    fits(.date, ["2026-11-21", "2024-02-29"], but: ["2026-11-31", "2026-11-21Z", "20261121", ""])
    fits(.time, ["08:00:00Z", "23:59:60+00:00", "08:00:00.5-01:30"], but: ["08:00:00", "8:00:00Z", "24:00:00Z", ""])
  }

  @Test("email is the Mailbox of RFC 5321")
  func email() {
    fits(
      .email,
      [
        "ann@example.org", "a.b+c!#$%&'*/=?^_`{|}~-@x", "\"a b\\\"@\"@example.org", "a@[127.0.0.1]",
        "a@[IPv6:2001:db8::1]", String(repeating: "a", count: 64) + "@example.org", "A@EXAMPLE.ORG",
        "a@xn--bcher-kva.example",
      ],
      but: [
        "", "@", "a@", "@b", "ann", "a@b@c", ".a@b", "a.@b", "a..b@c", "a b@c", "a@-b", "a@b-", "a@b..c", "a@b.",
        "\"a@b", "\"a\"b@c", "a@[127.0.0.256]", "a@[IPv6:1::2::3]", "a@[1.2.3.4", "ä@example.org", "a@exämple.org",
        String(repeating: "a", count: 65) + "@b", "a@" + String(repeating: "b", count: 64), "a@b\n", "a@b c", "a,b@c",
        "a@" + Array(repeating: "bcdefghi", count: 29).joined(separator: "."),
      ])
  }

  @Test("uri is RFC 3986 with a scheme")
  func uri() {
    fits(
      .uri,
      [
        "https://example.org", "http://u:p@example.org:8080/a/b;c=1?q=%20&r#f/?", "mailto:ann@example.org",
        "urn:isbn:0451450523", "file:///etc/passwd", "http://[2001:db8::1]:80/", "http://[::ffff:1.2.3.4]/",
        "http://[v1.a:b]/", "a:", "ftp://h:/x", "tel:+1-816-555-1212", "http://[::]/", "x:/a//b",
      ],
      but: [
        "", "example.org", "/a/b", "//example.org/a", "http//x", "1http://x", ":x", "http://a b", "http://a/%2",
        "http://a/%zz", "http://exa mple.org", "http://[1::2::3]/", "http://[::1", "http://a/{b}", "http://a/\\b",
        "http://a:8a/", "http://ä.org/", "http://a/<b>", "http://a#b#c", "http://[:1]/", "http://[1:2:3:4:5:6:7]/",
        "http://[1:2:3:4:5:6:7:8:9]/", "http://[1:2:3:4:5:6:7:]/", "http://a\"/", "http://[::1]x/", "#a", "?a",
      ])
  }

  @Test("uuid is eight, four, four, four and twelve digits")
  func uuid() {
    fits(
      .uuid, ["01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057"],
      but: [
        "", "01890a5dac96774bbcceb302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "01890a5d-ac96-774b-bcce-b302099a805", "01890a5d-ac96-774b-bcce-b302099a80577",
        "01890a5g-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bccee-302099a8057",
      ])
  }

  @Test("a format asks nothing of what is no string")
  func otherValues() {
    for format in Format.allCases {
      #expect(findings(#"{"format":"\#(format.rawValue)"}"#, "[1,null,{}]") == [])
      #expect(
        findings(#"{"format":"\#(format.rawValue)"}"#, "\"?\"").first?.contains("expected \(format.words)") == true)
    }
  }

  private func fits(_ format: Format, _ good: [String], but bad: [String]) {
    for text in good { #expect(format.accepts(text), "\(text)") }
    for text in bad { #expect(!format.accepts(text), "\(text)") }
  }
}
