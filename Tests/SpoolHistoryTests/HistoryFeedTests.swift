import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@testable import SpoolHistory

@Suite("Keeping the index as new as the spool") struct HistoryFeedTests {
  private final class Heard: @unchecked Sendable {
    var events: [HistoryFeed.Event] = []
  }

  /// A clock that can be put forward: folders are looked at some time after they changed.
  private final class Clock: @unchecked Sendable {
    var ahead = Duration.zero
  }

  private func feed(_ scene: Scene, _ clock: Clock = Clock()) throws -> (HistoryFeed, Heard) {
    let feed = HistoryFeed(scene.spool, configuration: nil) { Scene.now + clock.ahead }
    try feed.load()
    let heard = Heard()
    feed.listen { heard.events += $0.events }
    return (feed, heard)
  }

  private func job(_ id: String, _ feed: HistoryFeed) -> JobRow? {
    feed.read { index, status in index.job(id, status: status, now: Scene.now) }
  }

  @Test("each step of a job's life is heard in order, with the job as it was then")
  func life() throws {
    let scene = try Scene()
    let (feed, heard) = try feed(scene)
    try scene.submit("a", "{\"type\":\"echo\",\"tags\":[\"x\"]}")
    try scene.transitions.audit.commit()
    try feed.refresh()
    try scene.run("a", .finish)
    try feed.refresh()
    #expect(heard.events.map(\.event) == [.submitted, .claimed, .finished])
    #expect(heard.events.map(\.row.state) == [.new, .cur, .done])
    #expect(heard.events.map(\.sequence) == [1, 2, 3])
  }

  @Test("while the log is being read nobody waits for it", .timeLimit(.minutes(1)))
  func notYetLoaded() throws {
    let scene = try Scene()
    try scene.submit("a")
    try scene.transitions.audit.commit()
    let feed = HistoryFeed(scene.spool, configuration: nil) { Scene.now }
    // As if it were reading a file of the log.
    try feed.inTurn { () throws(SpoolError) in try feed.refresh() }
    #expect(!feed.isComplete && job("a", feed) == nil)
    try feed.load()
    #expect(feed.isComplete && job("a", feed)?.state == .new)
  }

  @Test("no end is told before its file is where the line says")
  func heldEnd() throws {
    let scene = try Scene()
    let (feed, heard) = try feed(scene)
    try scene.submit("a")
    try scene.submit("b")
    let claim = try scene.claim("a")
    var record = JobRecord.taken(from: claim, submitter: nil, node: "node-a")
    (record.state, record.outcome, record.finishedAt) = (.done, .done, Scene.now)
    let settlement = Settlement(claim, .finish, record)
    try scene.transitions.write(settlement)
    try scene.transitions.note(settlement, at: Scene.now)
    try scene.transitions.audit.commit()
    try scene.run("b", .finish)
    try feed.refresh()
    #expect(job("a", feed)?.state == .cur)
    #expect(job("b", feed)?.state == .done)
    #expect(!heard.events.contains { $0.row.id == "a" && $0.event == .finished })
    _ = try scene.transitions.publish(settlement)
    try feed.refresh()
    #expect(job("a", feed)?.state == .done)
    #expect(heard.events.last?.event == .finished)
    #expect(heard.events.last?.row.id == "a")
  }

  @Test("what was moved, dropped or removed by hand is found in the folders")
  func byHand() throws {
    let scene = try Scene()
    for id in ["done", "dead", "gone"] { try scene.submit(id) }
    try scene.run("done", .finish)
    try scene.run("dead", .bury)
    try scene.run("gone", .finish)
    let clock = Clock()
    let (feed, _) = try feed(scene, clock)
    try scene.test.move(scene.test.file("dead", .dead), scene.test.file("dead", .new))
    unlink(scene.test.file("gone", .done))
    try scene.test.drop("fresh", "{\"type\":\"mail\",\"delay\":\"1h\",\"tags\":[\"t\"]}")
    try scene.test.drop("child", "{\"type\":\"mail\",\"after\":[\"fresh\"]}")
    // Rows younger than a second may have been passed by while their folder was read.
    clock.ahead = .seconds(5)
    try feed.compareFolders(all: true)
    #expect(job("dead", feed)?.state == .new)
    #expect(job("dead", feed)?.attempt == 0)
    #expect(job("gone", feed) == nil)
    #expect(job("fresh", feed)?.phase == .scheduled)
    #expect(job("fresh", feed)?.tags == ["t"])
    #expect(job("child", feed)?.phase == .blocked)
    #expect(job("done", feed)?.state == .done)
    let counts = feed.read { index, _ in index.jobCounts(now: Scene.now) }
    #expect(counts.states == [.new: 3, .cur: 0, .done: 1, .dead: 0, .hold: 0])
  }

  @Test("a job dropped while no daemon runs is listed at the next look")
  func noDaemon() throws {
    let scene = try Scene()
    let clock = Clock()
    let (feed, _) = try feed(scene, clock)
    try scene.test.drop("waits", "{\"type\":\"mail\"}")
    clock.ahead = .seconds(1)
    try feed.refresh()
    #expect(job("waits", feed)?.type == "mail")
  }

  @Test("a new day's file is followed")
  func midnight() throws {
    let scene = try Scene()
    try scene.submit("a")
    try scene.transitions.audit.commit()
    let (feed, heard) = try feed(scene)
    let tomorrow = Scene.now + .seconds(86_400)
    try scene.transitions.audit.append(.submitted, at: tomorrow, job: "b", type: "mail", to: .new)
    try scene.transitions.audit.commit()
    try feed.refresh()
    #expect(heard.events.map(\.row.id) == ["b"])
  }

  @Test("rows of removed jobs are used again, and their ids found no more")
  func removal() throws {
    let table = RowTable()
    func bytes<Result>(_ id: String, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
      try Array(id.utf8).withUnsafeBytes(body)
    }
    var random = SeededNumbers(seed: 3)
    var model: [String: Int] = [:]
    for step in 0..<20_000 {
      let id = "id-\(random.below(3000))"
      if let row = model[id], random.chance(2) {
        table.remove(row)
        model[id] = nil
      } else if model[id] == nil {
        model[id] = bytes(id) { table.insert($0) }
      }
      let asked = "id-\(random.below(3000))"
      #expect(bytes(asked) { table.find($0) } == model[asked], "step \(step)")
    }
    #expect(table.used == model.count)
    #expect(table.count <= 3000)
  }

  @Test("messages fold as they do in rollups, text is found as it is in strings")
  func texts() {
    var random = SeededNumbers(seed: 11)
    let alphabet = Array("abcdefXYZ0123456789 -/.:,_@\t\"ÄöüßéÉ")
    for _ in 0..<3000 {
      let message = String((0..<random.below(60)).map { _ in alphabet[random.below(alphabet.count)] })
      #expect(FoldedMessage.of(message) == Rollup.folded(message))
      let wanted = String((0..<1 + random.below(2)).map { _ in alphabet[random.below(alphabet.count - 4)] })
      let found = Array(message.utf8).withUnsafeBytes { TextSearch(wanted).isIn($0) }
      #expect(found == message.lowercased().contains(wanted.lowercased()), "\(wanted) in \(message)")
    }
  }
}
