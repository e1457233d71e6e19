/// Keywords for every value, for numbers and for strings.
extension Check {
  mutating func plain(_ read: ReadSchema, _ value: Instance, _ reporting: Bool) -> Bool {
    if !read.rules.types.isEmpty, !read.rules.types.contains(where: { Check.is(value, $0) }) {
      // Whatever else is asked of the value, this is what is wrong with it.
      return fail("expected \(read.rules.types.map(\.words).joined(separator: " or "))", value, reporting)
    }
    var fits = true
    if let constant = read.rules.constant, !spend(4 * value.weight) || constant != value {
      fits = fail("expected \(constant.shown)", value, reporting)
    }
    if let options = read.rules.options, !spend(4 * value.weight) || !options.contains(value) {
      fits = fail("expected one of \(read.rules.optionsShown)", value, reporting)
    }
    guard fits || reporting else { return false }
    switch value {
    case .number(let number): return self.number(read, number, value, reporting) && fits
    case .string(let text): return string(read, text, value, reporting) && fits
    default: return fits
    }
  }

  private static func `is`(_ value: Instance, _ kind: Rules.Kind) -> Bool {
    switch (value, kind) {
    case (.null, .null), (.bool, .boolean), (.object, .object), (.array, .array), (.number, .number),
      (.string, .string):
      true
    case (.number(let number), .integer): number.isWhole
    default: false
    }
  }

  private mutating func number(
    _ read: ReadSchema, _ number: ExactNumber, _ value: Instance, _ reporting: Bool
  ) -> Bool {
    var fits = true
    for limit in read.rules.minimums where number < limit.number || (limit.isExclusive && number == limit.number) {
      fits = fail("expected \(limit.isExclusive ? "more than" : "at least") \(limit.number.text)", value, reporting)
    }
    for limit in read.rules.maximums where limit.number < number || (limit.isExclusive && number == limit.number) {
      fits = fail("expected \(limit.isExclusive ? "less than" : "at most") \(limit.number.text)", value, reporting)
    }
    if let divisor = read.rules.multipleOf, !spend(value.weight) || !number.isMultiple(of: divisor) {
      fits = fail("expected a multiple of \(divisor.text)", value, reporting)
    }
    return fits
  }

  private mutating func string(_ read: ReadSchema, _ text: Text, _ value: Instance, _ reporting: Bool) -> Bool {
    var fits = true
    if read.rules.minLength != nil || read.rules.maxLength != nil {
      guard spend(text.weight) else { return false }
      let length = text.string.unicodeScalars.count
      if let least = read.rules.minLength, length < least {
        fits = fail("expected at least \(Check.counted(least, "character")), found \(length)", reporting)
      }
      if let most = read.rules.maxLength, length > most {
        fits = fail("expected at most \(Check.counted(most, "character")), found \(length)", reporting)
      }
    }
    guard fits || reporting else { return false }
    if let pattern = read.rules.pattern, !matches(pattern, text) {
      fits = fail("expected a match of the pattern \(pattern.text)", value, reporting)
    }
    if let format = read.rules.format, !spend(text.weight) || !format.accepts(text.string) {
      fits = fail("expected \(format.words)", value, reporting)
    }
    return fits
  }

  static func counted(_ count: Int, _ thing: String) -> String { "\(count) \(thing)\(count == 1 ? "" : "s")" }
}
