/// A JSON pointer (RFC 6901): `/payload/userId` names one place in a job. Only the name is here, read, written and
/// compared by code points, as JSON compares keys; JSONPointer+Places.swift looks into a document.
package struct JSONPointer: Sendable, Equatable {
  /// What to say when a text is none.
  package static let expected = "a JSON pointer such as \"/payload/userId\""

  /// The reference tokens, unescaped; none means the whole document.
  package let tokens: [String]

  /// nil unless the text is empty or starts with `/`, and every `~` is part of `~0` or `~1` (RFC 6901 section 3).
  package init?(_ text: String) {
    var tokens: [String] = []
    for part in text.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false) {
      var token = ""
      var escaped = false
      for scalar in part {
        switch (escaped, scalar) {
        case (false, "~"): escaped = true
        case (true, "0"), (true, "1"):
          token.unicodeScalars.append(scalar == "0" ? "~" : "/")
          escaped = false
        case (true, _): return nil
        default: token.unicodeScalars.append(scalar)
        }
      }
      guard !escaped else { return nil }
      tokens.append(token)
    }
    guard tokens.first?.isEmpty ?? true else { return nil }
    self.tokens = Array(tokens.dropFirst())
  }

  package init(tokens: [String]) { self.tokens = tokens }

  /// The pointer as text: each place has one.
  package var text: String { tokens.map { "/" + JSONPointer.escape($0) }.joined() }

  /// A key as it stands in a pointer.
  package static func escape(_ token: String) -> String {
    var escaped = ""
    for scalar in token.unicodeScalars {
      switch scalar {
      case "~": escaped += "~0"
      case "/": escaped += "~1"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// True when one of the two is the other or lies inside it.
  package func overlaps(_ other: JSONPointer) -> Bool {
    zip(tokens, other.tokens).allSatisfy(JSONPointer.isSame)
  }

  package static func == (left: JSONPointer, right: JSONPointer) -> Bool {
    left.tokens.count == right.tokens.count && left.overlaps(right)
  }

  /// Swift takes differently composed letters for the same; JSON does not.
  static func isSame(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
}
