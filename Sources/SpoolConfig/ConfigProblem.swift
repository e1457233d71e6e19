/// One thing wrong in the configuration, or worth knowing, and where it stands.
package struct ConfigProblem: Sendable, Equatable, CustomStringConvertible {
  package enum Severity: String, Sendable {
    /// The file, or the handler or schedule in it, cannot be used as written.
    case error
    /// It can, but may not do what its author expects.
    case note
  }

  package var file: String
  /// From 1; nil when it is about the file as a whole.
  package var line: Int?
  package var column: Int?
  /// Dotted path of the key, `web.listen`; nil when it is about none.
  package var key: String?
  package var message: String
  package var severity: Severity

  package init(
    file: String, line: Int? = nil, column: Int? = nil, key: String? = nil, message: String, severity: Severity = .error
  ) {
    self.file = file
    self.line = line
    self.column = column
    self.key = key
    self.message = message
    self.severity = severity
  }

  /// `FILE:LINE: KEY: MESSAGE`, as compilers write it, so that editors jump to it.
  package var description: String {
    var parts = [line.map { "\(file):\($0)" } ?? file]
    if severity == .note { parts.append("note") }
    if let key { parts.append(key) }
    parts.append(message)
    return parts.joined(separator: ": ")
  }
}

/// Gathers the problems of one file while it is read, so that reading never stops at the first.
final class ProblemLog {
  let file: String
  private(set) var problems: [ConfigProblem] = []

  init(file: String) { self.file = file }

  var hasErrors: Bool { problems.contains { $0.severity == .error } }

  /// - Parameter place: line and column; a line of 0 means unknown.
  func add(
    _ message: String, key: String? = nil, at place: (line: Int, column: Int)? = nil,
    severity: ConfigProblem.Severity = .error
  ) {
    let known = place.flatMap { $0.line > 0 ? $0 : nil }
    problems.append(
      ConfigProblem(
        file: file, line: known?.line, column: known.flatMap { $0.column > 0 ? $0.column : nil }, key: key,
        message: message, severity: severity))
  }

  /// In the order of the file, whatever order the keys were asked for.
  var sorted: [ConfigProblem] {
    problems.enumerated().sorted { one, other in
      (one.element.line ?? 0, one.element.column ?? 0, one.offset)
        < (other.element.line ?? 0, other.element.column ?? 0, other.offset)
    }.map(\.element)
  }
}
