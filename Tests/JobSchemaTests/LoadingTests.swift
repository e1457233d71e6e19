import Testing

@testable import JobSchema

@Suite("Schemas that are refused") struct LoadingTests {
  @Test("with the place, the keyword and the reason", arguments: refused)
  func refusing(row: Refused) throws {
    let problem = #expect(throws: SchemaProblem.self) { _ = try Schema(Array(row.schema.utf8)) }
    let found = try #require(problem)
    #expect(found.pointer == row.pointer)
    #expect(found.keyword == row.keyword)
    #expect(found.message.contains(row.words), "\(found)")
  }

  @Test("the description names all of it")
  func description() {
    #expect(
      findings(#"{"properties":{"a":{"maximun":1}}}"#, "1") == [
        "refused: at /properties/a, \"maximun\": is no keyword that jobspool checks, and ignoring it would promise too "
          + "much; did you mean \"maximum\"?"
      ])
    #expect(findings("{\n  \"type\": }", "1") == ["refused: line 2, column 11: expected a value, found '}'"])
  }

  @Test("circles that go into the value are no circles")
  func goodCircles() throws {
    for schema in [
      ##"{"items":{"$ref":"#"},"properties":{"a":{"$ref":"#"}},"additionalProperties":{"allOf":[{"$ref":"#"}]}}"##,
      ##"{"contains":{"$ref":"#"},"propertyNames":{"$ref":"#"},"prefixItems":[{"$ref":"#"}]}"##,
      ##"{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{"$ref":"#/$defs/a"}}}"##,
      ##"{"then":{"$ref":"#"}}"##,
      ##"{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}],"$defs":{"a":true}}"##,
    ] { _ = try Schema(Array(schema.utf8)) }
  }

  @Test("a file that is too large or too deep is refused, not read to a crash")
  func bounds() {
    let large = #"{"title":""# + String(repeating: "x", count: Schema.largestFile) + "\"}"
    #expect(findings(large, "1").first?.contains("are the most") == true)
    let deep = String(repeating: #"{"not":"#, count: 10_000)
    #expect(findings(deep, "1").first?.contains("nested deeper than") == true)
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    var schema: String
    var pointer: String
    var keyword: String?
    var words: String
    init(_ schema: String, _ pointer: String, _ keyword: String?, _ words: String) {
      self.schema = schema
      self.pointer = pointer
      self.keyword = keyword
      self.words = words
    }
    var testDescription: String { schema }
  }

  static let refused = [
    Refused("[]", "", nil, "expected a schema"),
    Refused("", "", nil, "expected a value"),
    Refused(#"{"type":"string","type":"number"}"#, "", nil, "occurs twice"),
    Refused(#"{"properties":{"a":1}}"#, "/properties/a", nil, "expected a schema"),
    Refused(#"{"foo":1}"#, "", "foo", "is no keyword"),
    Refused(#"{"definitions":{}}"#, "", "definitions", "\"$defs\" now"),
    Refused(#"{"unevaluatedProperties":false}"#, "", "unevaluatedProperties", "use \"additionalProperties\""),
    Refused(#"{"allOf":[{},{"not":{"items":{"nul":1}}}]}"#, "/allOf/1/not/items", "nul", "is no keyword"),
    Refused(#"{"$defs":{"a/b~":{"x":1}}}"#, "/$defs/a~1b~0", "x", "is no keyword"),
    Refused(#"{"$defs":{"a":{"$id":"b"}}}"#, "/$defs/a", "$id", "only the root"),
    Refused(#"{"type":"text"}"#, "", "type", "\"string\""),
    Refused(#"{"type":[]}"#, "", "type", "at least"),
    Refused(#"{"type":["null","null"]}"#, "", "type", "twice"),
    Refused(#"{"enum":1}"#, "", "enum", "expected an array"),
    Refused(#"{"enum":[]}"#, "", "enum", "accepts nothing"),
    Refused(#"{"multipleOf":0}"#, "", "multipleOf", "above 0"),
    Refused(#"{"multipleOf":-2}"#, "", "multipleOf", "above 0"),
    Refused(#"{"multipleOf":1.2345678901234567891}"#, "", "multipleOf", "18 digits"),
    Refused(#"{"minimum":"1"}"#, "", "minimum", "expected a number"),
    Refused(#"{"exclusiveMinimum":true}"#, "", "exclusiveMinimum", "expected a number"),
    Refused(#"{"minLength":-1}"#, "", "minLength", "whole number"),
    Refused(#"{"maxItems":1.5}"#, "", "maxItems", "whole number"),
    Refused(#"{"maxItems":1e30}"#, "", "maxItems", "whole number"),
    Refused(#"{"pattern":"(?=a)"}"#, "", "pattern", "\"(?=a)\": looking ahead"),
    Refused(#"{"patternProperties":{"(":{}}}"#, "", "patternProperties", "without its"),
    Refused(#"{"format":"ipv4"}"#, "", "format", "\"date-time\""),
    Refused(#"{"items":[{}]}"#, "", "items", "prefixItems"),
    Refused(#"{"prefixItems":[]}"#, "", "prefixItems", "at least one"),
    Refused(#"{"uniqueItems":1}"#, "", "uniqueItems", "true or false"),
    Refused(#"{"required":["a","a"]}"#, "", "required", "twice"),
    Refused(#"{"required":true}"#, "", "required", "expected an array"),
    Refused(#"{"dependentRequired":{"a":[1]}}"#, "", "dependentRequired", "names"),
    Refused(#"{"properties":[]}"#, "", "properties", "expected an object"),
    Refused(#"{"anyOf":{}}"#, "", "anyOf", "expected an array"),
    Refused(#"{"oneOf":[]}"#, "", "oneOf", "at least one"),
    Refused(#"{"$anchor":"1a"}"#, "", "$anchor", "beginning with"),
    Refused(#"{"$anchor":"a","not":{"$anchor":"a"}}"#, "/not", "$anchor", "two schemas"),
    Refused(#"{"not":{"$ref":"other.json"}}"#, "/not", "$ref", "leads out"),
    Refused(#"{"$ref":"https://example.org/s"}"#, "", "$ref", "leads out"),
    Refused(##"{"$ref":"#/$defs/a"}"##, "", "$ref", "no schema at"),
    Refused(##"{"$ref":"#/$defs","$defs":{}}"##, "", "$ref", "no schema at"),
    Refused(##"{"$ref":"#/const","const":{}}"##, "", "$ref", "no schema at"),
    Refused(##"{"$ref":"#a"}"##, "", "$ref", "no schema here"),
    Refused(##"{"$ref":"#/%2"}"##, "", "$ref", "leads out"),
    Refused(##"{"$ref":"#"}"##, "", "$ref", "never end"),
    Refused(##"{"allOf":[{"$ref":"#"}]}"##, "/allOf/0", "$ref", "the root"),
    Refused(
      ##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"not":{"$ref":"#/$defs/a"}}}}"##, "/$defs/b/not", "$ref", "never end"),
    Refused(##"{"if":true,"then":{"$ref":"#"}}"##, "/then", "$ref", "never end"),
    Refused(
      ##"{"dependentSchemas":{"a":{"oneOf":[true,{"$ref":"#"}]}}}"##, "/dependentSchemas/a/oneOf/1", "$ref", "never end"
    ),
    Refused(##"{"$anchor":"me","anyOf":[{"$ref":"#me"}]}"##, "/anyOf/0", "$ref", "never end"),
  ]
}
