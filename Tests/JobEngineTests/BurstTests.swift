/// Many jobs that may start at once: their claims are made on another thread, several at a time.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@testable import JobEngine

@Suite("Bursts") struct BurstTests {
  private let spool: TestSpool
  private let ids = (0..<40).map { "b\($0 < 10 ? "0" : "")\($0)" }

  init() throws { spool = try TestSpool() }

  private func bench(_ syscalls: any SpoolSyscalls = RealSyscalls()) throws -> EngineBench {
    let bench = try EngineBench(spool, ManualClock("2026-11-21T12:00:00Z"), syscalls: syscalls) { settings in
      settings.daemon.maxJobs = 100
      settings.handlers["t"]?.concurrency = 100
    }
    for (number, id) in ids.enumerated() {
      // Dropped in the same tick of the file system's clock, they have no other order.
      try spool.drop(id, "{\"type\":\"t\",\"priority\":\(number / 4)}")
      bench.engine.arrived("\(id).json", in: "new")
    }
    return bench
  }

  private func files(in state: JobState) -> [String] { TestSpool.names("\(spool.path)/\(state.rawValue)") }

  private func jobs(of event: String) throws -> [String] {
    try spool.auditLines.map { try JSONReader.parse($0) }.filter { $0["event"]?.string == event }
      .compactMap { $0["job"]?.string }
  }

  @Test("all of it starts, in order; what is a twin, or no file any more, does not")
  func order() throws {
    try spool.drop("b07", "{\"type\":\"t\",\"payload\":1}", into: .done)
    try spool.drop("b23", "{\"type\":\"t\",\"payload\":1}", into: .hold)
    let bench = try bench(
      InterruptedSyscalls(before: { [spool] _, call in
        // Somebody takes one away just before it is claimed.
        if call.hasPrefix("rename new/b11.json") { unlink(spool.file("b11", .new)) }
      }))
    let expected = ids.filter { !["b07", "b11", "b23"].contains($0) }
    #expect(try bench.turn { bench.runner.started.count == expected.count })
    #expect(Set(bench.runner.started) == Set(expected))
    let order = bench.runner.started.compactMap { id in ids.firstIndex(of: id).map { $0 / 4 } }
    // The first to be looked at may start before the others are.
    #expect(order.dropFirst().elementsEqual(order.dropFirst().sorted()))
    #expect(spool.states(of: "b11").isEmpty)
    #expect(try bench.turn { files(in: .dead).count == 2 }, "the twins are refused")
    #expect(spool.states(of: "b07") == [.done])
    #expect(spool.states(of: "b23") == [.hold])
    for id in expected { #expect(try bench.end(id)) }
    #expect(files(in: .cur).isEmpty)
  }

  @Test("bursts are as large as can be claimed soon, and grow step by step")
  func sizes() {
    var burst = Burst()
    for expected in [8, 16, 32, 64, 64] {
      burst.learn(burst.size, took: .microseconds(50 * burst.size))
      #expect(burst.size == expected)
    }
    burst.learn(64, took: .milliseconds(24))
    #expect(burst.size == 32)
    burst.learn(32, took: .seconds(1))
    #expect(burst.size == 1)
    burst.learn(0, took: .zero)
    #expect(burst.size == 1)
    burst.learn(1, took: .zero)
    #expect(burst.size == 2)
  }

  @Test(
    "what the disk refuses in the middle of it, and what was picked after that, waits, and runs once",
    arguments: ["rename new/b05.json", "rename new/b20.json", "rename new/b39.json"])
  func refused(call: String) throws {
    let refusals = Mutex(1)
    let bench = try bench(
      InterruptedSyscalls(failure: { _, made in
        guard made.hasPrefix(call) else { return nil }
        return refusals.withLock { left in
          left -= 1
          return left >= 0 ? Errno(EIO) : nil
        }
      }))
    #expect(try bench.turn { bench.runner.started.count == ids.count })
    #expect(Set(bench.runner.started) == Set(ids))
    #expect(try jobs(of: "claimed").count == ids.count)
    #expect(try jobs(of: "submitted").sorted() == ids)
    for id in ids { #expect(try bench.end(id)) }
    #expect(files(in: .done).count == ids.count)
    #expect(files(in: .cur).isEmpty)
  }
}
