/// Text from elsewhere made safe for a terminal or a line of a log: one line, and no character that could move a cursor, change
/// a title or turn the direction of writing.
package enum TerminalText {
  package static func plain(_ text: some StringProtocol) -> String {
    var safe = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x0A, 0x0D, 0x09: safe.unicodeScalars.append(" ")
      case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: safe += "\u{FFFD}"
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return safe
  }
}
