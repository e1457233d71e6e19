import JobModel
import Testing

@testable import JobSchema

@Suite("What a check reports, and its bounds") struct CheckTests {
  @Test("each violation has its place, what was expected and what was found")
  func messages() {
    let schema = ##"""
      {"type":"object","required":["to","subject"],"additionalProperties":false,
       "properties":{"to":{"type":"array","minItems":1,"items":{"type":"string","format":"email"}},"subject":{"type":"string",
       "maxLength":5},"n":{"type":["integer","null"],"minimum":1,"multipleOf":2},"k":{"enum":["a",1,null]},"a/b":{"const":true},
       "p":{"pattern":"^x"},"o":{"oneOf":[{"minimum":1},{"maximum":3}]},"u":{"uniqueItems":true}}}
      """##
    let payload = #"{"to":["a@b.c","me",3],"n":-3,"k":"z","a/b":1,"p":"ax","x y":0,"o":2,"u":[1,2,1.0]}"#
    #expect(
      findings(schema, payload) == [
        ": expected the key \"subject\", which is missing",
        "/to/1: expected an email address such as \"ann@example.org\", found \"me\"",
        "/to/2: expected a string, found 3",
        "/n: expected at least 1, found -3",
        "/n: expected a multiple of 2, found -3",
        "/k: expected one of \"a\", 1, null, found \"z\"",
        "/a~1b: expected true, found 1",
        "/p: expected a match of the pattern ^x, found \"ax\"",
        "/x y: the key \"x y\" is not allowed here",
        "/o: expected a value that fits exactly one of the 2 schemas in \"oneOf\"; it fits number 1 and number 2, found 2",
        "/u: expected elements that differ, found the same at 0 and 2",
      ])
    #expect(findings(schema, "[]") == [": expected an object, found an empty array"])
    #expect(
      findings(schema, #"{"to":[],"subject":"123456","n":1.5}"#) == [
        "/to: expected at least 1 element, found 0", "/subject: expected at most 5 characters, found 6",
        "/n: expected a whole number or null, found 1.5",
      ])
  }

  @Test("pointers begin with the prefix, and there are twenty violations at most")
  func prefixAndBound() throws {
    let schema = try Schema(Array(#"{"items":{"type":"null"}}"#.utf8))
    let violations = schema.check(
      Array(("[" + Array(repeating: "1", count: 500).joined(separator: ",") + "]").utf8), below: "/payload")
    #expect(violations.count == Schema.mostViolations)
    #expect(violations.first == Violation(pointer: "/payload/0", message: "expected null, found 1"))
    #expect(schema.check(Array("[1,".utf8), below: "/payload").map(\.pointer) == ["/payload"])
  }

  @Test("a secret value is not shown, nor are its keys")
  func secrets() throws {
    let schema = try Schema(
      Array(
        ##"""
        {"properties":{"password":{"minLength":99,"pattern":"^x","enum":["q"]},"deep":{"additionalProperties":false,"items":false},
         "open":{"const":1}},"propertyNames":{"pattern":"^[a-z]+$"}}
        """##.utf8))
    let secret = ["/payload/password", "/payload/deep", "/payload/9"].compactMap { JSONPointer($0) }
    for payload in [
      #"{"password":"hunter2"}"#, #"{"deep":{"hunter2":1}}"#, #"{"deep":["hunter2"]}"#, #"{"9":"hunter2"}"#,
      #"{"deep":{"hunter2":1,"hunter2":1}}"#,
    ] {
      let found = schema.check(Array(payload.utf8), below: "/payload", hiding: secret)
      #expect(!found.isEmpty)
      #expect(!"\(found)".contains("hunter2"), "\(found)")
    }
    let found = schema.check(Array(#"{"password":"hunter2","open":"seen"}"#.utf8), below: "/payload", hiding: secret)
    let secretly = "the secret value does not fit its schema: expected"
    #expect(
      found == [
        Violation(pointer: "/payload/password", message: "\(secretly) one of \"q\""),
        Violation(pointer: "/payload/password", message: "\(secretly) at least 99 characters"),
        Violation(pointer: "/payload/password", message: "\(secretly) a match of the pattern ^x"),
        Violation(pointer: "/payload/open", message: "expected 1, found \"seen\""),
      ])
    let parts = schema.check(Array(#"{"deep":{"x, found hunter2":1}}"#.utf8), below: "/payload", hiding: secret)
    #expect(parts.map(\.message) == ["the secret value does not fit its schema"])
  }

  @Test("long values are cut in messages, and control characters escaped")
  func shortMessages() {
    let long = String(repeating: "ä", count: 100_000)
    #expect(findings(#"{"const":1}"#, "\"\(long)\"")[0].count < 100)
    #expect(findings(#"{"const":1}"#, "1" + String(repeating: "0", count: 100_000))[0].count < 100)
    #expect(findings(#"{"const":1}"#, #""\u001b[2J""#) == [#": expected 1, found "\u001b[2J""#])
  }

  @Test("alternatives inside alternatives end with a violation, not with the heat death")
  func explosion() throws {
    let schema = ##"{"oneOf":[{"type":"array","items":{"$ref":"#"}},{"items":{"$ref":"#"}},{"type":"null"}]}"##
    let found = try hurried(schema, deep(200))
    #expect(found == [Violation(pointer: "", message: found.first?.message ?? "")])
    #expect(found.first?.message.contains("takes too long") == true)
    // Inside "not", where whatever fails would be fine.
    let inside = schema.replacing("\"#\"", with: "\"#/not\"")
    #expect(try hurried("{\"not\":\(inside)}", deep(200)).first?.message.contains("takes too long") == true)
  }

  @Test("the deepest JSON there is can be checked, on an ordinary thread's stack")
  func depth() {
    let schema = ##"{"items":{"$ref":"#"},"properties":{"a":{"$ref":"#"}}}"##
    #expect(findings(schema, deep(512)) == [])
    #expect(findings(schema, deep(513))[0].contains("nested deeper than 512"))
    let objects = String(repeating: "{\"a\":", count: 511) + "{}" + String(repeating: "}", count: 511)
    #expect(findings(schema, objects) == [])
    let chain = (0..<50).map { ##""c\##($0)":{"allOf":[{"$ref":"#/$defs/c\##($0 + 1)"}]}"## }.joined(separator: ",")
    let winding = ##"{"$ref":"#/$defs/c0","$defs":{\##(chain),"c50":{"items":{"$ref":"#"}}}}"##
    #expect(findings(winding, "[[[]]]") == [])
    #expect(findings(winding, deep(300))[0].contains("nested too deeply"))
  }

  @Test("hostile payloads for uniqueItems, enum and patterns end in time")
  func hostile() throws {
    let many = "[" + (0..<20_000).map { "[\($0),{}]" }.joined(separator: ",") + "]"
    #expect(findings(#"{"uniqueItems":true,"items":{"enum":[1,2]}}"#, many).count == Schema.mostViolations)
    let nested = String(repeating: "[1,", count: 500) + many + String(repeating: "]", count: 500)
    let recursive = ##"{"uniqueItems":true,"items":{"$ref":"#"}}"##
    #expect(try hurried(recursive, nested).first?.message.contains("takes too long") == true)
    let text = "\"" + String(repeating: "a", count: 100_000) + "\""
    #expect(try hurried(#"{"pattern":"^(a|a)*$"}"#, text) == [])
    #expect(try hurried(#"{"pattern":"(a{0,400}){10}b"}"#, text).first?.message.contains("takes too long") == true)
  }

  /// A check with a smaller effort, so that reaching its end takes no time.
  private func hurried(_ schema: String, _ payload: String) throws -> [Violation] {
    var check = Check(schemas: try Schema(Array(schema.utf8)).schemas, prefix: "", secrets: [])
    check.effort = 1_000_000
    return check.run(try Array(payload.utf8).withUnsafeBufferPointer { try Instance.parse($0) })
  }

  private func deep(_ levels: Int) -> String {
    String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
  }
}
