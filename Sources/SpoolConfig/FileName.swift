/// Which names become part of paths and ids.
enum FileName {
  /// Letters, digits, `.`, `_`, `-`, beginning with a letter or digit.
  static func isPlain(_ text: String, atMost length: Int) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= length else { return false }
    return isAlphanumeric(first) && text.utf8.allSatisfy { isAlphanumeric($0) || ".-_".utf8.contains($0) }
  }

  static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (97...122).contains(byte) || (65...90).contains(byte) || (48...57).contains(byte)
  }
}
