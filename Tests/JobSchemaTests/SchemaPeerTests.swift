import SpoolTestSupport
import Testing

@testable import JobSchema

@Suite("Schemas compared with Python's jsonschema") struct SchemaPeerTests {
  @Test("1,500 schemas judge ten values each in the same way")
  func sameVerdicts() throws {
    var maker = SchemaMaker(numbers: SeededNumbers(seed: 2020_12))
    try compare(
      (0..<1500).flatMap { _ in
        let schema = maker.document()
        return (0..<10).map { _ in (schema, maker.value(depth: 3)) }
      })
  }

  @Test("1,500 regular expressions match the same of twelve texts each")
  func sameMatches() throws {
    var maker = SchemaMaker(numbers: SeededNumbers(seed: 262), boundaries: true)
    try compare(
      (0..<1500).flatMap { _ in
        let schema = "{\"pattern\":\"\(maker.expression(depth: 4))\"}"
        return (0..<12).map { _ in
          (schema, "\"" + (0..<maker.upTo(6)).map { _ in maker.one(["a", "b", "c", "0", "1", "."]) }.joined() + "\"")
        }
      })
  }

  private func compare(_ questions: [(schema: String, value: String)]) throws {
    let answers = try askPeer("schema_verdicts.py", questions.map { "\($0.schema)\t\($0.value)" })
    try #require(answers.count == questions.count, "the peer answered: \(answers.prefix(3))")
    var counts: [String: Int] = [:]
    for (question, answer) in zip(questions, answers) {
      let ours = findings(question.schema, question.value)
      let verdict = ours.isEmpty ? "fits" : ours[0].hasPrefix("refused") ? ours[0] : "violates"
      #expect(verdict == answer, "\(question.schema) for \(question.value): \(ours)")
      counts[answer, default: 0] += 1
    }
    // Both verdicts often enough for the comparison to mean something.
    #expect(counts["fits", default: 0] > questions.count / 10)
    #expect(counts["violates", default: 0] > questions.count / 10)
  }
}
