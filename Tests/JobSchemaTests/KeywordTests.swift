import Testing

@testable import JobSchema

@Suite("What each keyword accepts") struct KeywordTests {
  @Test("values, numbers and strings", arguments: values)
  func ofValues(row: SchemaRow) { check(row) }

  @Test("arrays", arguments: arrays)
  func ofArrays(row: SchemaRow) { check(row) }

  @Test("objects", arguments: objects)
  func ofObjects(row: SchemaRow) { check(row) }

  @Test("schemas inside schemas", arguments: combined)
  func ofCombinations(row: SchemaRow) { check(row) }

  private func check(_ row: SchemaRow) {
    for payload in row.good { #expect(findings(row.schema, payload) == [], "\(payload)") }
    for payload in row.bad {
      let found = findings(row.schema, payload)
      #expect(!found.isEmpty, "\(payload)")
      #expect(!found.contains { $0.hasPrefix("refused") }, "\(found)")
    }
  }

  static let values = [
    SchemaRow("true", good: ["1", "null", "{}"], bad: []),
    SchemaRow("false", good: [], bad: ["1", "null", "{}"]),
    SchemaRow("{}", good: ["1", "[[]]"], bad: ["", "[1,]", "{\"a\":1,\"a\":1}", "\"\\ud800\"", "nul"]),
    SchemaRow(
      #"{"type":"integer"}"#, good: ["0", "-1", "1.0", "1e3", "100e-2", "12345678901234567890123", "-0", "0.0e9"],
      bad: ["1.5", "1e-1", "\"1\"", "true", "null", "[]"]),
    SchemaRow(#"{"type":"number"}"#, good: ["1", "1.5"], bad: ["\"1\"", "false"]),
    SchemaRow(#"{"type":["string","null"]}"#, good: ["\"\"", "null"], bad: ["0", "[]", "{}"]),
    SchemaRow(#"{"type":"boolean"}"#, good: ["true", "false"], bad: ["0", "1", "null"]),
    SchemaRow(#"{"type":"object"}"#, good: ["{}"], bad: ["[]"]),
    SchemaRow(#"{"type":"array"}"#, good: ["[]"], bad: ["{}"]),
    SchemaRow(
      #"{"enum":[1,"a",null,{"x":[1,2.0]},true]}"#,
      good: ["1", "1.0", "10e-1", "\"a\"", "\"\\u0061\"", "null", "{\"x\":[1.0,2]}", "true"],
      bad: ["2", "\"A\"", "false", "0", "{\"x\":[2,1]}", "{\"x\":[1,2],\"y\":0}", "{}"]),
    SchemaRow(
      #"{"const":{"a":1,"b":[0]}}"#, good: ["{\"b\":[0],\"a\":1}", "{\"b\":[-0.0],\"a\":1.0}"],
      bad: ["{\"a\":1}", "{\"a\":1,\"b\":[false]}", "{\"a\":true,\"b\":[0]}"]),
    SchemaRow(#"{"const":0}"#, good: ["0", "-0", "0.0", "0e99"], bad: ["false", "\"\"", "null"]),
    SchemaRow(#"{"const":"é"}"#, good: ["\"é\"", "\"\\u00e9\""], bad: ["\"e\\u0301\""]),
    SchemaRow(#"{"const":1e400}"#, good: ["1e400", "10e399"], bad: ["1e401", "1e399"]),

    SchemaRow(#"{"multipleOf":0.1}"#, good: ["0.3", "1", "0", "1e30", "-0.7", "\"x\""], bad: ["0.35", "1e-2"]),
    SchemaRow(
      #"{"multipleOf":3}"#, good: ["9007199254740993", "-3", "3e0"], bad: ["9007199254740992", "1e40", "0.3"]),
    SchemaRow(#"{"multipleOf":0.25}"#, good: ["1e999999999", "0.75"], bad: ["1e-999999999", "0.1"]),
    SchemaRow(
      #"{"multipleOf":123456789012345678}"#, good: ["123456789012345678000", "0"], bad: ["123456789012345679"]),
    SchemaRow(
      #"{"minimum":-1.5,"maximum":9007199254740992}"#, good: ["-1.5", "-1.50", "9007199254740992", "0", "\"\""],
      bad: ["-1.5000000000000000000001", "9007199254740993", "-2", "1e300", "-1e1"]),
    // Numbers of 18 digits and of more are kept in two ways.
    SchemaRow(
      #"{"minimum":1234567890123456789}"#, good: ["1234567890123456789", "1234567890123456789.5", "2e18"],
      bad: ["123456789012345678e1", "1234567890123456788", "1234567890123456788.9", "-1e99"]),
    SchemaRow(
      #"{"maximum":123456789012345678}"#, good: ["123456789012345678.0", "123456789012345677.99", "-1", "0.001"],
      bad: ["123456789012345678.1", "123456789012345679", "1234567890123456780"]),
    SchemaRow(
      #"{"const":100000000000000001}"#,
      good: ["100000000000000001", "1000000000000000010e-1", "0.100000000000000001e18"],
      bad: ["100000000000000002", "1000000000000000011e-1", "1", "1e17"]),
    SchemaRow(
      #"{"const":1000000000000000001}"#, good: ["1000000000000000001.000", "10000000000000000010e-1"],
      bad: ["1000000000000000002", "1e18", "100000000000000001"]),
    SchemaRow(
      #"{"exclusiveMinimum":0,"exclusiveMaximum":1e-2}"#, good: ["0.001", "1e-99999999999999999999999"],
      bad: ["0", "-0.0", "0.01", "10e-3", "-1e-5"]),

    SchemaRow(
      #"{"minLength":2,"maxLength":3}"#, good: ["\"ab\"", "\"😀😀😀\"", "\"e\\u0301\"", "5"],
      bad: ["\"😀\"", "\"é\"", "\"abcd\"", "\"\""]),
    SchemaRow(#"{"maxLength":2.0}"#, good: ["\"ab\""], bad: ["\"abc\""]),
    SchemaRow(#"{"pattern":"^a+$"}"#, good: ["\"aa\"", "1"], bad: ["\"\"", "\"ab\"", "\"aa\\n\""]),
  ]

  static let arrays = [
    SchemaRow(#"{"items":{"type":"string"}}"#, good: ["[]", "[\"a\"]", "5", "{\"0\":1}"], bad: ["[\"a\",1]"]),
    SchemaRow(#"{"items":false}"#, good: ["[]"], bad: ["[1]"]),
    SchemaRow(
      #"{"prefixItems":[{"type":"string"},{"type":"number"}],"items":{"type":"null"}}"#,
      good: ["[]", "[\"a\"]", "[\"a\",1]", "[\"a\",1,null,null]"], bad: ["[1]", "[\"a\",\"b\"]", "[\"a\",1,2]"]),
    SchemaRow(#"{"prefixItems":[{"type":"string"}]}"#, good: ["[\"a\",1,null]"], bad: ["[1]"]),
    SchemaRow(#"{"contains":{"const":1}}"#, good: ["[0,1]", "[1.0]", "{}"], bad: ["[]", "[0,\"1\"]"]),
    SchemaRow(
      #"{"contains":{"minimum":5},"minContains":2,"maxContains":3}"#, good: ["[5,6]", "[1,5,6,7,2]"],
      bad: ["[5]", "[5,6,7,8]", "[]"]),
    SchemaRow(#"{"contains":false,"minContains":0}"#, good: ["[]", "[1]"], bad: []),
    SchemaRow(#"{"contains":{"const":1},"minContains":0,"maxContains":1}"#, good: ["[]", "[1]"], bad: ["[1,1]"]),
    SchemaRow(#"{"minContains":2,"maxContains":0}"#, good: ["[]", "[1]"], bad: []),
    SchemaRow(#"{"minItems":1,"maxItems":2}"#, good: ["[1]", "[1,2]", "\"\""], bad: ["[]", "[1,2,3]"]),
    SchemaRow(
      #"{"uniqueItems":true}"#,
      good: [
        "[]", "[1,\"1\",true,null]", "[0,false]", "[[0],[false]]", "[{\"a\":1},{\"a\":2}]", "[\"é\",\"e\\u0301\"]",
      ],
      bad: ["[1,1.0]", "[1,2,1]", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1.0}]", "[[1],[1]]", "[\"a\",\"\\u0061\"]"]),
    SchemaRow(#"{"uniqueItems":false}"#, good: ["[1,1]"], bad: []),
  ]

  static let objects = [
    SchemaRow(
      #"{"properties":{"a":{"type":"string"},"b":false}}"#, good: ["{}", "{\"a\":\"x\",\"c\":1}", "[]"],
      bad: ["{\"a\":1}", "{\"b\":1}"]),
    SchemaRow(
      #"{"properties":{"a":{}},"patternProperties":{"^x-":{"type":"number"}},"additionalProperties":{"type":"null"}}"#,
      good: ["{\"a\":1,\"x-b\":2,\"c\":null}", "{\"\":null}"], bad: ["{\"x-b\":\"2\"}", "{\"c\":1}", "{\"ax-\":1}"]),
    SchemaRow(
      #"{"properties":{"é":{}},"additionalProperties":false}"#, good: ["{\"\\u00e9\":1}"], bad: ["{\"e\\u0301\":1}"]),
    SchemaRow(
      #"{"patternProperties":{"a":{"minimum":1},"b":{"maximum":5}},"additionalProperties":false}"#,
      good: ["{\"ab\":3}", "{\"xb\":0}"], bad: ["{\"ab\":0}", "{\"ab\":6}", "{\"c\":3}"]),
    SchemaRow(#"{"additionalProperties":false}"#, good: ["{}", "[1]"], bad: ["{\"a\":1}"]),
    SchemaRow(#"{"propertyNames":{"maxLength":2}}"#, good: ["{\"ab\":1}", "3"], bad: ["{\"abc\":1}"]),
    SchemaRow(#"{"propertyNames":false}"#, good: ["{}"], bad: ["{\"\":1}"]),
    SchemaRow(
      #"{"required":["a","b c"]}"#, good: ["{\"a\":null,\"b c\":0}", "[]", "null"], bad: ["{}", "{\"a\":1}"]),
    SchemaRow(#"{"required":[]}"#, good: ["{}"], bad: []),
    SchemaRow(
      #"{"dependentRequired":{"card":["name","address"]}}"#, good: ["{}", "{\"card\":1,\"name\":1,\"address\":1}"],
      bad: ["{\"card\":1}", "{\"card\":null,\"name\":1}"]),
    SchemaRow(
      #"{"dependentSchemas":{"a":{"required":["b"],"maxProperties":2}}}"#, good: ["{\"b\":1}", "{\"a\":1,\"b\":2}"],
      bad: ["{\"a\":1}", "{\"a\":1,\"b\":2,\"c\":3}"]),
    SchemaRow(
      #"{"minProperties":1,"maxProperties":2}"#, good: ["{\"a\":1}", "[]"], bad: ["{}", "{\"a\":1,\"b\":1,\"c\":1}"]),
  ]

  static let combined = [
    SchemaRow(#"{"allOf":[{"minimum":1},{"maximum":3}]}"#, good: ["2"], bad: ["0", "4"]),
    SchemaRow(#"{"anyOf":[{"minimum":5},{"type":"string"}]}"#, good: ["5", "\"a\""], bad: ["4"]),
    SchemaRow(#"{"anyOf":[{"minimum":5}]}"#, good: ["5"], bad: ["4"]),
    SchemaRow(#"{"oneOf":[{"minimum":5},{"maximum":7}]}"#, good: ["4", "8"], bad: ["6", "\"a\""]),
    SchemaRow(#"{"oneOf":[false,true,false]}"#, good: ["1"], bad: []),
    SchemaRow(#"{"not":{"type":"string"}}"#, good: ["1"], bad: ["\"a\""]),
    SchemaRow(#"{"not":{"not":{"type":"string"}}}"#, good: ["\"a\""], bad: ["1"]),
    SchemaRow(
      #"{"if":{"properties":{"k":{"const":1}},"required":["k"]},"then":{"required":["a"]},"else":{"required":["b"]}}"#,
      good: ["{\"k\":1,\"a\":0}", "{\"k\":2,\"b\":0}", "{\"b\":0}"], bad: ["{\"k\":1,\"b\":0}", "{\"a\":0}", "{}"]),
    SchemaRow(#"{"if":{"type":"string"},"then":{"minLength":1}}"#, good: ["\"a\"", "1"], bad: ["\"\""]),
    SchemaRow(#"{"then":false,"else":false}"#, good: ["1"], bad: []),
    SchemaRow(
      ##"{"$ref":"#/$defs/a","maximum":3,"$defs":{"a":{"minimum":1}}}"##, good: ["1", "3", "\"x\""], bad: ["0", "4"]),
    SchemaRow(
      ##"{"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false}"##,
      good: ["{}", "{\"next\":{\"next\":{}}}"], bad: ["{\"next\":{\"nxt\":{}}}", "{\"next\":1}"]),
    SchemaRow(
      ##"{"items":{"$ref":"#leaf"},"$defs":{"x":{"$anchor":"leaf","type":"string"}}}"##, good: ["[\"a\"]"], bad: ["[1]"]
    ),
    SchemaRow(
      ##"{"properties":{"a/b~c %":{"type":"null"},"r":{"$ref":"#/properties/a~1b~0c%20%25"}}}"##,
      good: ["{\"r\":null}"], bad: ["{\"r\":1}", "{\"a/b~c %\":0}"]),
    SchemaRow(
      #"{"$id":"https://example.org/s.json","properties":{"a":{"$ref":"https://example.org/s.json#/$defs/n"}},"$defs":{"n":{"type":"null"}}}"#,
      good: ["{\"a\":null}"], bad: ["{\"a\":1}"]),
    SchemaRow(
      #"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","description":"d","default":1,"examples":[],"deprecated":true,"readOnly":true,"writeOnly":false,"$comment":"c","type":"string"}"#,
      good: ["\"a\""], bad: ["1"]),
  ]
}
