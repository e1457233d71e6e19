/// A strict reader of JSON text: RFC 8259 and nothing else. No trailing comma, no comment, no BOM, no other encoding than
/// UTF-8, nothing after the value; nesting deeper than `Limits.jsonDepth` is an error, never a crash. Duplicate keys
/// are refused, however they are escaped, except where the caller says that a value is only checked and kept.
///
/// It works on borrowed bytes and builds nothing it is not asked for: `skip` checks a value and returns its range.
package struct JSONReader {
  package let bytes: UnsafeBufferPointer<UInt8>
  package private(set) var at = 0
  private var depth = 0
  /// Levels beyond `Limits.jsonDepth`, while something of our own is read: a result may be as deep as any JSON, and lies
  /// a few levels down in its record and its audit line.
  package var slack = 0
  package static let ownLevels = 8

  package init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// What is wrong and where; `offset` counts bytes from 0.
  package struct Problem: Error, Equatable {
    package var offset: Int
    package var message: String
    package init(offset: Int, message: String) {
      self.offset = offset
      self.message = message
    }
  }

  /// Reads exactly one value that fills the whole text.
  ///
  /// - Parameter rawKeys: members of any object whose values are kept as bytes, duplicates and all.
  /// - Parameter slack: `ownLevels` for what the daemon wrote itself.
  package static func parse(
    _ json: [UInt8], rawKeys: Set<String> = [], slack: Int = 0
  ) throws(Problem) -> JSONValue {
    var result: Result<JSONValue, Problem> = .failure(Problem(offset: 0, message: "nothing was read"))
    json.withUnsafeBufferPointer { buffer in
      do throws(Problem) {
        var reader = JSONReader(buffer)
        reader.slack = slack
        try reader.begin()
        let value = try reader.value(rawKeys: rawKeys)
        try reader.end()
        result = .success(value)
      } catch {
        result = .failure(error)
      }
    }
    return try result.get()
  }

  /// Checks that the text is one JSON value; duplicate keys pass.
  package static func check(_ json: [UInt8]) throws(Problem) {
    var problem: Problem?
    json.withUnsafeBufferPointer { buffer in
      do throws(Problem) {
        var reader = JSONReader(buffer)
        try reader.begin()
        _ = try reader.skip()
        try reader.end()
      } catch {
        problem = error
      }
    }
    if let problem { throw problem }
  }

  /// Checks the encoding of the whole text and skips the space before the first value.
  package mutating func begin() throws(Problem) {
    if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
      throw Problem(offset: 0, message: "a byte order mark is not allowed in JSON; save the file as UTF-8 without BOM")
    }
    if let offset = UTF8Check.firstInvalid(bytes) {
      throw Problem(offset: offset, message: "not UTF-8 (byte 0x\(String(bytes[offset], radix: 16)))")
    }
    skipSpace()
  }

  /// Makes sure that nothing follows.
  package mutating func end() throws(Problem) {
    skipSpace()
    guard at == bytes.count else { throw problem("expected the end of the file, found \(found)") }
  }

  package mutating func skipSpace() {
    while at < bytes.count {
      switch bytes[at] {
      case 0x20, 0x0A, 0x0D, 0x09: at += 1
      default: return
      }
    }
  }

  /// The next byte, without taking it; nil at the end.
  package var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  package mutating func expect(_ byte: UInt8, _ what: String) throws(Problem) {
    guard next == byte else { throw problem("expected \(what), found \(found)") }
    at += 1
  }

  package func problem(_ message: String) -> Problem { Problem(offset: at, message: message) }

  /// The next thing in words.
  package var found: String {
    guard let byte = next else { return "the end of the file" }
    switch byte {
    case 0x21...0x7E: return "'\(Character(UnicodeScalar(byte)))'"
    default: return "byte 0x\(String(byte, radix: 16))"
    }
  }

  // MARK: Values

  /// Checks one value and steps over it; duplicate keys and lone surrogates pass. Returns its bytes' range.
  package mutating func skip() throws(Problem) -> Range<Int> {
    let start = at
    guard let byte = next else { throw problem("expected a value, found the end of the file") }
    switch byte {
    case UInt8(ascii: "\""): _ = try stringToken()
    case UInt8(ascii: "{"):
      try descend()
      var more = try openContainer(closing: UInt8(ascii: "}"))
      while more {
        guard next == UInt8(ascii: "\"") else { throw problem("expected a key in quotes, found \(found)") }
        _ = try stringToken()
        try colon()
        _ = try skip()
        more = try continueContainer(closing: UInt8(ascii: "}"))
      }
      depth -= 1
    case UInt8(ascii: "["):
      try descend()
      var more = try openContainer(closing: UInt8(ascii: "]"))
      while more {
        _ = try skip()
        more = try continueContainer(closing: UInt8(ascii: "]"))
      }
      depth -= 1
    case UInt8(ascii: "t"): try literal("true")
    case UInt8(ascii: "f"): try literal("false")
    case UInt8(ascii: "n"): try literal("null")
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
    default: throw problem("expected a value, found \(found)")
    }
    return start..<at
  }

  /// Reads one value into memory; duplicate keys and lone surrogates are refused, except below `rawKeys`.
  package mutating func value(rawKeys: Set<String> = []) throws(Problem) -> JSONValue {
    guard let byte = next else { throw problem("expected a value, found the end of the file") }
    switch byte {
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "{"):
      var members: [JSONValue.Member] = []
      // By their bytes: two strings of Swift are equal when they only look alike, two keys are not.
      var keys = Set<[UInt8]>()
      try object { reader, key, offset throws(Problem) in
        guard keys.insert(Array(key.utf8)).inserted else {
          throw Problem(offset: offset, message: "the key \"\(key)\" occurs twice")
        }
        if rawKeys.contains(key) {
          let range = try reader.skip()
          members.append(.init(key: key, value: .raw(Array(reader.bytes[range]))))
        } else {
          members.append(.init(key: key, value: try reader.value(rawKeys: rawKeys)))
        }
      }
      return .object(members)
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      try descend()
      var more = try openContainer(closing: UInt8(ascii: "]"))
      while more {
        elements.append(try value(rawKeys: rawKeys))
        more = try continueContainer(closing: UInt8(ascii: "]"))
      }
      depth -= 1
      return .array(elements)
    default:
      let range = try skip()
      switch bytes[range.lowerBound] {
      case UInt8(ascii: "t"): return .bool(true)
      case UInt8(ascii: "f"): return .bool(false)
      case UInt8(ascii: "n"): return .null
      default: return .number(String(decoding: bytes[range], as: UTF8.self))
      }
    }
  }

  /// Reads an object member by member: `body` gets each decoded key with the offset of its quote and must take the value.
  package mutating func object(
    _ body: (inout JSONReader, String, Int) throws(Problem) -> Void
  ) throws(Problem) {
    guard next == UInt8(ascii: "{") else { throw problem("expected an object, found \(found)") }
    try descend()
    var more = try openContainer(closing: UInt8(ascii: "}"))
    while more {
      let offset = at
      guard next == UInt8(ascii: "\"") else { throw problem("expected a key in quotes, found \(found)") }
      let key = try string()
      try colon()
      try body(&self, key, offset)
      more = try continueContainer(closing: UInt8(ascii: "}"))
    }
    depth -= 1
  }

  /// Reads an array element by element: `body` must take each.
  package mutating func array(
    _ body: (inout JSONReader) throws(Problem) -> Void
  ) throws(Problem) {
    guard next == UInt8(ascii: "[") else { throw problem("expected an array, found \(found)") }
    try descend()
    var more = try openContainer(closing: UInt8(ascii: "]"))
    while more {
      try body(&self)
      more = try continueContainer(closing: UInt8(ascii: "]"))
    }
    depth -= 1
  }

  /// Reads a string and decodes its escapes. A lone surrogate is an error: no text can hold it.
  package mutating func string() throws(Problem) -> String {
    let start = at
    guard next == UInt8(ascii: "\"") else { throw problem("expected a string, found \(found)") }
    let escaped = try stringToken()
    let inner = UnsafeBufferPointer(rebasing: bytes[start + 1..<at - 1])
    guard escaped else { return String(decoding: inner, as: UTF8.self) }
    return try JSONReader.unescape(inner, offset: start + 1)
  }

  private mutating func colon() throws(Problem) {
    skipSpace()
    try expect(UInt8(ascii: ":"), "':' after the key")
    skipSpace()
  }

  private mutating func descend() throws(Problem) {
    depth += 1
    guard depth <= Limits.jsonDepth + slack else {
      throw problem("nested deeper than \(Limits.jsonDepth) levels")
    }
  }

  /// Takes the opening bracket; false when the container is empty (closing bracket taken too).
  private mutating func openContainer(closing: UInt8) throws(Problem) -> Bool {
    at += 1
    skipSpace()
    if next == closing {
      at += 1
      return false
    }
    return true
  }

  /// After an element: true at a comma, false at the closing bracket, both taken.
  private mutating func continueContainer(closing: UInt8) throws(Problem) -> Bool {
    skipSpace()
    if next == closing {
      at += 1
      return false
    }
    guard next == UInt8(ascii: ",") else {
      throw problem("expected ',' or '\(Character(UnicodeScalar(closing)))', found \(found)")
    }
    at += 1
    skipSpace()
    if next == closing { throw problem("a comma before '\(Character(UnicodeScalar(closing)))' is not allowed") }
    return true
  }

  private mutating func literal(_ word: StaticString) throws(Problem) {
    for index in 0..<word.utf8CodeUnitCount {
      guard at + index < bytes.count, bytes[at + index] == word.utf8Start[index] else {
        throw problem("expected \(word), found something else")
      }
    }
    at += word.utf8CodeUnitCount
  }

  private mutating func digits(_ what: String) throws(Problem) {
    let start = at
    while let byte = next, byte >= 48, byte <= 57 { at += 1 }
    guard at > start else { throw problem("expected a digit \(what), found \(found)") }
  }

  private mutating func number() throws(Problem) {
    if next == UInt8(ascii: "-") { at += 1 }
    if next == UInt8(ascii: "0") {
      at += 1
      if let byte = next, byte >= 48, byte <= 57 { throw problem("a number may not begin with 0") }
    } else {
      try digits("in the number")
    }
    if next == UInt8(ascii: ".") {
      at += 1
      try digits("after the decimal point")
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      at += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
      try digits("in the exponent")
    }
  }

  /// Checks a string and steps over it; true when it has escapes. The encoding was checked by `begin`.
  private mutating func stringToken() throws(Problem) -> Bool {
    let start = at
    var escaped = false
    at += 1
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""):
        at += 1
        return escaped
      case UInt8(ascii: "\\"):
        escaped = true
        at += 1
        guard let letter = next else { break }
        switch letter {
        case UInt8(ascii: "u"):
          for index in 1...4 {
            guard at + index < bytes.count, JSONReader.hexDigit(bytes[at + index]) != nil else {
              throw problem("\\u needs four hexadecimal digits")
            }
          }
          at += 5
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
          UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
          at += 1
        default: throw problem("\\\(Character(UnicodeScalar(letter))) is no escape of JSON")
        }
      case 0..<0x20:
        throw problem("a control character (0x\(String(bytes[at], radix: 16))) must be escaped inside a string")
      default: at += 1
      }
    }
    throw Problem(offset: start, message: "the string that begins here is not closed")
  }

  private static func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 48...57: UInt32(byte - 48)
    case 65...70: UInt32(byte - 55)
    case 97...102: UInt32(byte - 87)
    default: nil
    }
  }

  private static func unescape(_ inner: UnsafeBufferPointer<UInt8>, offset: Int) throws(Problem) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(inner.count)
    var index = 0
    func unit(_ start: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 << 4 | (hexDigit(inner[start + $1]) ?? 0) }
    }
    while index < inner.count {
      guard inner[index] == UInt8(ascii: "\\") else {
        text.append(inner[index])
        index += 1
        continue
      }
      let letter = inner[index + 1]
      index += 2
      switch letter {
      case UInt8(ascii: "b"): text.append(8)
      case UInt8(ascii: "f"): text.append(12)
      case UInt8(ascii: "n"): text.append(10)
      case UInt8(ascii: "r"): text.append(13)
      case UInt8(ascii: "t"): text.append(9)
      case UInt8(ascii: "u"):
        var scalar = unit(index)
        let place = index - 2
        index += 4
        if (0xD800..<0xDC00).contains(scalar), index + 6 <= inner.count, inner[index] == UInt8(ascii: "\\"),
          inner[index + 1] == UInt8(ascii: "u"), (0xDC00..<0xE000).contains(unit(index + 2))
        {
          scalar = 0x10000 + (scalar - 0xD800) << 10 + (unit(index + 2) - 0xDC00)
          index += 6
        }
        guard let decoded = UnicodeScalar(scalar) else {
          throw Problem(offset: offset + place, message: "half of a surrogate pair stands alone")
        }
        text.append(contentsOf: Character(decoded).utf8)
      default: text.append(letter)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Line and column of an offset, both from 1; columns count characters, as editors do.
package struct TextPlace: Sendable, Equatable {
  package var line: Int
  package var column: Int

  package init(offset: Int, in bytes: UnsafeBufferPointer<UInt8>) {
    var line = 1
    var start = 0
    for index in 0..<Swift.min(offset, bytes.count) where bytes[index] == 0x0A {
      line += 1
      start = index + 1
    }
    self.line = line
    // Continuation bytes of UTF-8 are no characters of their own.
    column = 1 + bytes[start..<Swift.min(offset, bytes.count)].count { $0 & 0xC0 != 0x80 }
  }
}

/// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
package enum UTF8Check {
  /// The offset of the first byte that is not UTF-8; nil when all is well.
  package static func firstInvalid(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    var index = 0
    let count = bytes.count
    let base = UnsafeRawBufferPointer(bytes)
    while index < count {
      // Eight ASCII bytes at a time.
      while index + 8 <= count,
        base.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
      {
        index += 8
      }
      guard index < count else { return nil }
      let lead = bytes[index]
      let length: Int
      let second: ClosedRange<UInt8>
      switch lead {
      case 0..<0x80:
        index += 1
        continue
      case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
      case 0xE0: (length, second) = (3, 0xA0...0xBF)
      case 0xED: (length, second) = (3, 0x80...0x9F)
      case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
      case 0xF0: (length, second) = (4, 0x90...0xBF)
      case 0xF4: (length, second) = (4, 0x80...0x8F)
      case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
      default: return index
      }
      guard index + length <= count, second.contains(bytes[index + 1]) else { return index }
      for step in 2..<max(length, 2) where bytes[index + step] & 0xC0 != 0x80 { return index }
      index += length
    }
    return nil
  }
}
