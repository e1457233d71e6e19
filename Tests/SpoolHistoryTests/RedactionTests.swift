import JobModel
import SpoolHistory
import SpoolTestSupport
import Testing

@Suite("Redaction") struct RedactionTests {
  @Test(
    "values at the pointers are masked, and nothing else changes",
    arguments: [
      (["/payload/token"], "{\"payload\":{\"token\":\"s\",\"n\":1.0}}", "{\"payload\":{\"token\":\"•••\",\"n\":1.0}}"),
      (["/payload/token"], "{\"payload\":{ \"token\" : {\"a\":[1]} }}", "{\"payload\":{ \"token\" : \"•••\" }}"),
      (["/payload/to\\u006ben"], "{\"payload\":{\"token\":1}}", "{\"payload\":{\"token\":1}}"),
      (["/payload/token"], "{\"payload\":{\"to\\u006ben\":1}}", "{\"payload\":{\"to\\u006ben\":\"•••\"}}"),
      (
        ["/payload/token"], "{\"payload\":{\"token\":1,\"token\":2}}",
        "{\"payload\":{\"token\":\"•••\",\"token\":\"•••\"}}"
      ),
      (["/payload/0/k"], "{\"payload\":[{\"k\":1},{\"k\":2}]}", "{\"payload\":[{\"k\":\"•••\"},{\"k\":2}]}"),
      (["/payload", "/payload/x"], "{\"payload\":{\"x\":1}}", "{\"payload\":\"•••\"}"),
      (["/payload/x"], "{\"payload\":\"text\"}", "{\"payload\":\"text\"}"),
      (["/payload/x"], "{\"payload\":{\"\\ud800\":1,\"x\":2}}", "{\"payload\":\"•••\"}"),
    ])
  func masks(pointers: [String], json: String, masked: String) {
    let redaction = Redaction(pointers.compactMap { JSONPointer($0) })
    #expect(String(decoding: redaction.apply(to: Array(json.utf8)), as: UTF8.self) == masked)
  }

  @Test("a handler that does not load hides the whole payload, one that does what it names")
  func unknown() throws {
    let scene = try Scene()
    try TestSpool.write(Array("nonsense".utf8), to: "\(scene.test.path)/handlers/echo.toml")
    let hidden = scene.reader().redaction(of: "echo").apply(to: Array("{\"payload\":{\"a\":1}}".utf8))
    #expect(String(decoding: hidden, as: UTF8.self) == "{\"payload\":\"•••\"}")
    try scene.handler("mail", "redact = [\"/payload/key\"]")
    #expect(scene.reader().redaction(of: "mail").pointers == [JSONPointer("/payload/key")].compactMap { $0 })
    #expect(scene.reader().redaction(of: "unheard").pointers.isEmpty)
  }
}
