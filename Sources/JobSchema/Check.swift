/// One check of one payload: walks the value and the rules side by side and collects what does not fit. Values are in
/// Check+Values.swift, arrays and objects in Check+Containers.swift.
///
/// It recurses, so it counts its depth; and it counts its steps, because alternatives inside alternatives multiply.
/// When either is used up there is one violation that says so, whatever was found before: not judged is not accepted.
internal import JobModel

struct Check {
  let schemas: [ReadSchema]
  private let prefix: String
  private let secrets: [[Text]]

  /// Names and places on the way to the value, prefix included.
  var path: [Text] = []
  private var violations: [Violation] = []
  private var depth = 0
  var effort = Schema.effort
  private var giveUp: String?

  init(schemas: [ReadSchema], prefix: String, secrets: [JSONPointer]) {
    self.schemas = schemas
    self.prefix = prefix
    self.secrets = secrets.map { $0.tokens.map { Text($0) } }
    path = JSONPointer(prefix)?.tokens.map { Text($0) } ?? []
  }

  mutating func run(_ instance: Instance) -> [Violation] {
    _ = apply(0, instance, reporting: true)
    guard let giveUp else { return violations }
    return [Violation(pointer: prefix, message: giveUp)]
  }

  /// True when nothing more is to be found out.
  var isOver: Bool { giveUp != nil || violations.count >= Schema.mostViolations }

  /// Whether the value fits a schema.
  ///
  /// - Parameter reporting: whether what does not fit is a violation (all of it is then looked for), or only an
  ///   alternative that does not apply.
  mutating func apply(_ number: Int, _ value: Instance, reporting: Bool) -> Bool {
    guard spend(8) else { return false }
    guard depth < Schema.depth else {
      giveUp = "is nested too deeply to be checked against this schema"
      return false
    }
    depth += 1
    defer { depth -= 1 }
    let read = schemas[number]
    if let verdict = read.rules.verdict {
      return verdict || fail("expected nothing here", value, reporting)
    }
    var fits = plain(read, value, reporting)
    if !fits, !reporting { return false }
    switch value {
    case .array(let elements): fits = array(read, elements, value, reporting) && fits
    case .object(let members): fits = object(read, members, value, reporting) && fits
    default: break
    }
    if !fits, !reporting { return false }
    return combined(read, value, reporting) && fits
  }

  /// Keywords that apply other schemas to the same value.
  private mutating func combined(_ read: ReadSchema, _ value: Instance, _ reporting: Bool) -> Bool {
    var fits = true
    if let reference = read.rules.reference, !apply(reference, value, reporting: reporting) { fits = false }
    for schema in read.rules.allOf where fits || reporting {
      if !apply(schema, value, reporting: reporting) { fits = false }
    }
    if let condition = read.rules.condition, fits || reporting {
      let branch = apply(condition, value, reporting: false) ? read.rules.then : read.rules.otherwise
      if let branch, !apply(branch, value, reporting: reporting) { fits = false }
    }
    if !read.rules.anyOf.isEmpty, fits || reporting { fits = anyOf(read.rules.anyOf, value, reporting) && fits }
    if !read.rules.oneOf.isEmpty, fits || reporting { fits = oneOf(read.rules.oneOf, value, reporting) && fits }
    if let not = read.rules.not, fits || reporting, apply(not, value, reporting: false) {
      fits = fail("expected a value that does not fit the schema in \"not\"", value, reporting)
    }
    return fits
  }

  private mutating func anyOf(_ schemas: [Int], _ value: Instance, _ reporting: Bool) -> Bool {
    // A single one can say what it misses.
    if schemas.count == 1 { return apply(schemas[0], value, reporting: reporting) }
    for schema in schemas where apply(schema, value, reporting: false) { return true }
    return fail("expected a value that fits one of the \(schemas.count) schemas in \"anyOf\"", value, reporting)
  }

  private mutating func oneOf(_ schemas: [Int], _ value: Instance, _ reporting: Bool) -> Bool {
    if schemas.count == 1 { return apply(schemas[0], value, reporting: reporting) }
    var fitting: [Int] = []
    for (index, schema) in schemas.enumerated() where apply(schema, value, reporting: false) {
      fitting.append(index)
      if fitting.count > 1 { break }
    }
    if fitting.count == 1 { return true }
    let found = fitting.isEmpty ? "" : "; it fits number \(fitting[0] + 1) and number \(fitting[1] + 1)"
    let count = schemas.count
    return fail("expected a value that fits exactly one of the \(count) schemas in \"oneOf\"\(found)", value, reporting)
  }

  // MARK: Effort and findings

  /// Takes steps off what may still be done; false when there are none left.
  mutating func spend(_ steps: Int) -> Bool {
    guard giveUp == nil else { return false }
    effort -= steps
    if effort < 0 {
      giveUp = "takes too long to be checked against this schema; make the payload smaller or the schema simpler"
    }
    return giveUp == nil
  }

  /// Whether the text has a match; false too when it took too long.
  mutating func matches(_ pattern: Pattern, _ text: Text) -> Bool {
    guard spend(1) else { return false }
    guard let found = pattern.matches(text.string, effort: &effort) else {
      _ = spend(1)
      return false
    }
    return found
  }

  /// Notes a violation when they are collected; false, for the caller to hand on.
  mutating func fail(
    _ message: @autoclosure () -> String, _ value: @autoclosure () -> Instance, _ reporting: Bool
  ) -> Bool {
    guard reporting, !isOver else { return false }
    if let secret = secrets.first(where: { path.starts(with: $0) }) {
      // The schema is no secret, and these messages say only what it asks for.
      report("the secret value does not fit its schema: \(message())", secret)
    } else {
      report("\(message()), found \(value().shown)", path)
    }
    return false
  }

  /// As above, for messages that say themselves what was found.
  mutating func fail(_ message: @autoclosure () -> String, _ reporting: Bool) -> Bool {
    guard reporting, !isOver else { return false }
    if let secret = secrets.first(where: { path.starts(with: $0) }) {
      // What is asked for is told, what was found is not; other messages name the secret's own parts.
      let message = message()
      let asked = message.firstRange(of: ", found ").map { String(message[..<$0.lowerBound]) } ?? message
      report("the secret value does not fit its schema" + (message.hasPrefix("expected ") ? ": \(asked)" : ""), secret)
    } else {
      report(message(), path)
    }
    return false
  }

  private mutating func report(_ message: String, _ path: [Text]) {
    let pointer = path.map { "/" + JSONPointer.escape($0.string) }.joined()
    let violation = Violation(pointer: pointer, message: message)
    if !violations.contains(violation) { violations.append(violation) }
  }
}
