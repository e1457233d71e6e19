/// `pattern` and `patternProperties`: regular expressions of ECMA-262 with the flag `u`, in the part of them that can be
/// matched in one pass. All alternatives are followed side by side, so the time is at most the length of the text times
/// that of the expression, and no text makes it explode.
///
/// Known are: literals, `.`, classes with ranges, `\d \D \w \W \s \S`, `\p{…}` with general categories, the escapes
/// `\t \n \v \f \r \0 \cX \xHH \uHHHH \u{…}` and those of punctuation, `^ $ \b \B`, groups (plain, `?:`, named), `|`, and
/// the quantifiers `* + ? {n} {n,} {n,m}`, lazy or not, with counts up to 1000. Back references, looking ahead or behind,
/// and inline flags are refused. As in ECMA-262 a pattern may match anywhere unless it is anchored.
struct Pattern: Sendable {
  let text: String
  private let program: [PatternInstruction]
  private let sets: [ScalarSet]
  /// True when a match can only begin where the text does.
  private let isAnchored: Bool

  /// What is wrong with an expression.
  struct Problem: Error, Equatable {
    var message: String
  }

  init(_ text: String) throws(Problem) {
    var parser = PatternParser(text)
    let node = try parser.parse()
    var compiler = PatternCompiler()
    try compiler.compile(node)
    self.text = text
    program = compiler.finish()
    sets = compiler.sets
    if case .start = program[0] { isAnchored = true } else { isAnchored = false }
  }

  /// Whether the text has a match.
  ///
  /// - Parameter effort: how many steps may still be done; what was used is taken off.
  /// - Returns: nil when that was not enough.
  func matches(_ text: String, effort: inout Int) -> Bool? {
    var scalars = text.unicodeScalars.makeIterator()
    var next = scalars.next()
    var states = States(count: program.count)
    var waiting: [Int] = []
    states.seed(0)
    while true {
      if follow(&states, after: states.previous, before: next) { return true }
      effort -= 1 + states.visited
      guard effort >= 0 else { return nil }
      guard let scalar = next else { return false }
      states.advance(&waiting)
      for state in waiting where accepts(state, scalar) { states.seed(state + 1) }
      if !isAnchored { states.seed(0) } else if states.seeds.isEmpty { return false }
      states.previous = scalar
      next = scalars.next()
    }
  }

  /// Goes on from the seeds to every instruction that waits for a character; true when the end of the program is reached.
  private func follow(_ states: inout States, after: UnicodeScalar?, before: UnicodeScalar?) -> Bool {
    while let state = states.seeds.popLast() {
      switch program[state] {
      case .match: return true
      case .scalar, .set: states.wait(state)
      case .jump(let target): states.seed(target)
      case .split(let first, let second):
        states.seed(first)
        states.seed(second)
      case .start: if after == nil { states.seed(state + 1) }
      case .end: if before == nil { states.seed(state + 1) }
      case .boundary(let wanted):
        if (Pattern.isWord(after) != Pattern.isWord(before)) == wanted { states.seed(state + 1) }
      }
    }
    return false
  }

  private func accepts(_ state: Int, _ scalar: UnicodeScalar) -> Bool {
    switch program[state] {
    case .scalar(let wanted): scalar == wanted
    case .set(let index): sets[index].contains(scalar)
    default: false
    }
  }

  private static func isWord(_ scalar: UnicodeScalar?) -> Bool {
    scalar.map { ScalarSet.word.contains($0) } ?? false
  }

  /// The instructions reached at one place of the text, each once.
  private struct States {
    /// Reached and to be followed; reached and waiting for a character.
    var seeds: [Int] = []
    private var waiting: [Int] = []
    var previous: UnicodeScalar?
    private(set) var visited = 0
    /// The place at which each instruction was last reached.
    private var reached: [Int]
    private var place = 1

    init(count: Int) { reached = Array(repeating: 0, count: count) }

    mutating func seed(_ state: Int) {
      guard reached[state] != place else { return }
      reached[state] = place
      visited += 1
      seeds.append(state)
    }

    mutating func wait(_ state: Int) { waiting.append(state) }

    /// Moves one place on and hands over what waited.
    mutating func advance(_ former: inout [Int]) {
      former.removeAll(keepingCapacity: true)
      swap(&former, &waiting)
      place += 1
      visited = 0
    }
  }
}
