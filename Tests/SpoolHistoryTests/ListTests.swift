import Glibc
import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Lists of jobs") struct ListTests {
  private func ids(_ scene: Scene, _ change: (inout JobFilter) -> Void) throws -> [String] {
    var filter = JobFilter()
    change(&filter)
    return try scene.reader().list(filter).map(\.id)
  }

  private func played() throws -> Scene {
    let scene = try Scene()
    for id in ["done", "dead", "retry", "held"] { try scene.submit(id) }
    try scene.submit("ready", "{\"type\":\"echo\",\"tags\":[\"a\",\"b\"],\"priority\":1}")
    try scene.submit("later", "{\"type\":\"mail\",\"delay\":\"1h\"}")
    try scene.submit("child", "{\"type\":\"echo\",\"after\":[\"ready\"]}")
    try scene.submit("orphan", "{\"type\":\"mail\",\"after\":[\"done\"]}")
    try scene.run("done", .finish)
    try scene.run("dead", .bury)
    let due = WallTime(microseconds: Scene.now.microseconds + 3_600_000_000)
    try scene.run("retry", .retry) { $0.runAt = due }
    try scene.transitions.hold("held", type: "echo", at: Scene.now, by: "test")
    return scene
  }

  @Test("every state, part and outcome finds its jobs and no others")
  func places() throws {
    let scene = try played()
    let expected: [(String, Set<String>)] = [
      ("new", ["ready", "later", "child", "orphan", "retry"]), ("ready", ["ready", "orphan"]),
      ("scheduled", ["later"]), ("retry", ["retry"]), ("blocked", ["child"]), ("done", ["done"]), ("dead", ["dead"]),
      ("failed", ["dead"]), ("rejected", []), ("hold", ["held"]), ("cur", []),
    ]
    for (word, jobs) in expected {
      let place = try #require(JobFilter.Place(word))
      #expect(Set(try ids(scene) { $0.places = [place] }) == jobs, "--state \(word)")
    }
    #expect(try ids(scene) { _ in }.count == 8)
    #expect(JobFilter.Place("gone") == nil)
  }

  @Test("type, tags, text and batch narrow it down")
  func narrow() throws {
    let scene = try played()
    #expect(Set(try ids(scene) { $0.types = ["mail"] }) == ["later", "orphan"])
    #expect(try ids(scene) { $0.tags = ["a", "b"] } == ["ready"])
    #expect(try ids(scene) { $0.tags = ["a", "c"] } == [])
    #expect(Set(try ids(scene) { $0.text = "NO LUCK" }) == ["dead", "retry"])
    #expect(try ids(scene) { $0.batch = "x" } == [])
  }

  @Test("newest change first, the limit kept, and the other way round")
  func order() throws {
    let scene = try Scene()
    for id in ["a", "b", "c"] {
      try scene.submit(id)
      usleep(20_000)
    }
    #expect(try ids(scene) { $0.limit = 2 } == ["c", "b"])
    #expect(try ids(scene) { $0.reversed = true } == ["a", "b", "c"])
    #expect(try ids(scene) { ($0.reversed, $0.limit) = (true, 1) } == ["a"])
    // A move is a change.
    try scene.transitions.hold("a", type: nil, at: Scene.now, by: "test")
    #expect(try ids(scene) { $0.limit = 1 } == ["a"])
  }

  @Test("priority and duration sort the urgent and the long first")
  func sorts() throws {
    let scene = try Scene()
    try scene.submit("low", "{\"type\":\"echo\",\"priority\":9}")
    try scene.submit("high", "{\"type\":\"echo\",\"priority\":0}")
    #expect(try ids(scene) { $0.sort = .priority } == ["high", "low"])
    try scene.run("low", .finish, seconds: 3)
    try scene.run("high", .finish, seconds: 1)
    #expect(try ids(scene) { $0.sort = .duration } == ["low", "high"])
  }

  @Test("since looks at the last change")
  func since() throws {
    let scene = try Scene()
    try scene.submit("old")
    // Times of files come from a clock that ticks every few milliseconds.
    usleep(20_000)
    let middle = Scene.now
    usleep(20_000)
    try scene.submit("young")
    #expect(try ids(scene) { $0.since = middle } == ["young"])
    #expect(try ids(scene) { $0.until = middle } == ["old"])
    #expect(try ids(scene) { ($0.since, $0.limit) = (middle, 10) } == ["young"])
  }

  @Test("a job in cur whose record is half there shows as what the producer wrote")
  func halfWritten() throws {
    let scene = try Scene()
    try scene.submit("half", "{\"type\":\"echo\",\"tags\":[\"t\"]}")
    _ = try scene.claim("half")
    try TestSpool.write(
      Array("{\"type\":\"echo\",\"tags\":[\"t\"],\"jobspool\":{\"id\":\"ha".utf8), to: scene.test.file("half", .cur))
    let file = try #require(try scene.reader().file("half"))
    #expect(file.job?.type == "echo")
    #expect(file.record == nil)
    #expect(try ids(scene) { $0.tags = ["t"] } == ["half"])
  }

  @Test("what is no job is listed without a type, and a pipe holds nobody up")
  func hostile() throws {
    let scene = try Scene()
    try scene.test.drop("broken", "not json")
    #expect(mkfifo(scene.test.file("pipe", .new), 0o600) == 0)
    #expect(symlink("/etc/passwd", scene.test.file("link", .new)) == 0)
    let rows = try scene.reader().list(JobFilter())
    #expect(Set(rows.map(\.id)) == ["broken", "pipe", "link"])
    #expect(rows.allSatisfy { $0.type == nil })
  }

  @Test("counts by folder and by type agree")
  func counts() throws {
    let scene = try played()
    let counts = try scene.reader().countsByType()
    #expect(counts.states == [.new: 5, .cur: 0, .done: 1, .dead: 1, .hold: 1])
    #expect(counts.types?["mail"] == [.scheduled: 1, .ready: 1])
    #expect(counts.count(.blocked) == 1)
  }
}
