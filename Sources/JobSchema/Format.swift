/// `format`: texts of a well-known shape. All of them are asserted; a format that is not listed is refused when the
/// schema is loaded. The shapes are those of RFC 3339 (times), RFC 5321 (email), RFC 3986 (uri) and RFC 9562 (uuid).
enum Format: String, Sendable, CaseIterable {
  case dateTime = "date-time"
  case date
  case time
  case email
  case uri
  case uuid

  /// What a message asks for.
  var words: String {
    switch self {
    case .dateTime: "a date and time with offset such as \"2026-11-21T08:00:00Z\""
    case .date: "a date such as \"2026-11-21\""
    case .time: "a time with offset such as \"08:00:00Z\""
    case .email: "an email address such as \"ann@example.org\""
    case .uri: "a URI such as \"https://example.org/path\""
    case .uuid: "a UUID such as \"01890a5d-ac96-774b-bcce-b302099a8057\""
    }
  }

  func accepts(_ text: String) -> Bool {
    var scan = FormatScan(text)
    let fits =
      switch self {
      case .dateTime: scan.date() && scan.letter("t") && scan.time()
      case .date: scan.date()
      case .time: scan.time()
      case .email: scan.mailbox()
      case .uri: scan.uri()
      case .uuid: scan.uuid()
      }
    return fits && scan.isAtEnd
  }
}

/// Steps through a text; each step says whether what it expects was there.
struct FormatScan {
  var rest: ArraySlice<UInt8>

  init(_ text: String) { rest = Array(text.utf8)[...] }
  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte(_ wanted: UInt8) -> Bool {
    guard rest.first == wanted else { return false }
    rest = rest.dropFirst()
    return true
  }

  /// In either case.
  mutating func letter(_ wanted: Character) -> Bool {
    guard let found = rest.first, found | 0x20 == wanted.asciiValue else { return false }
    rest = rest.dropFirst()
    return true
  }

  mutating func take(while accepts: (UInt8) -> Bool) -> ArraySlice<UInt8> {
    let taken = rest.prefix(while: accepts)
    rest = rest.dropFirst(taken.count)
    return taken
  }

  mutating func number(digits: Int) -> Int? {
    let taken = rest.prefix(digits)
    guard taken.count == digits, taken.allSatisfy(FormatScan.isDigit) else { return nil }
    rest = rest.dropFirst(digits)
    return taken.reduce(0) { $0 * 10 + Int($1 - 48) }
  }

  static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
  static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }
  static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (97...102).contains(byte | 0x20) }

  // MARK: Times and identifiers

  /// full-date of RFC 3339 section 5.6.
  mutating func date() -> Bool {
    guard let year = number(digits: 4), byte(UInt8(ascii: "-")), let month = number(digits: 2),
      byte(UInt8(ascii: "-")), let day = number(digits: 2), (1...12).contains(month)
    else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return (1...days[month - 1]).contains(day)
  }

  /// full-time of RFC 3339 section 5.6; second 60 only where UTC can have one.
  mutating func time() -> Bool {
    guard let hour = number(digits: 2), byte(UInt8(ascii: ":")), let minute = number(digits: 2),
      byte(UInt8(ascii: ":")), let second = number(digits: 2), hour <= 23, minute <= 59, second <= 60
    else { return false }
    if byte(UInt8(ascii: ".")), take(while: FormatScan.isDigit).isEmpty { return false }
    var offset = 0
    if !letter("z") {
      let isBehind = rest.first == UInt8(ascii: "-")
      guard byte(UInt8(ascii: "-")) || byte(UInt8(ascii: "+")), let hours = number(digits: 2),
        byte(UInt8(ascii: ":")), let minutes = number(digits: 2), hours <= 23, minutes <= 59
      else { return false }
      offset = (hours * 60 + minutes) * (isBehind ? -1 : 1)
    }
    return second < 60 || (hour * 60 + minute - offset + 2880) % 1440 == 1439
  }

  /// Eight, four, four, four and twelve hexadecimal digits (RFC 9562 section 4).
  mutating func uuid() -> Bool {
    for (index, length) in [8, 4, 4, 4, 12].enumerated() {
      if index > 0, !byte(UInt8(ascii: "-")) { return false }
      let taken = rest.prefix(length)
      guard taken.count == length, taken.allSatisfy(FormatScan.isHex) else { return false }
      rest = rest.dropFirst(length)
    }
    return true
  }
}
