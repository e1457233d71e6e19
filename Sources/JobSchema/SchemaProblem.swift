package import JobModel

/// Why a schema is refused when it is loaded: where in the file, which keyword, and how to mend it.
package struct SchemaProblem: Error, Sendable, Equatable {
  /// The JSON pointer (RFC 6901) of the schema or value at fault; empty for the whole document.
  package var pointer: String
  /// The keyword at fault; nil when the file is no JSON or a value is no schema.
  package var keyword: String?
  package var message: String
  /// Line and column, when the file is no JSON.
  package var place: TextPlace?

  package var description: String {
    if let place { return "line \(place.line), column \(place.column): \(message)" }
    return "\(pointer.isEmpty ? "at the top" : "at \(pointer)")\(keyword.map { ", \"\($0)\"" } ?? ""): \(message)"
  }
}

extension SchemaProblem: CustomStringConvertible {}

/// One way in which a payload is not what its schema asks for.
package struct Violation: Sendable, Equatable {
  /// The JSON pointer of the value, inside the payload or below the prefix that `Schema.check` was given.
  package var pointer: String
  /// What was expected and what was found.
  package var message: String
}
