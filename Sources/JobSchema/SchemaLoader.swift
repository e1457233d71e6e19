/// Reads a schema document into `Rules`: every keyword is known, has the form it must have, and every reference leads to
/// a schema of the document. The keywords are in SchemaLoader+Keywords.swift, references in SchemaLoader+References.swift.
internal import JobModel

struct SchemaLoader {
  var rules: [Rules] = []
  /// The number of each schema by its JSON pointer, and the pointers by number.
  var numbers: [Text: Int] = [:]
  var pointers: [String] = []
  /// By the names that `$anchor` gives.
  var anchors: [Text: Int] = [:]
  /// `$ref` of each schema that has one, to be followed when all are read.
  var references: [(schema: Int, target: String)] = []
  /// `$id` of the root: a reference may begin with it.
  var identifier: String?

  mutating func load(_ document: Instance) throws(SchemaProblem) -> [Rules] {
    if case .object(let members) = document, case .string(let identifier) = members[Text("$id")] {
      self.identifier = identifier.string
    }
    _ = try schema(document, at: "")
    try followReferences()
    try refuseCircles()
    return rules
  }

  /// Reads one schema and those inside it; returns its number.
  mutating func schema(_ value: Instance, at pointer: String) throws(SchemaProblem) -> Int {
    let number = rules.count
    rules.append(Rules())
    pointers.append(pointer)
    numbers[Text(pointer)] = number
    switch value {
    case .bool(let verdict): rules[number].verdict = verdict
    case .object(let members):
      var own = Rules()
      for member in members.list {
        let place = SchemaPlace(schema: number, pointer: pointer, keyword: member.name.string)
        try read(member.value, at: place, into: &own)
      }
      rules[number] = own
    default:
      throw SchemaProblem(
        pointer: pointer, message: "expected a schema (an object, true or false), found \(value.shown)")
    }
    return number
  }
}

/// A keyword in the document.
struct SchemaPlace {
  let schema: Int
  /// Of the schema that has the keyword.
  let pointer: String
  let keyword: String

  func problem(_ message: String) -> SchemaProblem {
    SchemaProblem(pointer: pointer, keyword: keyword, message: message)
  }

  /// The pointer of the keyword's value.
  var value: String { pointer + "/" + JSONPointer.escape(keyword) }
}
