/// The schema of one type's payloads, as its handler file names it: what the daemon and `submit` check with, so that both
/// refuse the same payloads in the same words.
package import JobModel

package struct PayloadSchema: Sendable, Equatable {
  /// Path of the schema file.
  package let file: String
  private let bytes: [UInt8]
  private let schema: Schema
  /// Pointers into the job whose values no message may show.
  private let hidden: [JSONPointer]

  /// - Throws: `SchemaProblem` when the schema cannot be read, or asks for what is not checked here.
  package init(file: String, _ bytes: [UInt8], hiding hidden: [JSONPointer]) throws(SchemaProblem) {
    self.file = file
    self.bytes = bytes
    self.hidden = hidden
    schema = try Schema(bytes)
  }

  package static func == (left: PayloadSchema, right: PayloadSchema) -> Bool {
    left.file == right.file && left.bytes == right.bytes && left.hidden == right.hidden
  }

  /// What is wrong with a job's payload; nil when it fits. All violations are named, the first one first.
  package func problem(with job: Job) -> JobProblem? {
    let violations = schema.check(Array(job.payloadBytes), below: "/payload", hiding: hidden)
    guard let first = violations.first else { return nil }
    let message = violations.map { "\($0.pointer): \($0.message)" }.joined(separator: "; ")
    return JobProblem(.schemaViolation, message, key: first.pointer)
  }
}
