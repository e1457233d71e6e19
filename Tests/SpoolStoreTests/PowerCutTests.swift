/// What a start makes of files that a power cut left without the line, or without the rename, that explains them. The cases
/// are those that the simulated cuts of Tests/PowerLoss came upon.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Power cuts")
struct PowerCutTests {
  let test: TestSpool
  let json = "{\"type\":\"demo\",\"payload\":{\"jobspool\":[\",\\\"jobspool\\\":\"]}}\n"

  init() throws { test = try TestSpool() }

  /// The text with a record begun over its end, as a run writes it.
  private func completed() throws -> (before: [UInt8], after: [UInt8], head: Int) {
    let before = Array(json.utf8)
    let job = try JobScanner.scan(before)
    var record = JobRecord(
      id: "a", state: .done, submittedAt: JobFactory.now, updatedAt: JobFactory.now, node: "node-a")
    record.result = Array("{\"jobspool\":1}".utf8)
    return (before, job.completed(with: record), job.head)
  }

  private func claimed(_ bytes: [UInt8], mends: Bool = true) throws -> [UInt8]? {
    try test.drop("a", bytes: bytes)
    let transitions = try test.transitions()
    transitions.mendsTorn = mends
    let claim = try won(try transitions.claim("a", limit: 1 << 20))
    defer { unlink(test.file("a", .cur)) }
    guard case .success(let job) = claim.content, job.record == nil else { return nil }
    #expect(test.bytes("a", .cur) == job.bytes)
    return job.original
  }

  @Test("a record that got to the disk only in part is taken off again, wherever it was torn")
  func tornInNew() throws {
    let (before, after, head) = try completed()
    for end in head..<after.count {
      // The bytes under the old length; the new length, with zeros where nothing was before; and the sectors after the
      // tear but not those before it.
      let short = Array(after[..<min(end, before.count)]) + (end < before.count ? Array(before[end...]) : [])
      let begun = end < before.count ? short : Array(after[..<end])
      let zeros = begun + [UInt8](repeating: 0, count: after.count - begun.count)
      let later =
        before + [UInt8](repeating: 0, count: max(0, end - before.count)) + after[max(end, before.count)...]
      for (kind, bytes) in [("short", short), ("zeros", zeros), ("later", later)] {
        // With nothing torn off, or nothing written, there is a whole text.
        guard (try? JobScanner.scan(bytes)) == nil else { continue }
        if kind == "later", end <= before.count { continue }
        #expect(try claimed(bytes) == before, "\(kind), torn at \(end)")
      }
    }
  }

  @Test("without a power cut a torn text is refused like any other")
  func noPowerCut() throws {
    #expect(try claimed(Array(json.utf8) + [0, 0], mends: false) == nil)
  }

  @Test(
    "what never was a job is not made one",
    arguments: ["", "\0\0", "{\"type\":\"demo\"\0", "{\"type\":\"de", "[1]\0", "{\"payload\":1,\"jobspool\":"])
  func garbage(_ text: String) throws {
    #expect(try claimed(Array(text.utf8)) == nil)
  }

  @Test("a record without its line is taken off a file of ours, and the one before it put back")
  func rewound() throws {
    try test.drop("a", json)
    try Life(test).run("a", .retry)
    let first = try #require(test.bytes("a", .new))
    var record = try #require(try test.record(of: "a", .new))
    record.add(JobFactory.attempt(2, .done))
    record.result = Array("1".utf8)
    try TestSpool.write(try JobScanner.scan(first).completed(with: record), to: test.file("a", .new))
    let transitions = try test.transitions()
    let proof = try #require(try AuditReader.traces(of: ["a"], in: transitions.spool)["a"]?.record)
    do {
      let claim = try won(try transitions.claim("a", limit: 1 << 20))
      #expect(try !transitions.rewind(claim, to: proof), "only after a power cut")
      transitions.mendsTorn = true
      #expect(try transitions.rewind(claim, to: proof))
    }
    #expect(test.bytes("a", .cur) == first)
  }

  private func recovery(at now: WallTime = JobFactory.later(60)) throws -> Recovery {
    let transitions = try test.transitions(at: now)
    transitions.mendsTorn = true
    return Recovery(
      transitions: transitions, maxJobBytes: 1 << 20, now: now, policy: { _ in nil }, random: { 0.5 })
  }

  @Test("an end that is durable is completed although the renames are not", arguments: [Transition.finish, .bury])
  func undoneRenames(_ transition: Transition) throws {
    try test.drop("a", json)
    try Life(test).run("a", transition)
    let state = try #require(transition.to)
    let whole = test.bytes("a", state)
    unlink(test.file("a", state))
    try test.drop("a", json)
    #expect(try recovery().takeUpEnds() == 1)
    #expect(try recovery().run().completed == 1)
    #expect(test.states(of: "a") == [state])
    #expect(test.bytes("a", state) == whole)
  }

  @Test("a file that an administrator moved back, or that another took the place of, is not taken up")
  func notTakenUp() throws {
    try test.drop("a", json)
    try test.drop("b", json)
    try Life(test).run("a", .bury)
    try Life(test).run("b", .finish)
    try test.move(test.file("a", .dead), test.file("a", .new))
    unlink(test.file("b", .done))
    try test.drop("b", "{\"type\":\"demo\",\"payload\":2}")
    #expect(try recovery().takeUpEnds() == 0)
    #expect(test.states(of: "a") == [.new])
    #expect(test.states(of: "b") == [.new])
  }

  @Test("the record stands in for a file that is gone, empty or damaged", arguments: [nil, "", "{\"type\":\"de"])
  func standIn(_ left: String?) throws {
    try test.drop("a", json)
    try Life(test).run("a", .finish, result: "[1]")
    let record = try test.record(of: "a", .done)
    if let left {
      try TestSpool.write(Array(left.utf8), to: test.file("a", .done))
    } else {
      unlink(test.file("a", .done))
    }
    #expect(try recovery().completeTornEnds() == 1)
    #expect(try test.record(of: "a", .done) == record)
    #expect(
      TestSpool.contents("\(test.path)/dead/a.bad").map { String(decoding: $0, as: UTF8.self) }
        == (left == "" ? nil : left))
    #expect(try recovery().completeTornEnds() == 0)
    var fsck = Fsck(try test.open(), now: JobFactory.later(90))
    try fsck.run()
    #expect(fsck.problems.isEmpty, "\(fsck.problems)")
  }

  @Test(
    "without a power cut a file is completed where its end put it, and nowhere else",
    arguments: [(nil, 0), ("", 1), ("{\"type\":\"de", 1)])
  func inPlace(_ left: String?, _ completed: Int) throws {
    for id in ["a", "b"] {
      try test.drop(id, json)
      try Life(test).run(id, .finish, result: "[1]")
    }
    let record = try test.record(of: "a", .done)
    unlink(test.file("a", .done))
    if let left { try TestSpool.write(Array(left.utf8), to: test.file("a", .done)) }
    // Dropped anew by somebody.
    unlink(test.file("b", .done))
    try test.drop("b", json, into: .hold)
    #expect(try recovery().completeTornEnds(afterPowerCut: false) == completed)
    #expect(test.states(of: "a") == (completed > 0 ? [.done] : []))
    if completed > 0 { #expect(try test.record(of: "a", .done) == record) }
    #expect(test.bytes("b", .hold) == Array(json.utf8))
    #expect(test.states(of: "b") == [.hold])
  }

  @Test("an end is completed however long the machine was off, and whatever this start has written")
  func longOff() throws {
    try test.drop("a", json)
    try Life(test).run("a", .finish)
    let whole = test.bytes("a", .done)
    try TestSpool.write(Array(json.utf8), to: test.file("a", .done))
    try test.drop("b", json)
    _ = try Life(test).begin("b")
    let start = try recovery(at: JobFactory.later(86_400))
    #expect(try start.run().crashed == 1)
    #expect(try start.completeTornEnds() == 1)
    #expect(test.bytes("a", .done) == whole)
  }

  @Test("the window closes, so that a start does not read a long log")
  func window() throws {
    for (index, id) in ["a", "b", "c", "d"].enumerated() {
      try test.drop(id, json)
      try Life(test, at: JobFactory.later(10 * Int64(index))).run(id, .finish)
      try TestSpool.write(Array(json.utf8), to: test.file(id, .done))
    }
    #expect(try recovery().completeTornEnds(window: .seconds(1)) == 3)
    #expect(test.bytes("a", .done) == Array(json.utf8))
    #expect(try recovery().completeTornEnds() == 1)
  }

  @Test("a record that was torn is completed wherever an operator moved its job since", arguments: [true, false])
  func movedSince(_ isHeld: Bool) throws {
    try test.drop("a", json)
    try Life(test).run("a", isHeld ? .retry : .bury)
    let state = isHeld ? JobState.new : .dead
    let whole = try #require(test.bytes("a", state))
    do {
      let transitions = try test.transitions(at: JobFactory.later(30))
      if isHeld {
        try transitions.hold("a", type: "demo", at: JobFactory.later(30), by: "anna (uid 1000)")
      } else {
        try transitions.requeue("a", from: .dead, type: "demo", at: JobFactory.later(30), by: "anna (uid 1000)")
      }
      try transitions.audit.commit()
    }
    let moved = isHeld ? JobState.hold : .new
    let before = Array(json.utf8)
    // The new length with the old bytes, as ext4 leaves it; and the new bytes in their later part.
    for torn in [before + [UInt8](repeating: 0, count: whole.count - before.count), before + whole[before.count...]] {
      try TestSpool.write(torn, to: test.file("a", moved))
      #expect(try recovery().run().completed == 0)
      #expect(try recovery().completeTornEnds() == 1)
      #expect(test.bytes("a", moved) == whole)
      #expect(test.states(of: "a") == [moved])
    }
  }

  @Test("a requeued job whose record was torn is not taken for one that has ended")
  func requeuedNotTakenUp() throws {
    try test.drop("a", json)
    try Life(test).run("a", .bury)
    let transitions = try test.transitions(at: JobFactory.later(30))
    try transitions.requeue("a", from: .dead, type: "demo", at: JobFactory.later(30), by: "anna (uid 1000)")
    try transitions.audit.commit()
    try TestSpool.write(Array(json.utf8), to: test.file("a", .new))
    #expect(try recovery().takeUpEnds() == 0)
    #expect(test.states(of: "a") == [.new])
  }
}
