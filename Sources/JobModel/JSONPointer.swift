/// A JSON pointer (RFC 6901): `/payload/userId` names one place in a job. Only the name is here: reading and comparing
/// it; looking into a document is left to those who have one.
package struct JSONPointer: Sendable, Equatable {
  /// What to say when a text is none.
  package static let expected = "a JSON pointer such as \"/payload/userId\""

  /// The reference tokens, unescaped; none means the whole document.
  package let tokens: [String]

  /// nil unless the text is empty or starts with `/`, and every `~` is part of `~0` or `~1` (RFC 6901 section 3).
  package init?(_ text: String) {
    var tokens: [String] = []
    for part in text.split(separator: "/", omittingEmptySubsequences: false) {
      var token = ""
      var escaped = false
      for scalar in part.unicodeScalars {
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

  /// True when one of the two is the other or lies inside it.
  package func overlaps(_ other: JSONPointer) -> Bool {
    zip(tokens, other.tokens).allSatisfy { $0 == $1 }
  }
}
