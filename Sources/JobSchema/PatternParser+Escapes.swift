/// Escapes and classes of regular expressions.
extension PatternParser {
  /// What an escape stands for.
  private enum Escape {
    case scalar(UnicodeScalar)
    case set(ScalarSet)
  }

  /// Outside a class; the backslash is taken.
  mutating func escape() throws(Pattern.Problem) -> PatternNode {
    if take("b") { return .boundary(true) }
    if take("B") { return .boundary(false) }
    switch try escaped() {
    case .scalar(let scalar): return .scalar(scalar)
    case .set(let set): return .set(set)
    }
  }

  /// A class in brackets; the opening one is taken.
  mutating func classSet() throws(Pattern.Problem) -> ScalarSet {
    var set = ScalarSet()
    if take("^") { set.invert() }
    while !take("]") {
      guard let first = try member(&set) else { continue }
      guard next == "-", at + 1 < scalars.count, scalars[at + 1] != "]" else {
        set.insert(first.value...first.value)
        continue
      }
      at += 1
      var other = ScalarSet()
      guard let last = try member(&other) else { throw problem("a range cannot end in a class") }
      guard first.value <= last.value else { throw problem("the range \(first)-\(last) is out of order") }
      set.insert(first.value...last.value)
    }
    set.seal()
    return set
  }

  /// One character of a class; nil when it was an escape for several, which are put into the set.
  private mutating func member(_ set: inout ScalarSet) throws(Pattern.Problem) -> UnicodeScalar? {
    guard let scalar = next else { throw problem("a \"[\" without its \"]\"") }
    at += 1
    guard scalar == "\\" else { return scalar }
    if take("b") { return "\u{8}" }
    switch try escaped() {
    case .scalar(let scalar): return scalar
    case .set(let escaped):
      if next == "-", at + 1 < scalars.count, scalars[at + 1] != "]" {
        throw problem("a range cannot begin with a class; a literal \"-\" is written \"\\-\"")
      }
      set.insert(escaped)
      return nil
    }
  }

  /// What both know; the backslash is taken.
  private mutating func escaped() throws(Pattern.Problem) -> Escape {
    guard let scalar = next else { throw problem("a \"\\\" at the end") }
    at += 1
    switch scalar {
    case "d": return .set(.digit)
    case "D": return .set(ScalarSet.digit.inversion)
    case "w": return .set(.word)
    case "W": return .set(ScalarSet.word.inversion)
    case "s": return .set(.space)
    case "S": return .set(ScalarSet.space.inversion)
    case "p", "P": return .set(try property(inverted: scalar == "P"))
    case "t": return .scalar("\t")
    case "n": return .scalar("\n")
    case "v": return .scalar("\u{B}")
    case "f": return .scalar("\u{C}")
    case "r": return .scalar("\r")
    case "c":
      guard let letter = next, ("a"..."z").contains(letter) || ("A"..."Z").contains(letter) else {
        throw problem("\"\\c\" needs a letter")
      }
      at += 1
      return .scalar(UnicodeScalar(UInt8(letter.value % 32)))
    case "x": return .scalar(try self.scalar(try hexadecimal(digits: 2)))
    case "u": return .scalar(try codePoint())
    case "0":
      if let digit = next, ("0"..."9").contains(digit) { throw problem("octal escapes are not supported; use \\xHH") }
      return .scalar("\0")
    case "1"..."9", "k":
      at -= 1
      throw problem("back references are not supported: they have no bound on their time")
    default:
      guard scalar.isASCII, !("a"..."z").contains(scalar), !("A"..."Z").contains(scalar), scalar.value > 32 else {
        at -= 1
        throw problem("\"\\\(scalar)\" is no escape that is known here")
      }
      return .scalar(scalar)
    }
  }

  private mutating func property(inverted: Bool) throws(Pattern.Problem) -> ScalarSet {
    guard take("{") else { throw problem("expected \"{\" and the name of a general category such as L or Lu") }
    var name = ""
    while let scalar = next, scalar != "}" {
      name.unicodeScalars.append(scalar)
      at += 1
    }
    for prefix in ["General_Category=", "gc="] where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
    guard take("}"), let categories = ScalarSet.categories(named: name) else {
      throw problem("\\p{\(name)} is not known; only general categories such as L, Lu or Nd are")
    }
    var set = ScalarSet()
    set.insert(categories, inverted: inverted)
    set.seal()
    return set
  }

  /// `\uHHHH`, a surrogate pair of two of them, or `\u{H…}`.
  private mutating func codePoint() throws(Pattern.Problem) -> UnicodeScalar {
    if take("{") {
      var value: UInt32 = 0
      let start = at
      while let digit = next?.hexadecimal {
        value = value << 4 | digit
        guard value <= 0x10FFFF else { throw problem("there is no character above \\u{10FFFF}") }
        at += 1
      }
      guard at > start, take("}") else { throw problem("expected hexadecimal digits and \"}\"") }
      return try scalar(value)
    }
    let first = try hexadecimal(digits: 4)
    guard (0xD800..<0xDC00).contains(first), next == "\\", at + 1 < scalars.count, scalars[at + 1] == "u" else {
      return try scalar(first)
    }
    at += 2
    let second = try hexadecimal(digits: 4)
    guard (0xDC00..<0xE000).contains(second) else { throw problem("half of a surrogate pair stands alone") }
    return try scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
  }

  private func scalar(_ value: UInt32) throws(Pattern.Problem) -> UnicodeScalar {
    guard let scalar = UnicodeScalar(value) else { throw problem("half of a surrogate pair stands alone") }
    return scalar
  }

  private mutating func hexadecimal(digits: Int) throws(Pattern.Problem) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let digit = next?.hexadecimal else { throw problem("expected \(digits) hexadecimal digits") }
      value = value << 4 | digit
      at += 1
    }
    return value
  }
}

extension UnicodeScalar {
  fileprivate var hexadecimal: UInt32? {
    switch self {
    case "0"..."9": value - 48
    case "A"..."F": value - 55
    case "a"..."f": value - 87
    default: nil
    }
  }
}
