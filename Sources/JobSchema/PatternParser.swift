/// Reads a regular expression into a tree, and refuses what `Pattern` does not know. Escapes and classes are in
/// PatternParser+Escapes.swift.
indirect enum PatternNode {
  case scalar(UnicodeScalar)
  case set(ScalarSet)
  case start
  case end
  case boundary(Bool)
  case sequence([PatternNode])
  case choice([PatternNode])
  case repeated(PatternNode, least: Int, most: Int?)
}

struct PatternParser {
  /// Groups inside groups; the parser recurses.
  static let groupDepth = 64
  static let highestCount = 1000

  let scalars: [UnicodeScalar]
  var at = 0
  private var depth = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  var next: UnicodeScalar? { at < scalars.count ? scalars[at] : nil }

  mutating func take(_ scalar: UnicodeScalar) -> Bool {
    guard next == scalar else { return false }
    at += 1
    return true
  }

  func problem(_ message: String) -> Pattern.Problem {
    Pattern.Problem(message: "\(message) (character \(at + 1) of the expression)")
  }

  mutating func parse() throws(Pattern.Problem) -> PatternNode {
    let node = try choice()
    guard next == nil else { throw problem("a \")\" without its \"(\"") }
    return node
  }

  private mutating func choice() throws(Pattern.Problem) -> PatternNode {
    var alternatives = [try sequence()]
    while take("|") { alternatives.append(try sequence()) }
    return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
  }

  private mutating func sequence() throws(Pattern.Problem) -> PatternNode {
    var nodes: [PatternNode] = []
    while let scalar = next, scalar != "|", scalar != ")" { nodes.append(try quantified()) }
    return nodes.count == 1 ? nodes[0] : .sequence(nodes)
  }

  private mutating func quantified() throws(Pattern.Problem) -> PatternNode {
    let isGroup = next == "("
    let node = try atom()
    guard let (least, most) = try quantifier() else { return node }
    switch node {
    case _ where isGroup: break
    case .start, .end, .boundary: throw problem("\"^\", \"$\", \"\\b\" and \"\\B\" cannot be repeated")
    default: break
    }
    // Lazy or not, the same texts match.
    _ = take("?")
    if try quantifier() != nil { throw problem("two quantifiers in a row") }
    return .repeated(node, least: least, most: most)
  }

  private mutating func quantifier() throws(Pattern.Problem) -> (least: Int, most: Int?)? {
    if take("*") { return (0, nil) }
    if take("+") { return (1, nil) }
    if take("?") { return (0, 1) }
    guard take("{") else { return nil }
    let least = try count()
    var most: Int? = least
    if take(",") { most = next == "}" ? nil : try count() }
    guard take("}") else { throw problem("expected \"}\" at the end of the count") }
    if let most, most < least { throw problem("the counts of {\(least),\(most)} are out of order") }
    return (least, most)
  }

  private mutating func count() throws(Pattern.Problem) -> Int {
    let start = at
    var value = 0
    while let scalar = next, ("0"..."9").contains(scalar) {
      value = value * 10 + Int(scalar.value - 48)
      guard value <= PatternParser.highestCount else {
        throw problem("counts go up to \(PatternParser.highestCount); maxLength and minLength have no such bound")
      }
      at += 1
    }
    guard at > start else { throw problem("expected a count such as {2,5}; a literal \"{\" is written \"\\{\"") }
    return value
  }

  private mutating func atom() throws(Pattern.Problem) -> PatternNode {
    guard let scalar = next else { throw problem("expected a character") }
    at += 1
    switch scalar {
    case "^": return .start
    case "$": return .end
    case ".": return .set(.dot)
    case "(": return try group()
    case "[": return .set(try classSet())
    case "\\": return try escape()
    case "*", "+", "?":
      at -= 1
      throw problem("nothing to repeat before \"\(scalar)\"")
    case "{", "}", "]":
      at -= 1
      throw problem("a literal \"\(scalar)\" is written \"\\\(scalar)\"")
    default: return .scalar(scalar)
    }
  }

  private mutating func group() throws(Pattern.Problem) -> PatternNode {
    depth += 1
    guard depth <= PatternParser.groupDepth else {
      throw problem("groups go \(PatternParser.groupDepth) deep at most")
    }
    if take("?") { try groupKind() }
    let node = try choice()
    guard take(")") else { throw problem("a \"(\" without its \")\"") }
    depth -= 1
    return node
  }

  /// What follows `(?`.
  private mutating func groupKind() throws(Pattern.Problem) {
    if take(":") { return }
    if next == "=" || next == "!" { throw problem("looking ahead is not supported: it has no bound on its time") }
    guard take("<") else { throw problem("\"(?\" must go on with \":\" or \"<name>\"; flags are not supported") }
    if next == "=" || next == "!" { throw problem("looking behind is not supported: it has no bound on its time") }
    let start = at
    while let scalar = next, ScalarSet.word.contains(scalar) || scalar == "$" { at += 1 }
    guard at > start, take(">") else { throw problem("expected a name and \">\" after \"(?<\"") }
  }
}
