/// What an operator is told about what the disk did not take.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@testable import JobEngine

@Suite("Requests")
struct RequestTests {
  let spool: TestSpool
  let clock = ManualClock("2026-11-21T12:00:00Z")

  init() throws { spool = try TestSpool() }

  @Test(
    "who asks is not told ok before it is durable, and what was asked is done all the same",
    arguments: ["syncdata log/", "sync new"])
  func refused(_ call: String) throws {
    let isFull = Mutex(false)
    let syscalls = InterruptedSyscalls(failure: { _, made in
      made.hasPrefix(call) && isFull.withLock { $0 } ? .noSpace : nil
    })
    let bench = try EngineBench(
      spool, clock, [schedule("n", "0 0 1 1 *") { $0.enabled = false }], syscalls: syscalls)
    try spool.drop("a", "{\"type\":\"t\"}", into: .dead)
    func ask(_ request: String) throws -> JSONValue {
      try bench.control("ask.json", request)
      defer { unlink("\(spool.path)/ctl/ask.reply") }
      return try JSONReader.parse(TestSpool.contents("\(spool.path)/ctl/ask.reply") ?? [])
    }
    let isLog = call.hasSuffix("log/")
    isFull.withLock { $0 = true }
    let requeued = try ask("{\"do\":\"requeue\",\"jobs\":[\"a\",\"none\"]}")
    let results = try #require(requeued["results"]?.array)
    #expect(results.map { $0["code"]?.string } == ["no_space", "no_such_job"])
    #expect(results[0]["message"]?.string?.contains("a power cut may undo it") == true)
    let paused = try ask("{\"do\":\"pause\",\"types\":[\"other\"]}")
    #expect(paused["ok"]?.bool == !isLog && (paused["code"]?.string == "no_space") == isLog)
    let fired = try ask("{\"do\":\"run-schedule\",\"jobs\":[\"n\"]}")
    #expect(fired["results"]?.array?[0]["code"]?.string == "no_space")
    #expect(bench.alerts["no_space"] != nil)

    isFull.withLock { $0 = false }
    #expect(try bench.turn { bench.runner.started.contains("a") })
    #expect(try spool.events(of: "a").filter { $0 == "requeued" || $0 == "claimed" } == ["requeued", "claimed"])
    #expect(spool.names(in: .ctl).contains("pause.other"))
    #expect(try ask("{\"do\":\"resume\",\"types\":[\"other\"]}")["ok"]?.bool == true)
  }
}
