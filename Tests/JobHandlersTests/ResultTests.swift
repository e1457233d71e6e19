import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct ResultTests {
  @Test("JSON on standard output is the result, compact, numbers as they were written")
  func json() throws {
    let end = try HandlerBench().run(#"printf '{ "a": 1.0,\n  "b": [1, 2e3, " x "] }\n'"#)
    #expect(end.ending == .exited(0))
    #expect(end.text == #"{"a":1.0,"b":[1,2e3," x "]}"#)
    #expect(end.error == nil)
  }

  @Test(
    "anything else becomes a JSON string",
    arguments: [
      ("echo hello", #""hello""#), ("printf 'a\\n\\nb\\n\\n'", #""a\n\nb""#), ("echo '{\"a\":1,}'", #""{\"a\":1,}""#),
      ("echo '{} {}'", #""{} {}""#),
    ])
  func text(script: String, result: String) throws {
    #expect(try HandlerBench().run(script).text == result)
  }

  @Test("nothing, or nothing but space, is no result", arguments: ["true", "echo", "printf ' \\n\\n'"])
  func nothing(script: String) throws {
    let end = try HandlerBench().run(script)
    #expect(end.ending == .exited(0))
    #expect(end.result == nil)
  }

  @Test("output that is not UTF-8 is mended, and the job's log says so")
  func repaired() throws {
    let bench = try HandlerBench()
    let end = try bench.run(bench.request(bench.shell(#"printf 'caf\351'"#), id: "latin"))
    #expect(end.text == "\"caf\u{FFFD}\"")
    #expect(bench.log("latin").contains("not UTF-8"))
  }

  @Test("the result of a failed attempt is kept too")
  func failed() throws {
    let end = try HandlerBench().run("echo '[1]'; exit 3")
    #expect(end.ending == .exited(3))
    #expect(end.text == "[1]")
  }

  @Test("a result larger than allowed is an error even at exit 0, and the handler is not held up")
  func tooLarge() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("head -c 5000000 /dev/zero")
    settings.maxResultBytes = 100_000
    let end = try bench.run(bench.request(settings))
    #expect(end.ending == .exited(0))
    #expect(end.error?.code == "result_too_large")
    #expect(end.result == nil)
  }

  @Test("a result of exactly the allowed size passes")
  func exactly() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("head -c 100000 /dev/zero | tr '\\0' 7")
    settings.maxResultBytes = 100_000
    let end = try bench.run(bench.request(settings))
    #expect(end.error == nil)
    #expect(end.result?.count == 100_000)
  }

  @Test("a result on descriptor 3 wins, and standard output goes to the log")
  func controlResult() throws {
    let bench = try HandlerBench()
    let script = #"echo chatter; echo '{"result": {"n": 1}}' >&3"#
    let end = try bench.run(bench.request(bench.shell(script), id: "both"))
    #expect(end.text == #"{"n":1}"#)
    #expect(bench.log("both").contains("chatter\n"))
  }

  @Test("a descendant that outlives the handler with standard output in its hands does not hold up the end")
  func heldOutput() throws {
    let bench = try HandlerBench()
    let end = try bench.run("echo early; setsid sleep 600 & exit 0")
    #expect(end.text == "\"early\"")
    #expect(bench.survivors().isEmpty)
  }
}
