import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Statistics from the audit log") struct StatisticsTests {
  @Test("ends are counted by type, run times measured from claim to end")
  func ends() throws {
    let scene = try Scene()
    for (index, seconds) in [1, 2, 3, 10].enumerated() {
      try scene.submit("e\(index)")
      try scene.run("e\(index)", .finish, seconds: Int64(seconds))
    }
    try scene.submit("bad")
    try scene.run("bad", .retry, seconds: 1)
    try scene.run("bad", .bury, seconds: 1)
    let statistics = try scene.reader().statistics(since: WallTime(seconds: 0))
    let echo = try #require(statistics.types["echo"])
    #expect((echo.submitted, echo.done, echo.failed, echo.retried) == (5, 4, 1, 1))
    #expect(echo.success == 0.8)
    #expect(echo.run.count == 6)
    #expect(echo.run.mean == .seconds(3))
    #expect(echo.run.percentile(0.5) == .seconds(1))
    #expect(echo.run.percentile(0.95) == .seconds(10))
    #expect(echo.wait.count == 5)
    #expect(statistics.total == echo)
  }

  @Test("what happened before `since` does not count")
  func since() throws {
    let scene = try Scene()
    try scene.submit("j")
    try scene.run("j", .finish)
    let later = WallTime(microseconds: Scene.now.microseconds + 60_000_000)
    #expect(try scene.reader().statistics(since: later).types.isEmpty)
  }

  @Test("nothing has no mean and no success")
  func nothing() {
    #expect(Statistics.OfType().success == nil)
    #expect(Statistics.Spread().mean == nil)
    #expect(Statistics.Spread().percentile(0.5) == nil)
  }

  @Test("the tail is the newest lines, oldest first, and goes on where it stopped")
  func tail() throws {
    let scene = try Scene()
    for id in ["a", "b", "c"] {
      try scene.submit(id)
      try scene.run(id, .finish)
    }
    var tail = AuditTail(scene.spool)
    let lines = try tail.last(4).map { try JSONReader.parse($0) }
    #expect(lines.compactMap { $0["event"]?.string } == ["finished", "submitted", "claimed", "finished"])
    var added: [String] = []
    try tail.next { _ in added.append("too early") }
    try scene.submit("d")
    try scene.transitions.audit.flush()
    try tail.next { line in added.append((try? JSONReader.parse(line))?["job"]?.string ?? "") }
    #expect(added == ["d"])
    var one = AuditTail(scene.spool, job: "b")
    #expect(try one.last(10).count == 3)
  }
}
