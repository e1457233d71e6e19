import Testing

@testable import JobSchema

/// Messages of a payload's violations, each after its pointer; or why the schema is refused.
func findings(_ schema: String, _ payload: String) -> [String] {
  do throws(SchemaProblem) {
    return try Schema(Array(schema.utf8)).check(Array(payload.utf8)).map { "\($0.pointer): \($0.message)" }
  } catch {
    return ["refused: \(error)"]
  }
}

/// A schema with payloads that fit it and payloads that do not.
struct SchemaRow: Sendable, CustomTestStringConvertible {
  var schema: String
  var good: [String]
  var bad: [String]

  init(_ schema: String, good: [String], bad: [String]) {
    self.schema = schema
    self.good = good
    self.bad = bad
  }

  var testDescription: String { schema }
}
