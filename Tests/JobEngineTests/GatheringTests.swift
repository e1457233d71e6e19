/// Ends that wait a moment for others, so that one sync serves them all.
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@testable import JobEngine

@Suite("Ends that share a sync") struct GatheringTests {
  private let spool: TestSpool
  private let syscalls = InterruptedSyscalls()

  init() throws { spool = try TestSpool() }

  /// `ids` are dropped, and two of them run.
  private func bench(_ ids: [String], serialBy: String? = nil) throws -> EngineBench {
    let bench = try EngineBench(spool, ManualClock("2026-11-22T12:00:00Z"), syscalls: syscalls) { settings in
      settings.daemon.maxJobs = 2
      settings.handlers["t"]?.serialBy = serialBy
    }
    for (number, id) in ids.enumerated() {
      try spool.drop(id, "{\"type\":\"t\",\"payload\":{\"key\":\(number % 2)}}")
      bench.engine.arrived("\(id).json", in: "new")
    }
    #expect(try bench.turn { bench.runner.started.count == min(2, ids.count) })
    return bench
  }

  private func isDone(_ id: String) -> Bool { spool.states(of: id) == [.done] }

  private var syncs: Int { syscalls.calls.filter { $0.hasPrefix("syncdata ") }.count }

  @Test("while others queue, an end waits for the next, and its place does not")
  func shared() throws {
    let bench = try bench(["a", "b", "c", "d"])
    let before = syncs
    bench.engine.commitBegan = EventLoop.now + .seconds(3600)
    let (first, second) = (bench.runner.started[0], bench.runner.started[1])
    bench.runner.end(first)
    #expect(try bench.turn { bench.runner.started.count == 3 })
    for _ in 0..<20 { try bench.turn() }
    #expect(spool.states(of: first) == [.cur])
    #expect(syncs == before)
    // With its end the last one gets a place, and nobody queues any more.
    bench.runner.end(second)
    #expect(try bench.turn { isDone(first) && isDone(second) })
    #expect(syncs == before + 1)
    #expect(bench.runner.started.count == 4)
  }

  @Test("nothing but time has to pass")
  func timed() throws {
    let bench = try bench(["a", "b", "c", "d"])
    bench.engine.commitBegan = EventLoop.now + .milliseconds(100)
    let first = bench.runner.started[0]
    bench.runner.end(first)
    #expect(try bench.turn { isDone(first) })
    #expect(bench.runner.running.count == 2)
  }

  @Test("an end for whose key another job waits does not wait")
  func serial() throws {
    let bench = try bench(["a", "b", "c", "d"], serialBy: "/payload/key")
    bench.engine.commitBegan = EventLoop.now + .seconds(3600)
    bench.runner.end(bench.runner.started[0])
    #expect(try bench.turn { bench.runner.started.count == 3 })
  }

  @Test("an end that comes alone waits for nothing")
  func alone() throws {
    let bench = try bench(["a"])
    bench.engine.commitBegan = EventLoop.now + .seconds(3600)
    #expect(try bench.end("a"))
    #expect(isDone("a"))
  }
}
