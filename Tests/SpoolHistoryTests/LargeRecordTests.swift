/// Records that are too large for their audit line: lists, statistics and the groups of dead jobs know of the brief beside
/// their hash.
import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Records larger than their audit line") struct LargeRecordTests {
  private let result = Array("\"\(String(repeating: "r", count: Limits.recordInAuditLine))\"".utf8)

  private static func place(of words: String, in text: [UInt8]) -> Int? {
    let words = Array(words.utf8)
    return text.indices.first { text[$0...].starts(with: words) }
  }

  private func row(_ id: String, _ feed: HistoryFeed) -> JobRow? {
    feed.read { index, status in index.job(id, status: status, now: Scene.now) }
  }

  private func load(_ scene: Scene) throws -> HistoryFeed {
    let feed = HistoryFeed(scene.spool, configuration: nil) { Scene.now }
    try feed.load()
    return feed
  }

  @Test("dead jobs with large results are grouped by their error, listed with it and counted under it")
  func dead() throws {
    let scene = try Scene()
    for number in 0..<3 {
      try scene.submit("j\(number)")
      try scene.run("j\(number)", .bury) {
        $0.result = result
        $0.error = JobError(code: "exit", message: "exit code 1: order \(number) has no address")
      }
    }
    #expect(scene.test.auditLines.count { LargeRecordTests.place(of: "record_sha256", in: $0) != nil } == 3)
    let feed = try load(scene)
    let groups = feed.read { index, _ in index.deadGroups(limit: 10, now: Scene.now) }
    #expect(groups.total == 3 && groups.groups.count == 1)
    #expect(groups.groups.first?.code == "exit" && groups.groups.first?.count == 3)
    #expect(row("j1", feed)?.error == JobError(code: "exit", message: "exit code 1: order 1 has no address"))
    var count = RollupCount()
    for line in scene.test.auditLines { line.withUnsafeBytes { count.take($0) } }
    #expect(count.rollup.errors.map(\.key.code) == ["exit"])
    #expect(count.rollup.errors.map(\.value) == [3])
  }

  @Test("one that is to be tried again has its error and its time")
  func retried() throws {
    let scene = try Scene()
    let due = Scene.now + .seconds(3600)
    try scene.submit("a")
    try scene.run("a", .retry) {
      $0.result = result
      $0.runAt = due
    }
    let row = try #require(row("a", try load(scene)))
    #expect(row.phase == .retry && row.error?.code == "exit")
    #expect(row.due?.rfc3339 == due.rfc3339)
  }

  @Test("of an error's message the line has the beginning, whatever it is made of")
  func longMessage() throws {
    let scene = try Scene()
    let accents = "e" + String(repeating: "\u{301}", count: 5000)
    for (id, message) in [("a", String(repeating: "x", count: 1 << 20)), ("b", accents)] {
      try scene.submit(id)
      try scene.run(id, .bury) { $0.error = JobError(code: "long", message: message) }
    }
    let feed = try load(scene)
    for id in ["a", "b"] {
      let known = try #require(row(id, feed)?.error)
      #expect(known.code == "long" && known.message.utf8.count <= Limits.briefText + 3 && known.message.hasSuffix("…"))
    }
    #expect(scene.test.auditLines.allSatisfy { $0.count < 8192 })
  }

  @Test("lines of a version that wrote no brief still read, and the file bears its record out")
  func withoutBrief() throws {
    let scene = try Scene()
    try scene.submit("a")
    try scene.run("a", .bury) { $0.result = result }
    let name = scene.test.auditFiles[0]
    var text = scene.test.auditText(name)
    let start = try #require(LargeRecordTests.place(of: ",\"brief\":", in: text))
    let end = try #require(LargeRecordTests.place(of: ",\"prev\":", in: Array(text[start...])))
    text.removeSubrange(start..<start + end)
    try TestSpool.write(text, to: "\(scene.test.path)/log/\(name)")
    let row = try #require(row("a", try load(scene)))
    #expect(row.state == .dead && row.error == nil)
  }
}
