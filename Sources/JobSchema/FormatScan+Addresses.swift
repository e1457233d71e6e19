/// Email addresses and URIs.
extension FormatScan {
  // MARK: RFC 5321, section 4.1.2

  /// A Mailbox in ASCII, at most 254 bytes (RFC 3696, erratum 1690): what can be written into MAIL FROM.
  mutating func mailbox() -> Bool {
    guard rest.count <= 254 else { return false }
    let local = rest.count
    guard rest.first == UInt8(ascii: "\"") ? quotedString() : dotString() else { return false }
    guard local - rest.count <= 64, byte(UInt8(ascii: "@")) else { return false }
    return rest.first == UInt8(ascii: "[") ? addressLiteral() : domain()
  }

  private mutating func dotString() -> Bool {
    repeat {
      guard !take(while: FormatScan.isAtomText).isEmpty else { return false }
    } while byte(UInt8(ascii: "."))
    return true
  }

  private static func isAtomText(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || "!#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
  }

  private mutating func quotedString() -> Bool {
    guard byte(UInt8(ascii: "\"")) else { return false }
    while true {
      _ = take { (32...126).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
      if byte(UInt8(ascii: "\"")) { return true }
      guard byte(UInt8(ascii: "\\")), let quoted = rest.first, (32...126).contains(quoted) else { return false }
      _ = byte(quoted)
    }
  }

  /// Labels of letters, digits and inner hyphens.
  private mutating func domain() -> Bool {
    guard rest.count <= 253 else { return false }
    repeat {
      let label = take { FormatScan.isLetter($0) || FormatScan.isDigit($0) || $0 == UInt8(ascii: "-") }
      guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
        return false
      }
    } while byte(UInt8(ascii: "."))
    return true
  }

  private mutating func addressLiteral() -> Bool {
    guard byte(UInt8(ascii: "[")) else { return false }
    let literal = take { $0 != UInt8(ascii: "]") }
    let isAddress =
      if literal.starts(with: "IPv6:".utf8) {
        FormatScan.isIPv6(literal.dropFirst(5))
      } else {
        FormatScan.isIPv4(literal)
      }
    return isAddress && byte(UInt8(ascii: "]"))
  }

  // MARK: RFC 3986, appendix A

  /// A URI with scheme; relative references are none.
  mutating func uri() -> Bool {
    guard let first = rest.first, FormatScan.isLetter(first) else { return false }
    _ = take { FormatScan.isLetter($0) || FormatScan.isDigit($0) || "+-.".utf8.contains($0) }
    guard byte(UInt8(ascii: ":")) else { return false }
    if rest.starts(with: "//".utf8) {
      rest = rest.dropFirst(2)
      guard authority() else { return false }
      guard rest.isEmpty || "/?#".utf8.contains(rest[rest.startIndex]) else { return false }
    }
    guard characters(besides: "/:@") else { return false }
    if byte(UInt8(ascii: "?")), !characters(besides: "/:@?") { return false }
    if byte(UInt8(ascii: "#")), !characters(besides: "/:@?") { return false }
    return true
  }

  private mutating func authority() -> Bool {
    let whole = rest.prefix { !"/?#".utf8.contains($0) }
    if let at = whole.lastIndex(of: UInt8(ascii: "@")) {
      var user = FormatScan(whole[..<at])
      guard user.characters(besides: ":"), user.isAtEnd else { return false }
      rest = rest[(at + 1)...]
    }
    if byte(UInt8(ascii: "[")) {
      let literal = take { $0 != UInt8(ascii: "]") }
      guard FormatScan.isIPv6(literal) || FormatScan.isFutureAddress(literal), byte(UInt8(ascii: "]")) else {
        return false
      }
    } else if !characters(besides: "") {
      return false
    }
    if byte(UInt8(ascii: ":")) { _ = take(while: FormatScan.isDigit) }
    return true
  }

  /// Unreserved characters, sub-delims, these besides, and whole percent escapes; stops at anything else, and says false
  /// when that is a broken escape.
  private mutating func characters(besides others: String) -> Bool {
    while true {
      _ = take {
        FormatScan.isLetter($0) || FormatScan.isDigit($0) || "-._~!$&'()*+,;=".utf8.contains($0)
          || others.utf8.contains($0)
      }
      guard byte(UInt8(ascii: "%")) else { return true }
      guard rest.count >= 2, rest.prefix(2).allSatisfy(FormatScan.isHex) else { return false }
      rest = rest.dropFirst(2)
    }
  }

  private static func isFutureAddress(_ bytes: ArraySlice<UInt8>) -> Bool {
    var scan = FormatScan(bytes)
    guard scan.letter("v"), !scan.take(while: isHex).isEmpty, scan.byte(UInt8(ascii: ".")) else { return false }
    let address = scan.take { isLetter($0) || isDigit($0) || "-._~!$&'()*+,;=:".utf8.contains($0) }
    return !address.isEmpty && scan.isAtEnd
  }

  static func isIPv4(_ bytes: ArraySlice<UInt8>) -> Bool {
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        (1...3).contains(part.count) && part.allSatisfy(isDigit) && (part.count == 1 || part.first != 48)
          && part.reduce(0) { $0 * 10 + Int($1 - 48) } <= 255
      }
  }

  /// Eight groups of up to four hexadecimal digits; `::` stands once for one or more, an IPv4 address for the last two.
  static func isIPv6(_ bytes: ArraySlice<UInt8>) -> Bool {
    let text = Array(bytes)
    var groups = 0
    var sawGap = false
    var at = 0
    if text.starts(with: "::".utf8) {
      sawGap = true
      at = 2
    }
    while at < text.count {
      let end = text[at...].firstIndex(of: UInt8(ascii: ":")) ?? text.count
      let group = text[at..<end]
      if group.contains(UInt8(ascii: ".")) {
        guard end == text.count, isIPv4(group) else { return false }
        groups += 2
        break
      }
      guard (1...4).contains(group.count), group.allSatisfy(isHex) else { return false }
      groups += 1
      guard end < text.count else { break }
      at = end + 1
      if at < text.count, text[at] == UInt8(ascii: ":") {
        guard !sawGap else { return false }
        sawGap = true
        at += 1
      } else if at == text.count {
        return false
      }
    }
    return sawGap ? groups <= 7 : groups == 8
  }
}
