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
    arguments: ["append log/", "sync new"])
  func refused(_ call: String) throws {
    let isFull = Mutex(false)
    let syscalls = InterruptedSyscalls(failure: { _, made in
      made.hasPrefix(call) && isFull.withLock { $0 } ? .noSpace : nil
    })
    let bench = try EngineBench(spool, clock, syscalls: syscalls)
    try spool.drop("a", "{\"type\":\"t\"}", into: .dead)
    func ask(_ request: String) throws -> JSONValue {
      try bench.control("ask.json", request)
      defer { unlink("\(spool.path)/ctl/ask.reply") }
      return try JSONReader.parse(TestSpool.contents("\(spool.path)/ctl/ask.reply") ?? [])
    }
    isFull.withLock { $0 = true }
    let requeued = try ask("{\"do\":\"requeue\",\"jobs\":[\"a\",\"none\"]}")
    let results = try #require(requeued["results"]?.array)
    #expect(results.map { $0["code"]?.string } == ["system", "no_such_job"])
    #expect(results[0]["message"]?.string?.contains("a power cut may undo it") == true)
    #expect(bench.alerts["no_space"] != nil)
    // Whose files are durable by themselves, with or without their line.
    #expect(try ask("{\"do\":\"pause\",\"types\":[\"other\"]}")["ok"]?.bool == true)

    let before = syscalls.calls.count
    isFull.withLock { $0 = false }
    #expect(try bench.turn { bench.runner.started.contains("a") })
    #expect(try spool.events(of: "a").filter { $0 == "requeued" || $0 == "claimed" } == ["requeued", "claimed"])
    #expect(spool.names(in: .ctl).contains("pause.other"))
    // The folders are synced again by itself.
    if call == "sync new" { #expect(try bench.turn { syscalls.calls[before...].contains("sync new") }) }
  }

  @Test("once there is an answer nothing of the request is touched: its name may have been taken for the next")
  func sameName() throws {
    let (request, reply) = ("\(spool.path)/ctl/ask.json", "\(spool.path)/ctl/ask.reply")
    let calls = Mutex(0)
    let syscalls = InterruptedSyscalls(before: { _, _ in
      if access(request, F_OK) == 0, access(reply, F_OK) == 0 { calls.withLock { $0 += 1 } }
    })
    let bench = try EngineBench(spool, clock, syscalls: syscalls)
    try spool.drop("a", "{\"type\":\"t\"}", into: .dead)
    for text in ["{\"do\":\"purge\",\"jobs\":[\"a\"]}", "{\"do\":\"requeue\",\"jobs\":[\"a\"]}", "{}"] {
      try bench.control("ask.json", text)
      #expect(access(request, F_OK) == -1 && access(reply, F_OK) == 0)
      unlink(reply)
    }
    #expect(calls.withLock { $0 } == 0)
  }
}

/// With a process of its own, as those of `StrayTests.swift`.
@Suite("Requests that end the daemon")
struct RequestSoleOwnerTests {
  @Test(
    "a log that cannot be synced for a request ends the daemon as any other sync of it does", arguments: [EIO, ENOSPC])
  func failing(code: Int32) async {
    await #expect(processExitsWith: .exitCode(74)) { [code] in
      let (spool, bench, fail) = try Self.bench(failingWith: code)
      try spool.drop("a", "{\"type\":\"t\"}", into: .dead)
      fail()
      try bench.control("ask.json", "{\"do\":\"requeue\",\"jobs\":[\"a\"]}")
      // Until it ends.
      _ = try bench.turn { false }
    }
  }

  @Test("so does one for the end of a job, also when it was for want of space", arguments: [EIO, ENOSPC])
  func ending(code: Int32) async {
    await #expect(processExitsWith: .exitCode(74)) { [code] in
      let (spool, bench, fail) = try Self.bench(failingWith: code)
      try spool.drop("a", "{\"type\":\"t\"}")
      bench.engine.arrived("a.json", in: "new")
      _ = try bench.turn { bench.runner.started == ["a"] }
      fail()
      _ = try bench.end("a")
      _ = try bench.turn { false }
    }
  }

  /// A daemon on a disk that syncs no log any more once the last of the three is called.
  private static func bench(failingWith code: Int32) throws -> (TestSpool, EngineBench, @Sendable () -> Void) {
    let spool = try TestSpool()
    let switched = Switch()
    let syscalls = InterruptedSyscalls(failure: { _, made in
      made.hasPrefix("syncdata log/") && switched.isOn ? Errno(code) : nil
    })
    let bench = try EngineBench(spool, ManualClock("2026-11-21T12:00:00Z"), syscalls: syscalls)
    return (spool, bench, { switched.isOn = true })
  }

  private final class Switch: Sendable {
    private let state = Mutex(false)
    var isOn: Bool {
      get { state.withLock { $0 } }
      set { state.withLock { $0 = newValue } }
    }
  }
}
