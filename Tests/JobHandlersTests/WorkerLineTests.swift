import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct WorkerLineTests {
  private func head(_ line: String) -> (id: String, ok: Bool?, isWhole: Bool)? {
    Array(line.utf8).withUnsafeBufferPointer { bytes in
      WorkerLine.Head(bytes).map { (String(decoding: $0.id, as: UTF8.self), $0.ok, $0.isWhole) }
    }
  }

  private func parse(_ line: String) throws -> WorkerLine {
    try Array(line.utf8).withUnsafeBufferPointer { try WorkerLine(parsing: $0) }
  }

  @Test(
    "the short form of an answer is read in place",
    arguments: [
      (#"{"id":"a.b-C_9","ok":true}"#, true, true), (#"{ "id" : "a.b-C_9" , "ok" : true } "#, true, true),
      ("{\"id\":\"a.b-C_9\",\"ok\":false}\r", false, true), (#"{"id":"a.b-C_9","ok":true,"result":1}"#, true, false),
      (#"{"id":"a.b-C_9","progress":1}"#, nil, false), (#"{"id":"a.b-C_9""#, nil, false),
      (#"{"id":"a.b-C_9","ok":true}}"#, true, false), (#"{"id":"a.b-C_9","ok":truer}"#, true, false),
      (#"{"id":"a.b-C_9","ok":nul"#, nil, false), (#"{"id":"a.b-C_9","ok":}"#, nil, false),
    ] as [(String, Bool?, Bool)])
  func heads(line: String, ok: Bool?, isWhole: Bool) throws {
    let head = try #require(self.head(line))
    #expect(head.id == "a.b-C_9")
    #expect(head.ok == ok)
    #expect(head.isWhole == isWhole)
  }

  @Test(
    "what does not begin with a plain id is left to the strict reader",
    arguments: [
      "", "{", "[]", #"{"ok":true,"id":"a"}"#, #"{"id":"\u0061","ok":true}"#, #"{"id":1}"#, #"{"id":"a"#, "\0",
    ])
  func others(line: String) { #expect(head(line) == nil) }

  @Test("any order of keys, and escapes, are fine")
  func strict() throws {
    let line = try parse(#" {"result":{"a": [1, 2]},"ok":true,"id":"\u0061","stage":"s"} "#)
    #expect(line.id == "a")
    #expect(line.ok == true)
    #expect(line.content.result == Array(#"{"a":[1,2]}"#.utf8))
    #expect(line.content.progress.stage == "s")
    #expect(line.problem == nil)
  }

  @Test(
    "what is no object, or names no job, is refused",
    arguments: ["", "1", "[1]", #"{"ok":true}"#, #"{"id":1,"ok":true}"#, #"{"id":"a","ok":true,}"#, #"{"id":"a"} x"#])
  func refused(line: String) {
    #expect(throws: ControlLine.Problem.self) { try parse(line) }
  }

  @Test(
    "a wrong part is told, the rest counts",
    arguments: [
      #"{"id":"a","ok":1}"#, #"{"id":"a","ok":false,"retry":"no"}"#, #"{"id":"a","progress":"x"}"#,
      #"{"id":"a","result":1}"#, #"{"id":"a","speed":1}"#, #"{"id":"a","ok":false,"retry_in":-1}"#,
    ])
  func problems(line: String) throws {
    let parsed = try parse(line)
    #expect(parsed.id == "a")
    #expect(parsed.problem != nil)
  }

  @Test("the workers' log keeps its newer half when it is full")
  func boundedLog() throws {
    let bench = try HandlerBench()
    let log = WorkerLog(folder: "\(bench.folder)/workers", type: "t", limit: 1000) { Issue.record("\($0)") }
    for number in 1...200 { log.note("line \(number)") }
    let text = bench.read("\(bench.folder)/workers/t.log")
    #expect(text.utf8.count <= 1000)
    #expect(text.hasSuffix("jobspool: line 200\n"))
    #expect(!text.contains("line 1\n"))
    #expect(text.split(separator: "\n").allSatisfy { $0.contains(" jobspool: line ") })
    [UInt8](repeating: 0x78, count: 5000).withUnsafeBufferPointer { log.append($0) }
    #expect(bench.read("\(bench.folder)/workers/t.log").utf8.count <= 1000)
  }

  @Test("a log that cannot be written is told once")
  func unwritableLog() throws {
    let bench = try HandlerBench()
    var told: [String] = []
    let log = WorkerLog(folder: "\(bench.folder)/none/workers", type: "t") { told.append($0) }
    for _ in 1...3 { log.note("x") }
    #expect(told.count == 1)
  }
}
