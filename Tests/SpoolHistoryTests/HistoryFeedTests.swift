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
    _ = try feed.inTurn { () throws(SpoolError) in try feed.refresh() }
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

  @Test("when a job is due and what it waits for are in its line: its file is not opened")
  func told() throws {
    let scene = try Scene()
    let (feed, _) = try feed(scene)
    let due = Scene.now + .seconds(3600)
    try scene.submit("parent")
    // What the files say is something else, to see which of the two was read.
    for id in ["late", "child", "member", "many"] { try Intake(scene.spool).submit(.init(id: id, bytes: Scene.plain)) }
    func tell(_ id: String, _ write: (inout JSONWriter) -> Void) throws {
      try scene.transitions.audit.append(.submitted, at: Scene.now, job: id, type: "echo", to: .new, write)
    }
    try tell("late") { writer in
      writer.key("due")
      writer.time(due)
    }
    try tell("child") { writer in
      writer.key("after")
      writer.value(.array([.string("parent")]))
    }
    try tell("member") { writer in
      writer.key("after")
      writer.value(.array([.string("batch:all")]))
      writer.key("on_parent_dead")
      writer.string("run")
    }
    try tell("many") { writer in
      writer.key("after")
      writer.bool(true)
    }
    try scene.transitions.audit.commit()
    try feed.refresh()
    #expect(job("late", feed)?.phase == .scheduled)
    #expect(job("late", feed)?.due == WallTime(microseconds: due.microseconds / 1000 * 1000))
    #expect(job("child", feed)?.after == [.job("parent")])
    #expect(job("child", feed)?.phase == .blocked)
    #expect(job("member", feed)?.after == [.batch("all")])
    // The line had no room for the list: the file was looked at.
    #expect(job("many", feed)?.phase == .ready)
    try scene.run("parent", .finish)
    try feed.refresh()
    #expect(job("child", feed)?.phase == .ready)
  }

  @Test("who paused what and when is known until it is resumed")
  func pauses() throws {
    let scene = try Scene()
    let (feed, _) = try feed(scene)
    func note(_ event: AuditEvent, _ type: String?, by who: String, what: String? = nil) throws {
      try scene.transitions.audit.append(event, at: Scene.now, type: type, by: who) { writer in
        guard let what else { return }
        writer.key("what")
        writer.string(what)
      }
      try scene.transitions.audit.commit()
      try feed.refresh()
    }
    func paused() -> [String: String] { feed.read { index, _ in index.pauses.mapValues(\.by) } }
    try note(.paused, "mail", by: "anna through jobspool-web (uid 12)")
    try note(.paused, nil, by: "bert (uid 1000)")
    try note(.paused, nil, by: "bert (uid 1000)", what: "schedules")
    #expect(paused() == ["mail": "anna", "all": "bert (uid 1000)"])
    try note(.resumed, "mail", by: "operator")
    #expect(paused() == ["all": "bert (uid 1000)"])
  }

  @Test("who passes news on takes a large piece of log in slices, and misses none of it")
  func slices() throws {
    let scene = try Scene()
    let (feed, heard) = try feed(scene)
    let meta = String(repeating: "x", count: 1000)
    for number in 0..<3000 {
      try scene.transitions.audit.append(.submitted, at: Scene.now, job: "job-\(number)", type: "echo", to: .new) {
        $0.key("meta")
        $0.value(.array([.string(meta)]))
      }
    }
    try scene.transitions.audit.commit()
    #expect(try feed.refresh(slices: 1))
    let some = heard.events.count
    #expect(some > 100 && some < 3000)
    while try feed.refresh(slices: 1) {}
    #expect(heard.events.map(\.row.id) == (0..<3000).map { "job-\($0)" })
  }

  @Test("a verb finds what it fits, whatever the filter says")
  func within() throws {
    let scene = try Scene()
    for id in ["a", "b", "c"] { try scene.submit(id) }
    try scene.run("a", .finish)
    try scene.run("b", .bury)
    let (feed, _) = try feed(scene)
    func ids(_ within: Set<JobState>, _ places: [JobFilter.Place] = []) -> Set<String> {
      var query = HistoryQuery()
      (query.within, query.places) = (within, places)
      let found = feed.read { index, _ in Set(index.ids(query, limit: 10, now: Scene.now)) }
      let counted = feed.read { index, status in index.page(query, status: status, now: Scene.now).total }
      #expect(counted == found.count)
      return found
    }
    #expect(ids([.done, .dead]) == ["a", "b"])
    #expect(ids([.new]) == ["c"])
    #expect(ids([.done, .dead], [.state(.dead), .phase(.ready)]) == ["b"])
    #expect(ids([.hold], [.state(.dead)]) == [])
  }

  @Test("the newest lines are read first, and a job that was removed stays so when its older lines come")
  func backwards() throws {
    let scene = try Scene()
    let filler = String(repeating: "x", count: 1000)
    func fill() throws {
      for number in 0..<1500 {
        try scene.transitions.audit.append(.submitted, at: Scene.now, job: "filler-\(number)", type: "echo", to: .new) {
          $0.key("meta")
          $0.value(.array([.string(filler)]))
        }
      }
    }
    func tell(_ event: AuditEvent, _ id: String, from: JobState? = nil, to: JobState? = nil) throws {
      try scene.transitions.audit.append(event, at: Scene.now, job: id, type: "echo", from: from, to: to)
    }
    for id in ["gone", "again"] {
      try tell(.submitted, id, to: .new)
      try tell(.held, id, from: .new, to: .hold)
    }
    try fill()
    for id in ["gone", "again"] { try tell(.purged, id, from: .hold) }
    try fill()
    usleep(2000)
    try scene.submit("again")
    try scene.transitions.audit.commit()
    let index = HistoryFeed(scene.spool, configuration: nil) { Scene.now }
    try index.load()
    #expect(job("gone", index) == nil)
    #expect(job("again", index)?.state == .new)
    let numbers = index.read { index, _ in index.rollup(from: .min, to: .max).total.submitted }
    #expect(numbers == 3 + 3000)
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

  @Test("a damaged line whose job has no name is passed over, also as the first that names one")
  func nameless() throws {
    let scene = try Scene()
    #expect(TextArena().add(UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: 8), count: 0)) == 0)
    try scene.submit("a", "{\"type\":\"echo\"}")
    try scene.transitions.audit.commit()
    let name = try #require(scene.test.names(in: .log).first { $0.hasPrefix("audit-") })
    let text = String(decoding: scene.test.auditText(name), as: UTF8.self)
    let damaged = text.replacing("\"job\":\"a\"", with: "\"job\":\"\"")
    #expect(damaged != text)
    try TestSpool.write(Array((damaged + text).utf8), to: "\(scene.spool.path)/log/\(name)")
    let (feed, _) = try feed(scene)
    #expect(job("a", feed)?.state == .new)
    #expect(job("", feed) == nil)
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
