/// Ends that the committer has made visible and the engine has not been told of: who sees one may act on it at once.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@testable import JobEngine

@Suite("Catching up with the committer")
struct CatchingUpTests {
  let spool: TestSpool

  init() throws { spool = try TestSpool() }

  /// Stands between the renames of two ends that share a sync, until it is let go.
  private final class Barrier: Sendable {
    private let isReached = Mutex(false)
    private let isOpen = Mutex(false)
    var reached: Bool { isReached.withLock { $0 } }

    func wait() {
      isReached.withLock { $0 = true }
      while !isOpen.withLock({ $0 }) { usleep(1000) }
    }

    func open() { isOpen.withLock { $0 = true } }
  }

  /// `a` and `b` run and end, in that order and in one turn that has not been taken.
  private func endTwo(_ syscalls: InterruptedSyscalls) throws -> EngineBench {
    let bench = try EngineBench(spool, ManualClock("2026-11-21T12:00:00Z"), syscalls: syscalls)
    for id in ["a", "b"] { try spool.drop(id, "{\"type\":\"t\"}") }
    bench.engine.lookAgain()
    #expect(try bench.turn { Set(bench.runner.started) == ["a", "b"] })
    bench.runner.end("a")
    bench.runner.end("b")
    return bench
  }

  /// `a` lies in done/, `b` does not yet, and the engine has heard of neither.
  private func between(_ body: (EngineBench) throws -> Void) throws {
    let barrier = Barrier()
    defer { barrier.open() }
    let isFirst = Mutex(true)
    let syscalls = InterruptedSyscalls(before: { _, call in
      guard call.hasPrefix("unlink dead/b.json"), isFirst.withLock({ $0.exchange(false) }) else { return }
      barrier.wait()
    })
    let bench = try endTwo(syscalls)
    #expect(try bench.turn { barrier.reached })
    #expect(spool.states(of: "a") == [.done])
    #expect(spool.states(of: "b") == [.cur])
    try body(bench)
    barrier.open()
    #expect(try bench.turn { spool.states(of: "b") == [.done] })
  }

  @Test("a requeue of what was just to be seen in done/ is one of a job that has ended, and it runs again")
  func requeued() throws {
    try between { bench in
      try bench.control("again.json", "{\"do\":\"requeue\",\"jobs\":[\"a\",\"b\"]}")
      #expect(try bench.turn { bench.runner.started.dropFirst(2) == ["a"] })
      bench.runner.end("a")
    }
    let events = try spool.events(of: "a")
    #expect(events.contains("requeued"))
    #expect(events.count { $0 == "claimed" } == 2)
  }

  @Test("so is what an administrator moves back to new/, which is no twin of itself")
  func movedBack() throws {
    try between { bench in
      #expect(rename(spool.file("a", .done), spool.file("a", .new)) == 0)
      bench.engine.arrived("a.json", in: "new")
      try bench.turn()
      #expect(try bench.turn { bench.runner.started.dropFirst(2) == ["a"] })
      bench.runner.end("a")
    }
    #expect(try !spool.events(of: "a").contains("duplicate"))
  }

  @Test("what cannot be moved is told of, and stays in cur/")
  func refused() throws {
    let syscalls = InterruptedSyscalls(failure: { _, call in call.hasPrefix("rename cur/a.json") ? Errno(EIO) : nil })
    let bench = try endTwo(syscalls)
    #expect(try bench.turn { spool.states(of: "b") == [.done] })
    #expect(try bench.turn { bench.alerts.count == 1 })
    #expect(spool.states(of: "a") == [.cur])
    #expect(bench.engine.occupied["a"] != nil)
    #expect(bench.engine.occupied["b"] == nil)
  }

  @Test("one whose file was taken away while its line was being synced has its end")
  func vanished() throws {
    let barrier = Barrier()
    defer { barrier.open() }
    let isArmed = Mutex(false)
    let syscalls = InterruptedSyscalls(failure: { _, call in
      if call.hasPrefix("syncdata log/"), isArmed.withLock({ $0.exchange(false) }) { barrier.wait() }
      return nil
    })
    let bench = try endTwo(syscalls)
    isArmed.withLock { $0 = true }
    #expect(try bench.turn { barrier.reached })
    #expect(unlink(spool.file("a", .cur)) == 0)
    try bench.control("again.json", "{\"do\":\"requeue\",\"jobs\":[\"a\"]}")
    barrier.open()
    #expect(try bench.turn { spool.states(of: "a") == [.done] && spool.states(of: "b") == [.done] })
    #expect(try spool.events(of: "a").filter { $0 == "claimed" }.count == 1)
  }
}

extension Bool {
  fileprivate mutating func exchange(_ value: Bool) -> Bool {
    defer { self = value }
    return self
  }
}
