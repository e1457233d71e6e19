/// One step of a compiled regular expression; targets are places in the program.
enum PatternInstruction: Sendable {
  /// Waits for this character, then goes on with the next instruction.
  case scalar(UnicodeScalar)
  /// The same for any character of a set.
  case set(Int)
  case jump(Int)
  /// Goes on at both.
  case split(Int, Int)
  case start
  case end
  case boundary(Bool)
  case match
}

/// Turns the tree of a regular expression into a program (Thompson's construction). Counted parts are written out, so
/// the size of the program has a bound, and with it the work for each character.
struct PatternCompiler {
  static let longestProgram = 10_000

  private(set) var sets: [ScalarSet] = []
  private var program: [PatternInstruction] = []
  private var effort = 0

  mutating func finish() -> [PatternInstruction] { program + [.match] }

  mutating func compile(_ node: PatternNode) throws(Pattern.Problem) {
    // Parts that write no instruction count too: `(){1000}` in itself a few times would take for ever.
    effort += 1
    guard effort <= PatternCompiler.longestProgram, program.count < PatternCompiler.longestProgram else {
      throw Pattern.Problem(
        message: "the expression is too large: with its counts written out it has more than "
          + "\(PatternCompiler.longestProgram) parts")
    }
    switch node {
    case .scalar(let scalar): program.append(.scalar(scalar))
    case .set(let set):
      sets.append(set)
      program.append(.set(sets.count - 1))
    case .start: program.append(.start)
    case .end: program.append(.end)
    case .boundary(let wanted): program.append(.boundary(wanted))
    case .sequence(let nodes):
      for node in nodes { try compile(node) }
    case .choice(let nodes):
      var ends: [Int] = []
      for node in nodes.dropLast() {
        let split = reserve()
        try compile(node)
        ends.append(reserve())
        program[split] = .split(split + 1, program.count)
      }
      if let last = nodes.last { try compile(last) }
      for end in ends { program[end] = .jump(program.count) }
    case .repeated(let node, let least, let most): try compile(node, least: least, most: most)
    }
  }

  private mutating func compile(_ node: PatternNode, least: Int, most: Int?) throws(Pattern.Problem) {
    for _ in 0..<least { try compile(node) }
    guard let most else {
      let split = reserve()
      try compile(node)
      program.append(.jump(split))
      program[split] = .split(split + 1, program.count)
      return
    }
    var splits: [Int] = []
    for _ in least..<max(most, least) {
      splits.append(reserve())
      try compile(node)
    }
    for split in splits { program[split] = .split(split + 1, program.count) }
  }

  /// A place to be filled in later.
  private mutating func reserve() -> Int {
    program.append(.jump(0))
    return program.count - 1
  }
}
