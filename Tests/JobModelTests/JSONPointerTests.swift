import JobModel
import Testing

@Suite("JSON pointers in documents") struct JSONPointerTests {
  /// RFC 6901 section 5.
  static let document = #"""
    {"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}
    """#

  @Test(
    "the examples of RFC 6901",
    arguments: [
      ("", document), ("/foo", #"["bar","baz"]"#), ("/foo/0", "\"bar\""), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"),
      ("/e^f", "3"),
      ("/g|h", "4"), ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8"),
    ])
  func examples(pointer: String, value: String) throws {
    let parsed = try #require(JSONPointer(pointer))
    #expect(parsed.text == pointer)
    #expect(found(pointer, Self.document) == value)
  }

  @Test(
    "what is not there has no place",
    arguments: [
      "/bar", "/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/0/x", "/foo/99999999999999999999", "/a", "//", "/foo/ 0",
    ])
  func absent(pointer: String) { #expect(found(pointer, Self.document) == nil) }

  @Test("space, escapes and brackets in strings do not lead astray")
  func layout() {
    let text = "\n { \"a]\\\"}\" : [ 1 ,\t\"]\\\\\" , { } , [ [ ] ] , -1.5e3 ] , \"\\u0062\" : true }\r\n"
    #expect(found("/a]\"}/1", text) == "\"]\\\\\"")
    #expect(found("/a]\"}/2", text) == "{ }")
    #expect(found("/a]\"}/3/0", text) == "[ ]")
    #expect(found("/a]\"}/4", text) == "-1.5e3")
    #expect(found("/b", text) == "true")
    #expect(found("/u0062", text) == nil)
    #expect(found("", " 12 ") == "12")
  }

  @Test("of equal keys the last counts, and all of them where something is hidden")
  func duplicates() throws {
    let text = #"{"a":{"x":1},"\u0061":{"x":2,"x":3},"\ud800":4,"a":{"y":5}}"#
    #expect(found("/a", text) == #"{"y":5}"#)
    #expect(found("/a/x", text) == nil)
    let ranges = try #require(JSONPointer("/a/x")?.ranges(in: Array(text.utf8)))
    #expect(ranges.map { String(decoding: Array(text.utf8)[$0], as: UTF8.self) } == ["1", "2", "3"])
  }

  @Test("letters are compared by code points, and slashes seen before combining marks")
  func codePoints() throws {
    #expect(found("/é", "{\"e\u{301}\":1}") == nil)
    #expect(found("/é", #"{"\u00e9":1}"#) == "1")
    #expect(JSONPointer("/é") != JSONPointer("/e\u{301}"))
    #expect(JSONPointer("/a/\u{301}")?.tokens == ["a", "\u{301}"])
    #expect(JSONPointer("/\u{301}")?.tokens == ["\u{301}"])
  }

  @Test(
    "what is no JSON has no places and is masked whole",
    arguments: ["", "{", "{\"a\":1,}", "nul", "{\"a\":1}x", "\u{FEFF}1"])
  func noJSON(text: String) throws {
    let pointer = try #require(JSONPointer("/a"))
    #expect(pointer.locate(in: Array(text.utf8)) == nil)
    #expect(pointer.ranges(in: Array(text.utf8)) == nil)
    #expect(JSONPointer.redact(Array(text.utf8), [pointer]) == JSONPointer.mask)
  }

  @Test(
    "redaction masks the values and keeps every other byte",
    arguments: [
      (["/a"], #"{"a": {"b":1} ,"c":2}"#, #"{"a": "•••" ,"c":2}"#),
      (["/a/b", "/a", "/a"], #"{"a":{"b":1},"c":2}"#, #"{"a":"•••","c":2}"#),
      (["/a/b", "/c"], #"{"a":{"b":1},"c":2,"a":{"b":[]}}"#, #"{"a":{"b":"•••"},"c":"•••","a":{"b":"•••"}}"#),
      (["/x/1"], #"{"x":[1,"\ud800",3]}"#, #"{"x":[1,"•••",3]}"#),
      ([""], " [1] ", " \"•••\" "),
      (["/none"], "[1 ]", "[1 ]"),
      ([], "{", "{"),
    ] as [([String], String, String)])
  func redaction(pointers: [String], text: String, expected: String) {
    let redacted = JSONPointer.redact(Array(text.utf8), pointers.compactMap { JSONPointer($0) })
    #expect(String(decoding: redacted, as: UTF8.self) == expected)
  }

  @Test("a pointer below its first token")
  func below() {
    #expect(JSONPointer("/payload/a/b")?.below("payload") == JSONPointer("/a/b"))
    #expect(JSONPointer("/payload")?.below("payload") == JSONPointer(""))
    #expect(JSONPointer("/meta/a")?.below("payload") == nil)
    #expect(JSONPointer("")?.below("payload") == nil)
  }

  private func found(_ pointer: String, _ text: String) -> String? {
    let bytes = Array(text.utf8)
    return JSONPointer(pointer)?.locate(in: bytes).map { String(decoding: bytes[$0], as: UTF8.self) }
  }
}
