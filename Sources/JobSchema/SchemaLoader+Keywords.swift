/// The keywords: which there are, and the form each must have (JSON Schema Core and Validation, 2020-12).
internal import JobModel

extension SchemaLoader {
  /// Stepped over: they say something about a schema or a value, and ask nothing of it.
  private static let annotations: Set<String> = [
    "$schema", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment",
  ]

  private static let asserted = [
    "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
    "minLength", "pattern", "format", "items", "prefixItems", "contains", "maxItems", "minItems", "uniqueItems",
    "minContains", "maxContains", "properties", "patternProperties", "additionalProperties", "propertyNames",
    "required", "dependentRequired", "dependentSchemas", "minProperties", "maxProperties", "allOf", "anyOf", "oneOf",
    "not", "if", "then", "else", "$ref", "$defs", "$anchor", "$id",
  ]

  /// What earlier drafts had, and what says it now.
  private static let former = [
    "definitions": "it is called \"$defs\" now", "id": "it is called \"$id\" now",
    "dependencies": "it is called \"dependentRequired\" or \"dependentSchemas\" now",
    "additionalItems": "with \"prefixItems\", it is called \"items\" now",
    "unevaluatedProperties": "use \"additionalProperties\"", "unevaluatedItems": "use \"items\"",
    "$dynamicRef": "use \"$ref\"", "$recursiveRef": "use \"$ref\"",
  ]

  mutating func read(_ value: Instance, at place: SchemaPlace, into rules: inout Rules) throws(SchemaProblem) {
    switch place.keyword {
    case "type": rules.types = try types(value, place)
    case "enum":
      let values = try array(value, place)
      guard !values.isEmpty else { throw place.problem("expected at least one value: this accepts nothing") }
      rules.options = Set(values)
      rules.optionsShown = SchemaLoader.shown(values)
    case "const": rules.constant = value

    case "multipleOf": rules.multipleOf = try divisor(value, place)
    case "minimum", "exclusiveMinimum":
      rules.minimums.append(Rules.Limit(number: try number(value, place), isExclusive: place.keyword.hasPrefix("ex")))
    case "maximum", "exclusiveMaximum":
      rules.maximums.append(Rules.Limit(number: try number(value, place), isExclusive: place.keyword.hasPrefix("ex")))

    case "minLength": rules.minLength = try count(value, place)
    case "maxLength": rules.maxLength = try count(value, place)
    case "pattern": rules.pattern = try pattern(try string(value, place), place)
    case "format": rules.format = try format(value, place)

    case "prefixItems": rules.prefixItems = try schemas(value, place)
    case "items":
      if case .array = value {
        throw place.problem("a list of schemas is called \"prefixItems\" now; \"items\" is one schema for the rest")
      }
      rules.items = try schema(value, at: place.value)
    case "contains": rules.contains = try schema(value, at: place.value)
    case "minContains": rules.minContains = try count(value, place)
    case "maxContains": rules.maxContains = try count(value, place)
    case "minItems": rules.minItems = try count(value, place)
    case "maxItems": rules.maxItems = try count(value, place)
    case "uniqueItems": rules.uniqueItems = try flag(value, place)

    case "properties":
      for (name, schema) in try namedSchemas(value, place) { rules.properties[name] = schema }
    case "patternProperties":
      for (name, schema) in try namedSchemas(value, place) {
        rules.patternProperties.append((try pattern(name.string, place), schema))
      }
    case "additionalProperties": rules.additionalProperties = try schema(value, at: place.value)
    case "propertyNames": rules.propertyNames = try schema(value, at: place.value)
    case "required": rules.required = try names(value, place)
    case "dependentRequired":
      for member in try object(value, place) {
        rules.dependentRequired.append((member.name, try names(member.value, place)))
      }
    case "dependentSchemas": rules.dependentSchemas = try namedSchemas(value, place)
    case "minProperties": rules.minProperties = try count(value, place)
    case "maxProperties": rules.maxProperties = try count(value, place)

    case "allOf": rules.allOf = try schemas(value, place)
    case "anyOf": rules.anyOf = try schemas(value, place)
    case "oneOf": rules.oneOf = try schemas(value, place)
    case "not": rules.not = try schema(value, at: place.value)
    case "if": rules.condition = try schema(value, at: place.value)
    case "then": rules.then = try schema(value, at: place.value)
    case "else": rules.otherwise = try schema(value, at: place.value)

    case "$ref": references.append((place.schema, try string(value, place)))
    case "$defs": _ = try namedSchemas(value, place)
    case "$anchor": try anchor(value, place)
    case "$id":
      guard place.schema == 0 else {
        throw place.problem("only the root may have one; name a schema inside the file with \"$anchor\"")
      }
      _ = try string(value, place)
    case let keyword where SchemaLoader.annotations.contains(keyword): break
    default: throw unknown(place)
    }
  }

  private func unknown(_ place: SchemaPlace) -> SchemaProblem {
    var hint = ""
    if let successor = SchemaLoader.former[place.keyword] {
      hint = "; " + successor
    } else if let near = Spelling.nearest(to: place.keyword, among: SchemaLoader.asserted) {
      hint = "; did you mean \"\(near)\"?"
    }
    return place.problem("is no keyword that jobspool checks, and ignoring it would promise too much" + hint)
  }

  // MARK: Forms

  private func array(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> [Instance] {
    guard case .array(let elements) = value else { throw place.problem("expected an array, found \(value.shown)") }
    return elements.values
  }

  private func object(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> [Instance.Members.Member] {
    guard case .object(let members) = value else { throw place.problem("expected an object, found \(value.shown)") }
    return members.list
  }

  private func string(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> String {
    guard case .string(let text) = value else { throw place.problem("expected a string, found \(value.shown)") }
    return text.string
  }

  private func flag(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> Bool {
    guard case .bool(let flag) = value else { throw place.problem("expected true or false, found \(value.shown)") }
    return flag
  }

  private func number(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> ExactNumber {
    guard case .number(let number) = value else { throw place.problem("expected a number, found \(value.shown)") }
    return number
  }

  private func count(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> Int {
    guard case .number(let number) = value, let count = number.int, count >= 0 else {
      throw place.problem("expected a whole number from 0, found \(value.shown)")
    }
    return count
  }

  private func divisor(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> ExactNumber {
    let divisor = try number(value, place)
    guard divisor.isUsableDivisor else {
      throw place.problem(
        "expected a number above 0 of at most \(ExactNumber.divisorDigits) digits, found \(value.shown)")
    }
    return divisor
  }

  private func types(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> [Rules.Kind] {
    let known = Rules.Kind.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    var values = [value]
    if case .array(let elements) = value { values = elements.values }
    guard !values.isEmpty else { throw place.problem("expected one of \(known) at least") }
    var types: [Rules.Kind] = []
    for value in values {
      guard case .string(let name) = value, let kind = Rules.Kind(rawValue: name.string) else {
        throw place.problem("expected one of \(known), or a list of them, found \(value.shown)")
      }
      guard !types.contains(kind) else { throw place.problem("\"\(kind.rawValue)\" occurs twice") }
      types.append(kind)
    }
    return types
  }

  private func format(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> Format {
    guard let format = Format(rawValue: try string(value, place)) else {
      let known = Format.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw place.problem("jobspool checks the formats \(known), not \(value.shown); a \"pattern\" may say it")
    }
    return format
  }

  private func pattern(_ text: String, _ place: SchemaPlace) throws(SchemaProblem) -> Pattern {
    do throws(Pattern.Problem) {
      return try Pattern(text)
    } catch {
      throw place.problem("\(Instance.string(Text(text)).shown): \(error.message)")
    }
  }

  private func names(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> [Text] {
    var names: [Text] = []
    for value in try array(value, place) {
      guard case .string(let name) = value else { throw place.problem("expected names, found \(value.shown)") }
      names.append(name)
    }
    guard Set(names).count == names.count else { throw place.problem("a name occurs twice") }
    return names
  }

  private mutating func schemas(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) -> [Int] {
    let values = try array(value, place)
    guard !values.isEmpty else { throw place.problem("expected at least one schema") }
    var numbers: [Int] = []
    for (index, value) in values.enumerated() { numbers.append(try schema(value, at: "\(place.value)/\(index)")) }
    return numbers
  }

  private mutating func namedSchemas(
    _ value: Instance, _ place: SchemaPlace
  ) throws(SchemaProblem) -> [(name: Text, schema: Int)] {
    var named: [(name: Text, schema: Int)] = []
    for member in try object(value, place) {
      let pointer = place.value + "/" + JSONPointer.escape(member.name.string)
      named.append((member.name, try schema(member.value, at: pointer)))
    }
    return named
  }

  private mutating func anchor(_ value: Instance, _ place: SchemaPlace) throws(SchemaProblem) {
    let name = try string(value, place)
    let bytes = Array(name.utf8)
    let isName = bytes.allSatisfy { FormatScan.isLetter($0) || FormatScan.isDigit($0) || "-._".utf8.contains($0) }
    guard let first = bytes.first, isName, FormatScan.isLetter(first) || first == UInt8(ascii: "_") else {
      throw place.problem(
        "expected a name of letters, digits and -._, beginning with a letter or _; found \(value.shown)")
    }
    guard anchors.updateValue(place.schema, forKey: Text(name)) == nil else {
      throw place.problem("two schemas have the anchor \"\(name)\"")
    }
  }

  private static func shown(_ values: [Instance]) -> String {
    let some = values.prefix(8).map(\.shown).joined(separator: ", ")
    return values.count > 8 ? "\(some), … (\(values.count) in all)" : some
  }
}
