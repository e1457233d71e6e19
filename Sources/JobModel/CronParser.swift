// Reads the text of a cron expression into sets of numbers. The grammar, after cronie's crontab(5):
//
//   expression = nickname | [second] minute hour day-of-month month day-of-week
//   field      = element { "," element }
//   element    = ( "*" | value [ "-" value ] ) [ "/" step ]      day fields also take "?" alone, meaning "*"
//   value      = number | name (of months and weekdays, three letters, any case)
//
// Of cronie's language only the random `~` is missing: a firing's time must be the same after a restart, and `jitter`
// spreads load. Beyond it are seconds, `?` and `5/15` for `5-59/15`, which other crons taught people to write.

/// The bounds and the vocabulary of one field.
private struct CronFieldKind {
  let name: String
  let bounds: ClosedRange<Int>
  var names: [String] = []
  /// The number of the first name.
  var firstName = 0
  var takesQuestionMark = false

  static let second = CronFieldKind(name: "second", bounds: 0...59)
  static let minute = CronFieldKind(name: "minute", bounds: 0...59)
  static let hour = CronFieldKind(name: "hour", bounds: 0...23)
  static let day = CronFieldKind(name: "day of month", bounds: 1...31, takesQuestionMark: true)
  static let month = CronFieldKind(
    name: "month", bounds: 1...12,
    names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], firstName: 1)
  static let weekday = CronFieldKind(
    name: "day of week", bounds: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    takesQuestionMark: true)

  var expected: String {
    let words = names.isEmpty ? "" : " or \(names[0])-\(names[names.count - 1])"
    return "\(bounds.lowerBound)-\(bounds.upperBound)\(words)"
  }
}

struct CronParser {
  struct Field {
    /// Bit n: n is in it.
    var set: UInt64 = 0
    /// Starts with `*`.
    var star = false
    /// Of its first character, from 1.
    var column = 1
  }

  struct Fields {
    var seconds: Field
    var minutes: Field
    var hours: Field
    var days: Field
    var months: Field
    var weekdays: Field
  }

  private var text: [UInt8]
  private var index = 0
  private var kind = CronFieldKind.second

  init(_ text: String) throws(CronProblem) {
    // Far more than every number of every field written out.
    guard text.utf8.count <= 2000 else { throw CronProblem("longer than 2,000 characters") }
    self.text = Array(text.utf8)
  }

  mutating func fields() throws(CronProblem) -> Fields {
    skipBlanks()
    if byte == UInt8(ascii: "@") { try replaceNickname() }
    let count = fieldCount
    guard count == 5 || count == 6 else {
      throw CronProblem(
        "found \(count) field\(count == 1 ? "" : "s"), expected 5 (minute, hour, day of month, month, day of week) "
          + "or 6 (with seconds before them)")
    }
    var seconds = Field(set: 1)
    if count == 6 { seconds = try field(.second) }
    return Fields(
      seconds: seconds, minutes: try field(.minute), hours: try field(.hour), days: try field(.day),
      months: try field(.month), weekdays: try field(.weekday))
  }

  private mutating func replaceNickname() throws(CronProblem) {
    let start = index
    let nickname = word(while: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") })
    skipBlanks()
    guard index == text.count else {
      throw CronProblem("nickname", column: index + 1, "nothing may follow \(nickname)")
    }
    let fields: String
    switch nickname.lowercased() {
    case "@yearly", "@annually": fields = "0 0 1 1 *"
    case "@monthly": fields = "0 0 1 * *"
    case "@weekly": fields = "0 0 * * 0"
    case "@daily", "@midnight": fields = "0 0 * * *"
    case "@hourly": fields = "0 * * * *"
    default:
      throw CronProblem(
        "nickname", column: start + 1,
        "unknown \(quoted(nickname)), expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly")
    }
    text = Array(fields.utf8)
    index = 0
  }

  private mutating func field(_ kind: CronFieldKind) throws(CronProblem) -> Field {
    skipBlanks()
    self.kind = kind
    var field = Field(column: index + 1)
    field.star = byte == UInt8(ascii: "*") || (kind.takesQuestionMark && byte == UInt8(ascii: "?"))
    if byte == UInt8(ascii: "?"), kind.takesQuestionMark {
      index += 1
      guard atEnd else { throw problem(index, "'?' stands alone, found \(found)") }
      for value in kind.bounds { field.set |= 1 << value }
      return field
    }
    repeat { try element(into: &field) } while take(",")
    guard atEnd else { throw problem(index, "expected ',', '-', '/' or the end of the field, found \(found)\(hint)") }
    return field
  }

  private mutating func element(into field: inout Field) throws(CronProblem) {
    var (low, high) = (kind.bounds.lowerBound, kind.bounds.upperBound)
    var single = false
    if !take("*") {
      let start = index
      low = try value()
      if take("-") {
        high = try value()
        // fri-sun: the week may end with Sunday, whichever number it has.
        if kind.bounds.upperBound == 7, high == 0, low > 0 { high = 7 }
        guard low <= high else {
          let last = kind.bounds.upperBound == 7 ? 6 : kind.bounds.upperBound
          throw problem(
            start,
            "the range ends before it begins; write it as two, \(low)-\(last),\(kind.bounds.lowerBound)-\(high)")
        }
      } else {
        single = true
        // 5/2 in a week means 5-6/2: its last day is Saturday, or Sunday when it begins with that.
        if kind.bounds.upperBound == 7, low < 7 { high = 6 }
      }
    }
    var step = 1
    if take("/") {
      let start = index
      guard let number = try number() else { throw problem(start, "expected a step after '/', found \(found)") }
      guard number > 0 else { throw problem(start, "a step of 0 never moves; expected 1 or more") }
      step = number
    } else if single {
      high = low
    }
    // Weekday 7 of `*` is Sunday a second time, and would add one to a step's set.
    if kind.bounds.upperBound == 7, low == 0, high == 7 { high = 6 }
    for value in stride(from: low, through: high, by: step) { field.set |= 1 << value }
  }

  private mutating func value() throws(CronProblem) -> Int {
    let start = index
    if let number = try number() {
      guard kind.bounds.contains(number) else { throw problem(start, "\(number) is not in \(kind.expected)") }
      return number
    }
    let name = word(while: { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") })
    if let place = kind.names.firstIndex(of: name.lowercased()) { return kind.firstName + place }
    if name.isEmpty {
      throw problem(start, "expected \(kind.expected) or '*', found \(found)\(hint)")
    }
    throw problem(start, "unknown name \(quoted(name)), expected \(kind.expected)")
  }

  /// Decimal digits; nil when there are none.
  private mutating func number() throws(CronProblem) -> Int? {
    let start = index
    let digits = word(while: { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") })
    guard !digits.isEmpty else { return nil }
    guard digits.utf8.count <= 4, let number = Int(digits) else { throw problem(start, "the number is too large") }
    return number
  }

  // MARK: characters

  private var byte: UInt8? { index < text.count ? text[index] : nil }

  private var atEnd: Bool { byte == nil || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  private var fieldCount: Int {
    text.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
  }

  private mutating func skipBlanks() {
    while index < text.count, atEnd { index += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard byte == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private mutating func word(while belongs: (UInt8) -> Bool) -> String {
    let start = index
    while let byte, belongs(byte) { index += 1 }
    return String(decoding: text[start..<index], as: UTF8.self)
  }

  private func problem(_ place: Int, _ message: String) -> CronProblem {
    CronProblem(kind.name, column: place + 1, message)
  }

  /// What stands here, fit to print.
  private var found: String {
    guard let byte, !atEnd else { return "the end of the field" }
    return byte > 32 && byte < 127 ? "'\(Character(Unicode.Scalar(byte)))'" : "a character that is no ASCII text"
  }

  private var hint: String {
    switch byte {
    case UInt8(ascii: "~"): " (for a random delay give the schedule a jitter)"
    case UInt8(ascii: "?"): " (only the day fields take '?')"
    default: ""
    }
  }

  private func quoted(_ word: String) -> String {
    let shown = word.utf8.prefix(40).map { $0 > 32 && $0 < 127 ? $0 : UInt8(ascii: "?") }
    return "'\(String(decoding: shown, as: UTF8.self))'"
  }
}
