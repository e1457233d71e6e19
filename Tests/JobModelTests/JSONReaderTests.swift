/// The strict reader against the cases of RFC 8259 that other parsers disagree on.
import JobModel
import SpoolTestSupport
import Testing

@Suite("Reading JSON")
struct JSONReaderTests {
  private func isChecked(_ bytes: [UInt8]) -> Bool { (try? JSONReader.check(bytes)) != nil }
  private func isRead(_ bytes: [UInt8]) -> Bool { (try? JSONReader.parse(bytes)) != nil }

  @Test(
    "accepts what RFC 8259 allows",
    arguments: [
      "null", "true", "false", "0", "-0", "-0.0", "1e5", "1E+5", "1.25e-10", "123456789012345678901234567890", "\"\"",
      " [ ] ", "{}", "\t\r\n{\"a\":\n[1,2,{\"b\":null}]}\n", "\"\\u0000\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
      "\"\u{7F}\"",
      "\"\u{2028}\u{FEFF}\"", "\"\\uD83D\\uDE00\"", "{\"\":1}", "[\"a\",\"a\"]", "{\"a\":{\"k\":1},\"b\":{\"k\":1}}",
      "\"\u{10FFFF}\"",
    ])
  func accepts(_ text: String) {
    #expect(isChecked(Array(text.utf8)))
    #expect(isRead(Array(text.utf8)))
  }

  @Test(
    "refuses everything else",
    arguments: [
      "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10",
      "1_000",
      "1 2", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
      "{a:1}", "{'a':1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{1:2}", "\"", "\"a", "\"\\", "\"\\\"", "\"\\x41\"",
      "\"\\u12\"",
      "\"\\u12G4\"", "\"\\U0041\"", "\"\n\"", "\"\t\"", "\"\u{0}\"", "\"\u{1F}\"", "// c\n1", "/* c */1", "[1]x",
      "{}{}",
      "\u{FEFF}{}", "\u{A0}1", "\u{2028}1", "'a'", "[1}", "{\"a\":1]",
    ])
  func refuses(_ text: String) {
    #expect(!isChecked(Array(text.utf8)))
    #expect(!isRead(Array(text.utf8)))
  }

  @Test(
    "refuses what is not UTF-8",
    arguments: [
      [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xF0, 0x80, 0x80, 0x80],
      [0xF0, 0x8F, 0xBF, 0xBF],
      [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xFE],
      [0x80],
      [0xC3], [0xC3, 0x28], [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xF0, 0x9F, 0x98], [0xF0, 0x9F, 0x98, 0x28],
    ] as [[UInt8]])
  func notUTF8(_ bytes: [UInt8]) {
    // At every distance from the start: the check goes eight bytes at a time.
    for lead in 0..<17 {
      let text = Array("\"".utf8) + [UInt8](repeating: 0x61, count: lead) + bytes
      let problem = #expect(throws: JSONReader.Problem.self) { try JSONReader.check(text + Array("\"".utf8)) }
      #expect(problem?.offset == 1 + lead)
      #expect(problem?.message.hasPrefix("not UTF-8") == true)
      #expect(!isChecked(text))
    }
  }

  @Test("accepts the first and last character of every UTF-8 length")
  func utf8Bounds() {
    for scalar in [0x20, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF] as [UInt32] {
      guard let scalar = UnicodeScalar(scalar) else { continue }
      #expect(isRead(Array("\"\(Character(scalar))\"".utf8)))
    }
  }

  @Test("refuses UTF-16 and UTF-32, with a mark or without")
  func otherEncodings() {
    let text = "{\"a\":1}"
    let little: [UInt8] = text.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    let big: [UInt8] = text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    let wide: [UInt8] = text.utf8.flatMap { [$0, 0, 0, 0] as [UInt8] }
    let marked: [[UInt8]] = [[0xFF, 0xFE] + little, [0xFE, 0xFF] + big]
    for bytes in [little, big, wide] + marked {
      #expect(!isChecked(bytes))
    }
  }

  @Test(
    "refuses duplicate keys however they are written, but only when values are built",
    arguments: [
      "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":2}", "{\"/\":1,\"\\/\":2}", "{\"x\":{\"é\":1,\"\\u00e9\":2}}",
      "[{\"😀\":1,\"\\ud83d\\ude00\":2}]",
    ])
  func duplicates(_ text: String) {
    #expect(!isRead(Array(text.utf8)))
    #expect(isChecked(Array(text.utf8)))
  }

  @Test("two keys that only look alike are two")
  func canonicalEquivalents() throws {
    let value = try JSONReader.parse(Array("{\"\u{E9}\":1,\"e\u{301}\":2}".utf8))
    #expect(value.members?.count == 2)
  }

  @Test(
    "refuses half a surrogate pair in a text it decodes, and keeps it in one it does not",
    arguments: [
      "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\\udc00\\ud800\"", "\"\\ud800\\ud800\"",
    ])
  func surrogates(_ text: String) throws {
    #expect(!isRead(Array(text.utf8)))
    #expect(isChecked(Array(text.utf8)))
    let raw = try JSONReader.parse(Array("{\"p\":\(text)}".utf8), rawKeys: ["p"])
    #expect(raw["p"] == .raw(Array(text.utf8)))
    #expect(!isRead(Array("{\(text):1}".utf8)))
  }

  @Test("decodes every escape")
  func escapes() throws {
    let value = try JSONReader.parse(Array("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\\uD83D\\uDE00z\"".utf8))
    #expect(value.string == "\"\\/\u{8}\u{C}\n\r\t\u{E9}\u{1F600}z")
  }

  @Test("keeps numbers as they were written")
  func numbers() throws {
    for text in ["1.0", "-0", "1e400", "12345678901234567890"] {
      #expect(try JSONReader.parse(Array(text.utf8)) == .number(text))
    }
    #expect(try JSONReader.parse(Array("9223372036854775808".utf8)).int == nil)
    #expect(try JSONReader.parse(Array("1.0".utf8)).int == nil)
  }

  @Test("goes 512 levels deep and no further", arguments: [("[", "]"), ("{\"a\":", "}")])
  func depth(_ brackets: (String, String)) {
    func nested(_ depth: Int) -> [UInt8] {
      let inner = brackets.0 == "[" ? "" : "1"
      return Array(
        (String(repeating: brackets.0, count: depth) + inner + String(repeating: brackets.1, count: depth)).utf8)
    }
    #expect(isChecked(nested(512)) && isRead(nested(512)))
    #expect(!isChecked(nested(513)) && !isRead(nested(513)))
    #expect(!isChecked(nested(100_000)) && !isRead(nested(100_000)))
    // Neighbours do not add up.
    #expect(isChecked(Array("[".utf8) + nested(511) + [0x2C] + nested(511) + Array("]".utf8)))
  }

  @Test(
    "says where, by line and column, from 1, in characters",
    arguments: [
      ("x", 1, 1), ("[1,\n 2,\n x]", 3, 2), ("{\"ü€😀\": x}", 1, 9), ("[1,]", 1, 4), ("{\"a\":1,\n\"a\":2}", 2, 1),
      ("[\"abc", 1, 2), ("[\"a\tb\"]", 1, 4), ("", 1, 1), ("[\r\n\r\n@]", 3, 1), ("[1] 2", 1, 5),
    ])
  func places(_ text: String, _ line: Int, _ column: Int) {
    let bytes = Array(text.utf8)
    let problem = #expect(throws: JSONReader.Problem.self) { try JSONReader.parse(bytes) }
    let place = bytes.withUnsafeBufferPointer { TextPlace(offset: problem?.offset ?? -1, in: $0) }
    #expect(place.line == line && place.column == column, "\(problem?.message ?? "") at \(place)")
  }

  @Test("and the writer agree")
  func roundTrip() throws {
    let texts = [
      "", "a\"b\\c/", "\u{0}\u{1F}\u{7F}\u{80}\u{9F}\u{A0}", "\n\r\t", "é😀\u{2028}",
      String(repeating: "x", count: 5000),
    ]
    for text in texts {
      var writer = JSONWriter()
      writer.string(text)
      #expect(try JSONReader.parse(writer.bytes).string == text)
      // A terminal must not be moved by a log line.
      let controls = String(decoding: writer.bytes, as: UTF8.self).unicodeScalars
        .filter { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
      #expect(controls.isEmpty)
    }
    var writer = JSONWriter()
    writer.beginArray()
    for number in [0, -1, Int.max, Int.min, 42] { writer.int(number) }
    for number in [0.5, -2.0, 1e300, .infinity, .nan] { writer.double(number) }
    writer.endArray()
    let value = try JSONReader.parse(writer.bytes)
    #expect(value.array?.prefix(5).map(\.int) == [0, -1, Int.max, Int.min, 42])
    #expect(value.array?.dropFirst(5).map(\.double) == [0.5, -2, 1e300, nil, nil])
  }

  @Test("survives random bytes, and what it accepts it writes back as JSON")
  func random() throws {
    var generator = SeededRandom(7)
    let alphabet = Array("{}[]\",:0123456789.eE+-truefalsn\\u \n".utf8) + [0xC3, 0xA9, 0x00, 0xFF]
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
      }
      guard let value = try? JSONReader.parse(bytes) else { continue }
      #expect(try JSONReader.parse(value.bytes) == value)
      #expect((try? JSONReader.check(bytes)) != nil)
    }
  }
}
