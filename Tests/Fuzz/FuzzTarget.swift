/// One reader of bytes that nobody vouches for, under mutated input. A target fails by trapping, which ends the process and
/// is what would end the daemon; by taking long; or by returning what is wrong with what it read.
struct FuzzTarget: Sendable {
  let name: String
  /// Words the mutator strews in.
  var words: [String] = []
  /// What makes this input like no other before it: a new one is kept and mutated on, which goes deeper without the
  /// compiler's help. Messages do well, numbers in them do not count.
  let run: @Sendable ([UInt8]) throws -> String

  /// Something was read wrongly.
  struct Wrong: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  static func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Wrong(what()) }
  }

  static let all: [FuzzTarget] = [
    .scanner, .json, .texts, .schema, .cron, .zone, .toml, .control, .worker, .audit, .sealed, .checkpoint,
  ]
}
