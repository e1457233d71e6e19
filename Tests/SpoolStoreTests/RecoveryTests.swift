/// Every row of recovery's table, and what a power cut can do to a file besides.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Recovery")
struct RecoveryTests {
  let test: TestSpool
  let json = "{\"type\":\"demo\",\"payload\":{\"n\":1} }"

  init() throws { test = try TestSpool() }

  private func report(_ change: (inout Recovery.Report) -> Void) -> Recovery.Report {
    var report = Recovery.Report()
    change(&report)
    return report
  }

  private func overwrite(_ id: String, _ bytes: [UInt8]) throws { try TestSpool.write(bytes, to: test.file(id, .cur)) }

  /// A settlement of job `a` that is durable but not published.
  private func unpublished(_ transition: Transition, result: String? = nil) throws {
    try test.drop("a", json)
    let syscalls = InterruptedSyscalls(failure: { _, call in
      call.hasPrefix("rename") && !call.contains("new/a.json cur/") ? Errno(EIO) : nil
    })
    let life = try Life(test, syscalls)
    #expect(throws: SpoolError.self) { try life.run("a", transition, result: result) }
    #expect(test.states(of: "a") == [.cur])
  }

  @Test("finds nothing to do in a healthy spool")
  func healthy() throws {
    try test.drop("a", json)
    try Life(test).run("a", .finish)
    try test.drop("b", json)
    #expect(try Life.recover(test).isEmpty)
    #expect(test.states(of: "b") == [.new])
  }

  @Test("makes the rename of a durable end", arguments: [Transition.finish, .bury, .cancel, .expire, .retry, .release])
  func durableEnd(_ transition: Transition) throws {
    try unpublished(transition)
    let whole = try #require(test.bytes("a", .cur))
    #expect(try Life.recover(test) == report { $0.completed = 1 })
    let state = try #require(transition.to)
    #expect(test.states(of: "a") == [state])
    #expect(test.bytes("a", state) == whole)
  }

  @Test("completes a record torn at any byte", arguments: [Transition.finish, .retry])
  func tornRecord(_ transition: Transition) throws {
    try unpublished(transition, result: "{\"k\":[1,2]}")
    let whole = try #require(test.bytes("a", .cur))
    let head = try JobScanner.scan(whole).head
    let log = test.auditText(test.auditFiles[0])
    let state = try #require(transition.to)
    for end in head..<whole.count {
      // Cut short; or of full length with zeros, which is how ext4 leaves what never got there.
      for bytes in [Array(whole[..<end]), Array(whole[..<end]) + [UInt8](repeating: 0, count: whole.count - end)] {
        try overwrite("a", bytes)
        try Life.recover(test)
        #expect(test.bytes("a", state) == whole, "torn at \(end)")
        try test.move(test.file("a", state), test.file("a", .cur))
        try TestSpool.write(log, to: "\(test.path)/log/\(test.auditFiles[0])")
      }
    }
    // Nothing of the record arrived at all.
    try overwrite("a", Array(json.utf8))
    try Life.recover(test)
    #expect(test.bytes("a", state) == whole)
  }

  @Test("counts a run that was cut off as crashed, and retries it at once the first time")
  func crashed() throws {
    try test.drop("a", json)
    _ = try Life(test).begin("a")
    #expect(try Life.recover(test) == report { $0.crashed = 1 })
    let record = try #require(try test.record(of: "a", .new))
    #expect(record.attempt == 1 && record.attempts.map(\.outcome) == [.crashed])
    #expect(record.attempts[0].startedAt == JobFactory.now && record.attempts[0].endedAt == JobFactory.later(60))
    #expect(record.runAt == JobFactory.later(60))
    #expect(record.error?.code == "crashed")
    #expect(try test.audit().last?["reason"]?.string == "crashed")
    // The second time it waits.
    _ = try Life(test).begin("a")
    try Life.recover(test, at: JobFactory.later(100))
    let second = try #require(try test.record(of: "a", .new))
    #expect(second.attempt == 2 && second.runAt == JobFactory.later(130))
  }

  @Test("buries a job that went down with the machine as often as it may run")
  func crashedTooOften() throws {
    try test.drop("a", "{\"type\":\"demo\",\"max_attempts\":3}")
    for run in 1...3 {
      #expect(test.states(of: "a") == [.new], "run \(run)")
      _ = try Life(test).begin("a")
      try Life.recover(test)
    }
    #expect(test.states(of: "a") == [.dead])
    #expect(try test.record(of: "a", .dead)?.outcome == .failed)
    #expect(try test.events(of: "a") == ["claimed", "retried", "claimed", "retried", "claimed", "buried"])
  }

  @Test("with one attempt nothing runs twice: a run that was cut off is buried and says so")
  func crashedOnce() throws {
    try test.drop("a", "{\"type\":\"demo\",\"max_attempts\":1}")
    _ = try Life(test).begin("a")
    try Life.recover(test)
    let record = try #require(try test.record(of: "a", .dead))
    #expect(record.outcome == .failed && record.attempts.map(\.outcome) == [.crashed])
    #expect(record.error?.code == "crashed" && record.error?.message.hasSuffix("no attempt is left of 1") == true)
    #expect(try test.events(of: "a") == ["claimed", "buried"])
  }

  @Test("cuts off a record whose end was never durable, at any byte", arguments: [false, true])
  func undurableRecord(_ hadRun: Bool) throws {
    try test.drop("a", json)
    if hadRun { try Life(test).run("a", .retry) }
    let life = try Life(test)
    let claim = try life.begin("a")
    var record = life.taken(claim)
    record.add(JobFactory.attempt(hadRun ? 2 : 1, .done))
    Life.finish(&record, .finish, result: "1")
    let before = try #require(test.bytes("a", .cur))
    let log = test.auditText(test.auditFiles[0])
    let whole = try JobScanner.scan(before).completed(with: record)
    let head = try JobScanner.scan(before).head
    for end in head...whole.count {
      // Written over what was there, which may be longer.
      try overwrite("a", Array(whole[..<end]) + (end < before.count ? Array(before[end...]) : []))
      try Life.recover(test)
      let job = try test.job("a", .new)
      #expect(job.original == Array(json.utf8), "torn at \(end)")
      #expect(job.record?.attempts.map(\.outcome) == (hadRun ? [.failed, .crashed] : [.crashed]), "torn at \(end)")
      #expect(job.record?.sha256 == Digest.sha256(Array(json.utf8)), "torn at \(end)")
      try test.move(test.file("a", .new), test.file("a", .cur))
      try TestSpool.write(log, to: "\(test.path)/log/\(test.auditFiles[0])")
    }
    _ = consume claim
  }

  @Test("puts a file without a claimed line back as it was, uncounted")
  func notStarted() throws {
    try test.drop("a", json)
    _ = try test.transitions().claim("a", limit: 1 << 20)
    #expect(try Life.recover(test) == report { $0.returned = 1 })
    #expect(test.text("a", .new) == json)
  }

  @Test("leaves such a file its owner, who decides what it may do", .enabled(if: geteuid() == 0, "needs root to chown"))
  func ownerStays() throws {
    try test.drop("a", json, into: .cur)
    chown(test.file("a", .cur), 12345, 12345)
    try Life.recover(test)
    var status = stat()
    lstat(test.file("a", .new), &status)
    #expect(status.st_uid == 12345)
    #expect(test.text("a", .new) == json)
  }

  @Test(
    "remembers whose an adopted file was, started or not", .enabled(if: geteuid() == 0, "needs root to chown"),
    arguments: [false, true])
  func adoptedOwner(_ hasStarted: Bool) throws {
    try test.drop("a", json)
    chown(test.file("a", .new), 12345, 12345)
    let life = try Life(test)
    try life.transitions.audit.append(.submitted, at: life.now, job: "a", type: "demo", to: .new, by: "12345") {
      writer in
      writer.key("uid")
      writer.int(12345)
    }
    if hasStarted {
      _ = try life.begin("a")
    } else {
      _ = try life.transitions.claim("a", limit: 1 << 20)
      try life.transitions.audit.flush()
    }
    try Life.recover(test)
    let job = try test.job("a", .new)
    #expect(job.record?.submittedBy == .init(uid: 12345, user: "12345"))
    #expect(job.record?.attempt == (hasStarted ? 1 : 0))
    #expect(job.original == Array(json.utf8))
    #expect(try Life.recover(test).isEmpty)
  }

  @Test("puts a file back whatever it is: judging comes later")
  func oddFiles() throws {
    try test.drop("bad", "no JSON", into: .cur)
    symlink("/etc/hostname", test.file("link", .cur))
    mkdir(test.file("folder", .cur), 0o755)
    try Life.recover(test)
    #expect(test.names(in: .new) == ["bad.json", "folder.json", "link.json"])
    #expect(test.text("bad", .new) == "no JSON")
    #expect(test.names(in: .cur) == [])
  }

  @Test("moves a twin away that came while the daemon was down", arguments: [true, false])
  func twinInNew(_ isSame: Bool) throws {
    for hasStarted in [true, false] {
      let test = try TestSpool()
      try test.drop("a", json)
      if hasStarted { _ = try Life(test).begin("a") } else { _ = try test.transitions().claim("a", limit: 1 << 20) }
      try test.drop("a", isSame ? json : "{\"type\":\"other\"}")
      try Life.recover(test)
      #expect(test.states(of: "a") == [.new])
      #expect(try test.job("a", .new).original == Array(json.utf8))
      #expect(test.names(in: .dead).count == (isSame ? 0 : 1))
    }
  }

  @Test("judges a twin again that was not judged to its end")
  func twin() throws {
    try test.drop("a", json)
    try Life(test).run("a", .finish)
    for (dropped, refused) in [(json, 0), ("{\"type\":\"other\"}", 1)] {
      try test.drop("a", dropped)
      _ = try test.transitions().claimTwin("a", at: JobFactory.now, limit: 1 << 20)
      #expect(try Life.recover(test) == report { $0.twins = 1 })
      #expect(test.names(in: .dead).count == refused && test.names(in: .cur) == [] && test.names(in: .new) == [])
    }
  }

  @Test("runs what was dropped in the place of a dead job, and does not bury it under the old record")
  func laterFile() throws {
    try test.drop("a", json)
    try Life(test).run("a", .bury)
    // Of the same length, so that the old record would fit behind it.
    let second = json.split(separator: "1").joined(separator: "2")
    try test.drop("a", second)
    _ = try test.transitions().claim("a", limit: 1 << 20)
    try Life.recover(test)
    #expect(test.text("a", .new) == second)
    #expect(try test.job("a", .dead).original == Array(json.utf8))
  }

  @Test("does not put a retried job's record into a file that replaced it")
  func replacedFile() throws {
    try test.drop("a", json)
    try Life(test).run("a", .retry)
    let second = json.split(separator: "1").joined(separator: "2")
    try test.drop("a", second)
    _ = try test.transitions().claim("a", limit: 1 << 20)
    try Life.recover(test)
    #expect(test.text("a", .new) == second)
  }

  @Test("copes with a restored copy of a running job that is done in the same backup")
  func restoredTwice() throws {
    try test.drop("a", json)
    try Life(test).run("a", .finish)
    try test.drop("a", json, into: .cur)
    try Life.recover(test)
    #expect(test.states(of: "a") == [.new, .done])
    #expect(test.names(in: .cur) == [])
  }

  @Test(
    "refuses a claimed file of which a power cut left nothing usable", arguments: ["", "{\"type\":\"de", "\0\0\0\0"])
  func damaged(_ left: String) throws {
    try test.drop("a", json)
    _ = try Life(test).begin("a")
    try overwrite("a", Array(left.utf8))
    try Life.recover(test)
    #expect(test.names(in: .cur) == [] && test.names(in: .new) == [])
    let record = try #require(try test.record(of: "a", .dead))
    #expect(record.outcome == .rejected && record.state == .dead)
    #expect(TestSpool.contents("\(test.path)/dead/a.bad") == Array(left.utf8))
    #expect(try test.audit().last?["event"]?.string == "rejected")
  }

  @Test("keeps the end of a job whose own bytes are damaged", arguments: [Transition.finish, .bury, .retry])
  func damagedButEnded(_ transition: Transition) throws {
    try unpublished(transition)
    try overwrite("a", [0, 0, 0])
    try Life.recover(test)
    let state: JobState = transition == .finish ? .done : .dead
    #expect(test.states(of: "a") == [state])
    #expect(try test.record(of: "a", state)?.state == state)
    #expect(TestSpool.contents("\(test.path)/dead/a.bad") == [0, 0, 0])
    #expect(try Life.recover(test).isEmpty)
  }

  private func completeTornEnds() throws -> Int {
    let transitions = try test.transitions(at: JobFactory.later(60))
    let recovery = Recovery(
      transitions: transitions, maxJobBytes: 1 << 20, now: JobFactory.later(60), policy: { _ in nil }, random: { 0.5 })
    return try recovery.completeTornEnds()
  }

  @Test(
    "completes a file a power cut tore after its rename, at any byte",
    arguments: [Transition.finish, .bury, .retry, .release])
  func tornAfterRename(_ transition: Transition) throws {
    try test.drop("a", json)
    try Life(test).run("a", transition, result: "{\"k\":1,\"k\":2}")
    let state = try #require(transition.to)
    let whole = try #require(test.bytes("a", state))
    #expect(try completeTornEnds() == 0)
    for end in try JobScanner.scan(whole).head..<whole.count {
      try TestSpool.write(Array(whole[..<end]), to: test.file("a", state))
      #expect(try completeTornEnds() == 1, "torn at \(end)")
      #expect(test.bytes("a", state) == whole, "torn at \(end)")
    }
    try TestSpool.write(Array(json.utf8), to: test.file("a", state))
    #expect(try completeTornEnds() == 1)
    #expect(test.bytes("a", state) == whole)
  }

  @Test("does not take a file that replaced a retried one for a torn one")
  func replacedAfterRename() throws {
    try test.drop("a", json)
    try Life(test).run("a", .retry)
    let second = json.split(separator: "1").joined(separator: "2")
    try test.drop("a", second)
    #expect(try completeTornEnds() == 0)
    #expect(test.text("a", .new) == second)
  }

  @Test("removes what a dead daemon left beside the jobs in cur, and gives the originals back")
  func stagedCopies() throws {
    try test.drop("a", json)
    try test.linkOutside("a")
    _ = try test.transitions().claim("a", limit: 1 << 20, sharesSync: true)
    for name in [".bare.b", ".edit.c"] { try TestSpool.write([1], to: "\(test.path)/cur/\(name)") }
    #expect(test.names(in: .cur).count == 4)
    #expect(try Life.recover(test).returned == 1)
    #expect(test.names(in: .cur) == [])
    #expect(test.text("a", .new) == json)
    #expect(try test.events(of: "a").isEmpty)
  }

  @Test("leaves names alone that are no job's")
  func otherNames() throws {
    try TestSpool.write([1], to: "\(test.path)/cur/.hidden.json")
    try TestSpool.write([1], to: "\(test.path)/cur/note.txt")
    #expect(try Life.recover(test).isEmpty)
    #expect(test.names(in: .cur) == [".hidden.json", "note.txt"])
  }
}
