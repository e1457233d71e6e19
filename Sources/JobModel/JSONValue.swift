/// A JSON value in memory, for everything that is small and looked into: records, requests, control lines, answers.
/// Payloads and results are never turned into one; they stay bytes (`raw`).
package enum JSONValue: Sendable, Equatable {
  package struct Member: Sendable, Equatable {
    package var key: String
    package var value: JSONValue
    package init(key: String, value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  case null
  case bool(Bool)
  /// The number as it was written: `1.0` stays `1.0`.
  case number(String)
  case string(String)
  case array([JSONValue])
  /// Members in their order; keys are unique when it was read by `JSONReader` outside a payload.
  case object([Member])
  /// Checked JSON text, kept byte for byte.
  case raw([UInt8])

  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  package var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var int: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text)
  }

  package var double: Double? {
    guard case .number(let text) = self else { return nil }
    return Double(text)
  }

  package var bool: Bool? {
    guard case .bool(let flag) = self else { return nil }
    return flag
  }

  package var array: [JSONValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  package var members: [Member]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  /// The value as compact JSON text.
  package var bytes: [UInt8] {
    if case .raw(let json) = self { return json }
    var writer = JSONWriter()
    writer.value(self)
    return writer.bytes
  }

  /// The word for an error message.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    case .raw: "a value"
    }
  }
}
