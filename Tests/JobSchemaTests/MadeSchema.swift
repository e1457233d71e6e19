import SpoolTestSupport

/// Makes schemas of every keyword, and values that have a fair chance to fit them.
struct SchemaMaker {
  var numbers: SeededNumbers
  /// Whether expressions may ask for word boundaries, which Python sees beside é too.
  var boundaries = false

  private static let texts = ["", "a", "b", "ab", "abc", "aab", "b1", "0", "é", "😀", "a b", "A_9", "~/"]
  private static let names = ["a", "b", "ab", "c", "é", "a/b", ""]
  private static let amounts = [
    "0", "1", "2", "3", "4", "-1", "-2", "1.0", "2.5", "0.5", "1e1", "20e-1", "9007199254740993",
  ]

  mutating func upTo(_ limit: Int) -> Int { Int.random(in: 0...limit, using: &numbers) }
  mutating func one(_ choices: [String]) -> String { choices[upTo(choices.count - 1)] }
  private func quoted(_ text: String) -> String { "\"\(text)\"" }

  /// A document: a schema with `$defs` for its references to lead to.
  mutating func document() -> String {
    let root = object(depth: 3)
    let definitions = "\"$defs\":{\"x\":\(schema(depth: 1)),\"y\":{\"$anchor\":\"why\",\"items\":\(schema(depth: 1))}}"
    return root == "{}" ? "{\(definitions)}" : "\(root.dropLast()),\(definitions)}"
  }

  private mutating func schema(depth: Int) -> String {
    switch upTo(11) {
    case 0: "true"
    case 1 where depth < 3: "false"
    // Into the value, so that it ends.
    case 2: "{\"items\":{\"$ref\":\"\(one(["#", "#/$defs/x", "#why"]))\"}}"
    case 3: "{\"properties\":{\"a\":{\"$ref\":\"\(one(["#", "#/$defs/y"]))\"}}}"
    default: object(depth: depth)
    }
  }

  private mutating func object(depth: Int) -> String {
    var keywords: [String: String] = [:]
    for _ in 0..<(1 + upTo(2)) {
      let (keyword, value) = depth > 0 && upTo(2) > 0 ? inner(depth: depth - 1) : leaf()
      keywords[keyword] = value
    }
    if keywords["contains"] != nil, upTo(1) == 0 {
      keywords[one(["minContains", "maxContains"])] = "\(upTo(2))"
    }
    if keywords["if"] != nil {
      keywords["then"] = schema(depth: depth - 1)
      keywords["else"] = schema(depth: depth - 1)
    }
    let sorted = keywords.sorted { $0.key < $1.key }
    return "{" + sorted.map { "\(quoted($0.key)):\($0.value)" }.joined(separator: ",") + "}"
  }

  private mutating func leaf() -> (String, String) {
    switch upTo(20) {
    case 0...4: ("type", type())
    case 5: ("enum", "[" + (0...upTo(3)).map { _ in value(depth: 1) }.joined(separator: ",") + "]")
    case 6: ("const", value(depth: 2))
    case 7: ("multipleOf", one(["1", "2", "0.5", "3", "1.0", "0.25"]))
    case 8: (one(["minimum", "exclusiveMinimum"]), one(Self.amounts))
    case 9: (one(["maximum", "exclusiveMaximum"]), one(Self.amounts))
    case 10: ("minLength", "\(upTo(2))")
    case 11: ("maxLength", "\(upTo(3))")
    case 12: ("pattern", quoted(expression(depth: 2)))
    case 13: ("minItems", "\(upTo(2))")
    case 14: ("maxItems", "\(upTo(3))")
    case 15: ("uniqueItems", one(["true", "true", "false"]))
    case 16: ("required", "[" + some(Self.names).map(quoted).joined(separator: ",") + "]")
    case 17: ("minProperties", "\(upTo(2))")
    case 18: ("maxProperties", "\(upTo(3))")
    case 19:
      (
        "dependentRequired",
        "{" + some(Self.names).map { "\(quoted($0)):[\(quoted(one(Self.names)))]" }.joined(separator: ",") + "}"
      )
    default: (one(["title", "$comment"]), quoted("x"))
    }
  }

  private mutating func inner(depth: Int) -> (String, String) {
    switch upTo(13) {
    case 0: ("items", schema(depth: depth))
    case 1: ("prefixItems", list(depth: depth))
    case 2: ("contains", schema(depth: depth))
    case 3...4: ("properties", named(Self.names, depth: depth))
    case 5: ("patternProperties", named(["a", "^b", "b$", "^[^a]*$"], depth: depth))
    case 6: ("additionalProperties", schema(depth: depth))
    case 7: ("propertyNames", schema(depth: depth))
    case 8: ("dependentSchemas", named(Self.names, depth: depth))
    case 9: ("allOf", list(depth: depth))
    case 10: ("anyOf", list(depth: depth))
    case 11: ("oneOf", list(depth: depth))
    case 12: ("not", schema(depth: depth))
    default: ("if", schema(depth: depth))
    }
  }

  private mutating func type() -> String {
    let kinds = ["null", "boolean", "object", "array", "number", "string", "integer"]
    guard upTo(2) == 0 else { return quoted(one(kinds)) }
    return "[" + some(kinds).map(quoted).joined(separator: ",") + "]"
  }

  /// One or more of them, each once.
  private mutating func some(_ choices: [String]) -> [String] {
    Array(choices.shuffled(using: &numbers).prefix(1 + upTo(2)))
  }

  private mutating func list(depth: Int) -> String {
    "[" + (0...upTo(2)).map { _ in schema(depth: depth) }.joined(separator: ",") + "]"
  }

  private mutating func named(_ names: [String], depth: Int) -> String {
    "{" + some(names).map { "\(quoted($0)):\(schema(depth: depth))" }.joined(separator: ",") + "}"
  }

  mutating func value(depth: Int) -> String {
    switch upTo(depth > 0 ? 9 : 4) {
    case 0: return one(["null", "true", "false"])
    case 1...2: return one(Self.amounts)
    case 3...4: return quoted(one(Self.texts))
    case 5...6: return "[" + (0..<upTo(3)).map { _ in value(depth: depth - 1) }.joined(separator: ",") + "]"
    default:
      let names = Self.names.shuffled(using: &numbers).prefix(upTo(4))
      return "{" + names.map { "\(quoted($0)):\(value(depth: depth - 1))" }.joined(separator: ",") + "}"
    }
  }

  // MARK: Regular expressions, of what means the same to Python

  mutating func expression(depth: Int) -> String {
    switch depth > 0 ? upTo(9) : 2 + upTo(1) {
    case 0...1: "^\(expression(depth: depth - 1))$"
    case 2: one(["a", "b", "ab", "[ab]", "[^a]", ".", "[a-c1]", boundaries ? "\\\\b" : "b"])
    case 3: one(["a", "b", "0", "1", "\\\\.", "[^ab]", "c"])
    case 4: "(?:\(expression(depth: depth - 1)))" + one(["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "*?"])
    case 5: "(\(expression(depth: depth - 1))|\(expression(depth: depth - 1)))"
    default: expression(depth: depth - 1) + expression(depth: depth - 1)
    }
  }
}
