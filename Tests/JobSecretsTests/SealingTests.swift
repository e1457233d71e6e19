import JobModel
import Testing

@testable import JobSecrets

@Suite("Sealed fields") struct SealingTests {
  let key = DataKey.generate()

  @Test("what was sealed opens to the same bytes, and nothing else changes")
  func thereAndBack() throws {
    let payload = #" { "to" : "ann", "password":  "hun\u0074er2" , "nested":{"a":[1.0,{"pin":  12 }]},"é":[ ] } "#
    let pointers = pointers("/payload/password", "/payload/nested/a/1", "/payload/é", "/payload/absent/x")
    let sealed = try seal(payload, pointers)
    for secret in ["hun", "pin", "12 }", "[ ]"] { #expect(!sealed.contains(secret)) }
    #expect(sealed.hasPrefix(#" { "to" : "ann", "password":  {"$sealed":"v1","enc":""#))
    #expect(sealed.contains(#"} , "nested":{"a":[1.0,{"$sealed":"v1""#))
    #expect(sealed.hasSuffix("} "))
    try JSONReader.check(Array(sealed.utf8))
    #expect(try open(sealed, pointers) == payload)
  }

  @Test("the same value is sealed differently each time")
  func fresh() throws {
    let pointers = pointers("/payload/a")
    #expect(try seal(#"{"a":1}"#, pointers) != seal(#"{"a":1}"#, pointers))
  }

  @Test(
    "any value can be sealed: the whole payload, long ones, lone surrogates",
    arguments: [
      "null", "\"\"", "[]", "{\"a\":{\"a\":1,\"a\":2}}", "\"\\ud800\"", "-0.0e+1",
      "\"" + String(repeating: "ä", count: 400_000) + "\"",
    ])
  func anyValue(value: String) throws {
    let whole = pointers("/payload")
    #expect(try open(try seal(value, whole), whole) == value)
    let part = pointers("/payload/x")
    #expect(try open(try seal("{\"x\":\(value)}", part), part) == "{\"x\":\(value)}")
  }

  @Test("a sealed field is left, and an absent one is fine")
  func again() throws {
    let pointers = pointers("/payload/a", "/payload/b")
    let once = try seal(#"{"a":1}"#, pointers)
    #expect(try seal(once, pointers) == once)
    #expect(try seal("[]", pointers) == "[]")
    #expect(try open(#"{"a":1}"#, pointers) == #"{"a":1}"#)
  }

  @Test("of equal keys, however escaped, all are sealed")
  func duplicates() throws {
    let pointers = pointers("/payload/password")
    let payload = #"{"password":"one","pass\u0077ord":"two","\ud800":0,"password":"three"}"#
    let sealed = try seal(payload, pointers)
    for secret in ["one", "two", "three"] { #expect(!sealed.contains(secret)) }
    #expect(try open(sealed, pointers) == payload)
  }

  @Test("a pointer inside another is covered by it, in any order, and after a change of the handler")
  func overlapping() throws {
    let both = pointers("/payload/a/ct", "/payload/a")
    let payload = #"{"a":{"ct":"x","b":1}}"#
    let sealed = try seal(payload, both)
    #expect(!sealed.contains("\"b\""))
    #expect(try open(sealed, both) == payload)
    // The inner one was sealed when only that was asked for.
    let inner = try seal(payload, pointers("/payload/a/ct"))
    #expect(try open(inner, both) == payload)
    #expect(try open(try seal(inner, both), both) == payload)
  }

  @Test(
    "only the exact form is a sealed field; what only looks like one is sealed as clear text",
    arguments: [
      #"{"$sealed":"v1"}"#, #"{"$sealed":"v1","enc":"","ct":""}"#, #"{"$sealed":"v1","password":"hunter2"}"#,
      #"{"$sealed":"v1","enc":"hunter2","ct":"hunter2","x":1}"#, #"{"$sealed":"v2","enc":"AAAA","ct":"AAAA"}"#,
    ])
  func lookalikes(value: String) throws {
    let pointers = pointers("/payload")
    #expect(JSONPointer.unsealed(pointers, in: Array(value.utf8)) == pointers)
    let sealed = try seal(value, pointers)
    #expect(sealed != value)
    #expect(JSONPointer.unsealed(pointers, in: Array(sealed.utf8)) == [])
    #expect(try open(sealed, pointers) == value)
  }

  @Test("a changed, moved or foreign field does not open, and the message does not show it")
  func tampering() throws {
    let pointers = pointers("/payload/a", "/payload/b")
    let sealed = try seal(#"{"a":"hunter2"}"#, pointers)
    cannotOpen(sealed.replacing("{\"a\"", with: "{\"b\""), pointers)
    cannotOpen(sealed, pointers, type: "other")
    cannotOpen(sealed, pointers, key: .generate())
    // Every letter of base64 in turn; where the last bits of one are not used, the bytes are the same.
    let field = Array(sealed.utf8)
    let enc = try #require(JSONPointer("/a/enc")?.locate(in: field))
    let ct = try #require(JSONPointer("/a/ct")?.locate(in: field))
    var changed = 0
    for place in [enc, ct].flatMap({ Array($0.dropFirst().dropLast(4)) }) {
      var bytes = field
      bytes[place] = bytes[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      cannotOpen(String(decoding: bytes, as: UTF8.self), pointers)
      changed += 1
    }
    #expect(changed > 60)
    // One job's field at another's place of the same name and type opens: the id is not bound to it.
    #expect(try open(sealed, pointers) == #"{"a":"hunter2"}"#)
  }

  @Test("a payload that is no JSON, or a pointer that leads elsewhere, is an error")
  func mistakes() {
    #expect(throws: SecretProblem.self) { try seal("{", pointers("/payload/a")) }
    #expect(throws: SecretProblem.self) { try open("{\"a\":1,}", pointers("/payload/a")) }
    #expect(throws: SecretProblem.self) { try seal("{}", pointers("/meta/a")) }
  }

  private func pointers(_ texts: String...) -> [JSONPointer] { texts.compactMap { JSONPointer($0) } }

  private func seal(_ payload: String, _ pointers: [JSONPointer]) throws -> String {
    String(decoding: try key.publicKey.seal(Array(payload.utf8), pointers, type: "mail"), as: UTF8.self)
  }

  private func open(_ payload: String, _ pointers: [JSONPointer]) throws -> String {
    String(decoding: try key.open(Array(payload.utf8), pointers, type: "mail"), as: UTF8.self)
  }

  private func cannotOpen(
    _ payload: String, _ pointers: [JSONPointer], type: String = "mail", key: DataKey? = nil,
    location: SourceLocation = #_sourceLocation
  ) {
    let problem = #expect(throws: SecretProblem.self, sourceLocation: location) {
      try (key ?? self.key).open(Array(payload.utf8), pointers, type: type)
    }
    #expect(problem?.code == .cannotOpen, sourceLocation: location)
    #expect(problem?.message.contains("hunter2") == false, sourceLocation: location)
  }
}
