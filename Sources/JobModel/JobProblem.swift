/// Why a job file is refused: what, where, and how to mend it. Becomes `error` in the record of a rejected job and the
/// answer of `submit` and the API, word for word the same.
package struct JobProblem: Error, Sendable, Equatable {
  /// What kind of fault; stable, for programs.
  package enum Code: String, Sendable {
    case badJSON = "bad_json"
    case badField = "bad_field"
    case unknownKey = "unknown_key"
    case missingType = "missing_type"
    case unknownType = "unknown_type"
    case reservedType = "reserved_type"
    case tooLarge = "too_large"
    case empty
    case unreadable
    case specialFile = "special_file"
    case forgedRecord = "forged_record"
    case schemaViolation = "schema"
    case wrongID = "wrong_id"
    case notAllowed = "not_allowed"
    case cannotOpen = "cannot_open"
  }

  package var code: Code
  package var message: String
  /// The top-level key at fault, dotted when it lies deeper.
  package var key: String?
  package var place: TextPlace?

  package init(_ code: Code, _ message: String, key: String? = nil, place: TextPlace? = nil) {
    self.code = code
    self.message = message
    self.key = key
    self.place = place
  }

  package var description: String {
    guard let place else { return message }
    return "line \(place.line), column \(place.column): \(message)"
  }

  /// The handler's `allow` names neither the user nor one of his groups.
  package static func notAllowed(_ user: String, type: String, allow: [String]) -> JobProblem {
    let allowed = allow.joined(separator: ", ")
    return JobProblem(
      .notAllowed, "\(user) may not submit jobs of the type \(type): its handler allows \(allowed)", key: "type")
  }

  package var error: JobError {
    var writer = JSONWriter()
    writer.beginObject()
    if let key {
      writer.key("key")
      writer.string(key)
    }
    if let place {
      writer.key("line")
      writer.int(place.line)
      writer.key("column")
      writer.int(place.column)
    }
    writer.endObject()
    let details = key == nil && place == nil ? nil : writer.bytes
    return JobError(code: code.rawValue, message: description, details: details)
  }
}
