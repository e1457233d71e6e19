/// Files that are not the daemon's alone: their copies are durable together before anything is told or started.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@testable import JobEngine

@Suite("Adopting many")
struct AdoptingTests {
  let spool: TestSpool
  static let ids = (1...6).map { "job-\($0)" }

  init() throws { spool = try TestSpool() }

  private func drop() throws {
    for id in AdoptingTests.ids {
      try spool.drop(id, "{\"type\":\"t\"}")
      try spool.linkOutside(id)
    }
  }

  private func status(_ id: String, _ state: JobState) -> stat {
    var status = stat()
    _ = lstat(spool.file(id, state), &status)
    return status
  }

  @Test("syncs all copies of a turn at once, puts them in their places, and only then tells and starts")
  func together() throws {
    try drop()
    let syscalls = InterruptedSyscalls()
    let bench = try EngineBench(spool, ManualClock("2026-11-21T12:00:00Z"), syscalls: syscalls)
    #expect(try bench.turn { bench.runner.started.count == 6 })
    let calls = syscalls.calls
    #expect(calls.count { $0.hasPrefix("syncfs cur/.adopt.") } == 1)
    #expect(!calls.contains { $0.hasPrefix("syncdata cur/") })
    let places = calls.indices.filter { calls[$0].hasPrefix("rename over cur/.adopt.") }
    let synced = try #require(calls.firstIndex { $0.hasPrefix("syncfs cur/.adopt.") })
    #expect(places.count == 6)
    #expect(places.allSatisfy { $0 > synced })
    // The only lines before are those that announce the jobs.
    let claimed = try #require(calls[synced...].firstIndex { $0.hasPrefix("append log/audit-") })
    #expect(places.allSatisfy { $0 < claimed })
    for id in AdoptingTests.ids {
      #expect(status(id, .cur).st_nlink == 1)
      #expect(try bench.end(id))
      #expect(spool.states(of: id) == [.done])
    }
  }

  @Test("keeps the originals and tells nothing when the copies cannot be synced, and runs them when they can")
  func fullDisk() throws {
    try drop()
    let inodes = AdoptingTests.ids.map { status($0, .new).st_ino }
    let isFull = Mutex(true)
    let syscalls = InterruptedSyscalls(failure: { _, call in
      call.hasPrefix("syncfs cur/.adopt.") && isFull.withLock { $0 } ? Errno(ENOSPC) : nil
    })
    let bench = try EngineBench(spool, ManualClock("2026-11-21T12:00:00Z"), syscalls: syscalls)
    #expect(try bench.turn { bench.alerts["no_space"] != nil })
    try bench.turn()
    #expect(AdoptingTests.ids.allSatisfy { spool.states(of: $0) == [.new] })
    #expect(AdoptingTests.ids.map { status($0, .new).st_ino } == inodes)
    #expect(spool.names(in: .cur).isEmpty)
    #expect(bench.runner.started.isEmpty)
    for id in AdoptingTests.ids { #expect(try !spool.events(of: id).contains("claimed")) }
    isFull.withLock { $0 = false }
    #expect(try bench.turn { bench.runner.started.count == 6 })
    for id in AdoptingTests.ids { #expect(try spool.events(of: id).filter { $0 == "claimed" }.count == 1) }
  }
}
