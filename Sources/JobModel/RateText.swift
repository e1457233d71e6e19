/// Rates as people write them: `"100/15m"`, `"200/s"`.
extension Rate {
  /// What to say when a text is none.
  package static let expected = "a rate such as \"100/15m\" or \"200/s\""

  /// A whole number from 1, a slash, and a duration or its bare unit; nil for anything else.
  package init?(text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let limit = Int(parts[0]), limit >= 1, parts[0].utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
      let first = parts[1].utf8.first,
      // A bare unit is one of it; ".5s" is none, and would be one and a half.
      let per = DurationText.parse((first >= UInt8(ascii: "a") ? "1" : "") + parts[1]), per > .zero
    else { return nil }
    self.init(limit: limit, per: per)
  }

  /// The form that `init(text:)` reads back.
  package var text: String { "\(limit)/\(DurationText.format(per))" }

  /// In a sentence: "10 per 1h".
  package var words: String { "\(limit) per \(DurationText.format(per))" }
}
