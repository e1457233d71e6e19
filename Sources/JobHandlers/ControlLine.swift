package import JobEngine
package import JobModel

/// One line a handler wrote to descriptor 3: a JSON object. Pure.
package struct ControlLine: Sendable, Equatable {
  /// What is wrong with a line that was ignored, or with the part of it that was.
  package struct Problem: Error, Sendable, Equatable {
    package var message: String
    package init(_ message: String) { self.message = message }
  }

  package var progress = ProgressUpdate()
  /// Compact JSON.
  package var result: [UInt8]?
  package var retryIn: Duration?
  package var error: JobError?
  package var log: LogLine?
  /// Keys nobody knows: passed over, but said so.
  package var unknown: [String] = []

  package init() {}

  /// Bytes of a line; longer ones are dropped. Progress is meant to be a line, results go to standard output.
  package static let limit = 65536

  /// The line says something about progress, if only that the handler is alive.
  package var isProgress: Bool {
    progress != ProgressUpdate() || (result == nil && retryIn == nil && error == nil && log == nil)
  }

  package init(parsing text: [UInt8]) throws(Problem) {
    let value: JSONValue
    do throws(JSONReader.Problem) {
      value = try JSONReader.parse(text, rawKeys: ["result", "details"])
    } catch {
      throw Problem("\(error.message) (byte \(error.offset + 1))")
    }
    guard let members = value.members else { throw Problem("expected an object, found \(value.kind)") }
    for member in members { try read(member.key, member.value) }
  }

  /// Takes one member; a worker's lines have the same ones.
  mutating func read(_ key: String, _ value: JSONValue) throws(Problem) {
    switch key {
    case "progress":
      guard let percent = value.double, percent.isFinite else {
        throw Problem("\"progress\" is a number from 0 to 100, not \(value.kind)")
      }
      progress.percent = min(100, max(0, percent))
    case "stage": progress.stage = try text(key, value)
    case "message": progress.message = try text(key, value)
    case "heartbeat": break
    case "result": result = ResultText.compact(value.bytes)
    case "retry_in": retryIn = try ControlLine.duration(key, value)
    case "error": error = try ControlLine.error(value)
    case "log":
      guard value.members != nil else { throw Problem("\"log\" is an object, not \(value.kind)") }
      log = LogLine(
        level: value["level"]?.string ?? "info", category: value["category"]?.string ?? "",
        code: value["code"]?.string ?? "", message: value["message"]?.string ?? "")
    default: unknown.append(key)
    }
  }

  private func text(_ key: String, _ value: JSONValue) throws(Problem) -> String {
    guard let text = value.string else { throw Problem("\"\(key)\" is a string, not \(value.kind)") }
    return text
  }

  /// `"90s"` or seconds as a number.
  static func duration(_ key: String, _ value: JSONValue) throws(Problem) -> Duration {
    let duration: Duration? =
      switch value {
      case .string(let text): DurationText.parse(text)
      case .number(let text): DurationText.parse(seconds: text)
      default: nil
      }
    guard let duration else { throw Problem("\"\(key)\" is not \(DurationText.expected)") }
    return duration
  }

  /// `{"code", "message", "details"}`, or just the message.
  static func error(_ value: JSONValue) throws(Problem) -> JobError {
    if let message = value.string { return JobError(code: "failed", message: message) }
    guard value.members != nil else { throw Problem("\"error\" is an object or a string, not \(value.kind)") }
    return JobError(
      code: value["code"]?.string ?? "failed", message: value["message"]?.string ?? "",
      details: value["details"].map { ResultText.compact($0.bytes) })
  }
}
