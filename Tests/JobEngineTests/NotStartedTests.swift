/// A runner that finds out only later that it could not start anything.
import JobModel
import SpoolTestSupport
import Testing

@testable import JobEngine

@Suite("A start that comes to nothing") struct NotStartedTests {
  let spool: TestSpool
  let clock = ManualClock("2020-03-21T10:00:00Z")

  init() throws { spool = try TestSpool() }

  @Test("for want of processes: the job goes back, burns no attempt, and is started again in a moment")
  func busy() throws {
    let bench = try EngineBench(spool, clock)
    try spool.drop("a", "{\"type\":\"t\"}")
    bench.engine.arrived("a.json", in: "new")
    #expect(try bench.turn { bench.runner.started == ["a"] })
    bench.runner.report("a", .notStarted(StartProblem(.busy, "no process to spare")))
    #expect(try bench.turn { bench.runner.started == ["a", "a"] })
    #expect(bench.runner.running.first?.request.attempt == 1)
    #expect(try bench.end("a"))
    #expect(spool.states(of: "a") == [.done])
    #expect(try spool.record(of: "a", .done)?.attempt == 1)
    #expect(try spool.events(of: "a").filter { $0 == "finished" || $0 == "retried" } == ["finished"])
  }

  @Test("because the handler is broken: the job goes back, and its type rests")
  func broken() throws {
    let bench = try EngineBench(spool, clock)
    try spool.drop("a", "{\"type\":\"t\"}")
    bench.engine.arrived("a.json", in: "new")
    #expect(try bench.turn { bench.runner.started == ["a"] })
    bench.runner.report("a", .notStarted(StartProblem(.broken, "t.toml: command: no interpreter")))
    #expect(try bench.turn { spool.states(of: "a") == [.new] })
    try spool.drop("b", "{\"type\":\"t\"}")
    bench.engine.arrived("b.json", in: "new")
    try bench.turn()
    #expect(bench.runner.started == ["a"])
    #expect(bench.engine.status.alerts["handler:t"] != nil)
    #expect(try spool.record(of: "a", .new)?.attempt ?? 0 == 0)
  }
}
