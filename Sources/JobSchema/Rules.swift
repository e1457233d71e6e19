/// One schema object, read and ready: what each of its keywords asks of a value. Other schemas are named by their number
/// in the list that `Schema` holds, so a schema may refer to itself.
struct Rules: Sendable {
  /// The seven words of `type`.
  enum Kind: String, Sendable, CaseIterable {
    case null, boolean, object, array, number, string, integer

    var words: String {
      switch self {
      case .null: "null"
      case .boolean: "true or false"
      case .object: "an object"
      case .array: "an array"
      case .number: "a number"
      case .string: "a string"
      case .integer: "a whole number"
      }
    }
  }

  struct Limit: Sendable {
    var number: ExactNumber
    /// True for `exclusiveMinimum` and `exclusiveMaximum`.
    var isExclusive: Bool
  }

  /// What the boolean schemas `true` and `false` say; nil for an object.
  var verdict: Bool?

  var types: [Kind] = []
  var options: Set<Instance>?
  /// The values of `enum`, or that of `const`, for messages.
  var optionsShown = ""
  var constant: Instance?

  var multipleOf: ExactNumber?
  var minimums: [Limit] = []
  var maximums: [Limit] = []

  var minLength: Int?
  var maxLength: Int?
  var pattern: Pattern?
  var format: Format?

  var prefixItems: [Int] = []
  var items: Int?
  var contains: Int?
  var minContains: Int?
  var maxContains: Int?
  var minItems: Int?
  var maxItems: Int?
  var uniqueItems = false

  var properties: [Text: Int] = [:]
  var patternProperties: [(pattern: Pattern, schema: Int)] = []
  var additionalProperties: Int?
  var propertyNames: Int?
  var required: [Text] = []
  var dependentRequired: [(name: Text, needs: [Text])] = []
  var dependentSchemas: [(name: Text, schema: Int)] = []
  var minProperties: Int?
  var maxProperties: Int?

  var allOf: [Int] = []
  var anyOf: [Int] = []
  var oneOf: [Int] = []
  var not: Int?
  var condition: Int?
  var then: Int?
  var otherwise: Int?
  var reference: Int?

  /// The schemas that look at the same value as this one; a circle of them would never end.
  var inPlace: [Int] {
    var schemas = allOf + anyOf + oneOf + dependentSchemas.map(\.schema)
    for schema in [not, condition, reference] { if let schema { schemas.append(schema) } }
    if condition != nil {
      for schema in [then, otherwise] { if let schema { schemas.append(schema) } }
    }
    return schemas
  }
}

/// The same behind a reference: a check passes through very many schemas, and need not copy them.
final class ReadSchema: Sendable {
  let rules: Rules
  init(_ rules: Rules) { self.rules = rules }
}
