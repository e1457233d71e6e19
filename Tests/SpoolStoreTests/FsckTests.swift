import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("fsck") struct FsckTests {
  private func findings(_ test: TestSpool, now: WallTime = JobFactory.now) throws -> [FsckFinding] {
    var fsck = Fsck(try test.open(), now: now)
    try fsck.run()
    return fsck.findings
  }

  /// `code path` of each problem.
  private func problems(_ test: TestSpool) throws -> [String] {
    try findings(test).filter { $0.severity == .problem }.map { "\($0.code.rawValue) \($0.path)" }
  }

  /// Jobs in every state they can end or rest in.
  private func played() throws -> (TestSpool, Life) {
    let test = try TestSpool()
    let life = try Life(test)
    for id in ["done", "dead", "retried", "held", "waiting", "large"] { try life.submit(id, JobFactory.json()) }
    try life.run("done", .finish, result: "{\"ok\":true}")
    try life.run("dead", .bury)
    try life.run("retried", .retry)
    try life.run("large", .finish, result: "\"\(String(repeating: "x", count: 10_000))\"")
    try test.drop("refused", "no json")
    try life.judge("refused", .reject)
    try life.transitions.hold("held", type: nil, at: life.now, by: "test")
    try life.transitions.audit.commit()
    return (test, life)
  }

  @Test("a spool that lived through everything is healthy")
  func healthy() throws {
    let (test, life) = try played()
    #expect(try findings(test) == [])
    try life.transitions.requeue("done", from: .done, type: nil, at: life.now, by: "test")
    try life.run("done", .bury)
    try test.drop("dead", JobFactory.json())
    try life.transitions.audit.commit()
    #expect(try findings(test) == [], "a twin of a dead job may wait beside it")
  }

  @Test("an empty spool is healthy")
  func empty() throws { #expect(try findings(TestSpool()) == []) }

  @Test("a record that was edited by hand is not borne out")
  func edited() throws {
    let (test, _) = try played()
    let text = try #require(test.text("done", .done))
    let forged = text.split(separator: "true", omittingEmptySubsequences: false).joined(separator: "null")
    try TestSpool.write(Array(forged.utf8), to: test.file("done", .done))
    #expect(try problems(test) == ["not_borne_out done/done.json"])
  }

  @Test("so is one whose record is only in the file, by its hash")
  func largeEdited() throws {
    let (test, _) = try played()
    let text = try #require(test.text("large", .done))
    let forged = text.split(separator: "xxxxxxxxxx\"", omittingEmptySubsequences: false).joined(
      separator: "yyyyyyyyyy\"")
    try TestSpool.write(Array(forged.utf8), to: test.file("large", .done))
    #expect(try problems(test) == ["not_borne_out done/large.json"])
  }

  @Test("an end the log knows nothing of, a wrong folder, a missing record, a wrong id")
  func misplaced() throws {
    let (test, _) = try played()
    let record = JobFactory.record("invented", .done, .done)
    let job = try JobScanner.scan(Array(JobFactory.json().utf8))
    try test.drop("invented", bytes: job.completed(with: record), into: .done)
    try test.drop("bare", JobFactory.json(), into: .done)
    try test.drop("other", bytes: try #require(test.bytes("dead", .dead)), into: .dead)
    try test.drop("garbage", "{", into: .dead)
    try test.move(test.file("done", .done), test.file("done", .dead))
    #expect(
      try problems(test) == [
        "wrong_record dead/done.json", "not_a_job dead/garbage.json", "wrong_record dead/other.json",
        "no_record done/bare.json", "not_borne_out done/invented.json",
      ])
  }

  @Test("one job in done and dead, or in done and cur, is in two states")
  func twice() throws {
    let (test, _) = try played()
    try test.drop("done", bytes: try #require(test.bytes("done", .done)), into: .cur)
    #expect(try problems(test) == ["claimed_without_daemon cur/done.json", "two_states done/done.json"])
  }

  @Test("claimed without a daemon is a problem, with one it is not")
  func claimed() throws {
    let (test, life) = try played()
    _ = try life.begin("waiting")
    #expect(try problems(test) == ["claimed_without_daemon cur/waiting.json"])
    let lock = try SpoolLock(life.spool, node: "node-a", program: "jobspoold")
    #expect(try problems(test) == [])
    withExtendedLifetime(lock) {}
  }

  @Test("odd names and stale staging are notes, and no job is hurt by them")
  func notes() throws {
    let (test, _) = try played()
    try TestSpool.write([], to: "\(test.path)/new/README")
    try TestSpool.write([], to: "\(test.path)/log/jobs/notes.txt")
    try TestSpool.write([], to: "\(test.path)/tmp/.abandoned")
    let tomorrow = WallTime(microseconds: try now().microseconds + 2 * 86_400_000_000)
    let found = try findings(test, now: tomorrow)
    #expect(found.map(\.path) == ["log/jobs/notes.txt", "new/README", "tmp/.abandoned"])
    #expect(found.allSatisfy { $0.severity == .note })
    #expect(try findings(test, now: now()).count == 2, "a young staged file may have a writer")
  }

  @Test("a refused file needs its record beside it")
  func refused() throws {
    let (test, _) = try played()
    #expect(unlink(test.file("refused", .dead)) == 0)
    #expect(try problems(test) == ["bad_without_record dead/refused.bad"])
  }

  @Test("a log that retention cut off at its beginning bears out what it can")
  func shortened() throws {
    let (test, _) = try played()
    let name = try #require(test.auditFiles.first)
    var lines = test.auditLines
    lines.removeFirst(lines.count - 2)
    try TestSpool.write(lines.flatMap { $0 + [0x0A] }, to: "\(test.path)/log/\(name)")
    #expect(try problems(test) == [])
  }

  // MARK: Repair

  private func repair(_ test: TestSpool, _ life: Life, now: WallTime = JobFactory.now) throws -> [String] {
    try FsckRepair(transitions: life.transitions, now: now, by: "test").run(findings(test, now: now))
  }

  @Test("repair completes an end that was durable before the crash")
  func completes() throws {
    let (test, life) = try played()
    let claim = try life.begin("waiting")
    var record = life.taken(claim)
    record.add(JobFactory.attempt(1, .done))
    Life.finish(&record, .finish)
    let settlement = Settlement(claim, .finish, record)
    try life.transitions.write(settlement)
    try life.transitions.note(settlement, at: life.now)
    try life.transitions.audit.commit()
    // The power goes before the rename.
    #expect(try repair(test, life) == ["completed the end of waiting"])
    #expect(test.states(of: "waiting") == [.done])
    #expect(try findings(test) == [])
  }

  @Test("repair leaves a run without an end to the daemon")
  func leavesRuns() throws {
    let (test, life) = try played()
    _ = try life.begin("waiting")
    #expect(try repair(test, life) == [])
    #expect(test.states(of: "waiting") == [.cur])
  }

  @Test("repair removes the copy of a job that is done, and the spool is sound afterwards")
  func removesCopy() throws {
    let (test, life) = try played()
    let done = try #require(test.bytes("done", .done))
    try test.drop("done", bytes: done, into: .cur)
    #expect(try repair(test, life) == ["removed cur/done.json, which is done"])
    #expect(test.states(of: "done") == [.done])
    #expect(test.bytes("done", .done) == done)
    #expect(try findings(test) == [])
    #expect(test.auditFaults() == [])
  }

  @Test("repair does not touch another job that took the name")
  func keepsOthers() throws {
    let (test, life) = try played()
    try test.drop("done", JobFactory.json(payload: "\"other\""), into: .cur)
    #expect(try repair(test, life) == [])
    #expect(test.states(of: "done") == [.cur, .done])
    #expect(test.text("done", .cur) == JobFactory.json(payload: "\"other\""))
  }

  @Test("repair sweeps what dead writers left in tmp")
  func sweeps() throws {
    let (test, life) = try played()
    try TestSpool.write([], to: "\(test.path)/tmp/.abandoned")
    let tomorrow = WallTime(microseconds: try now().microseconds + 2 * 86_400_000_000)
    #expect(try repair(test, life, now: tomorrow) == ["swept tmp/.abandoned"])
    #expect(test.names(in: .tmp) == [])
  }

  /// Files have the machine's own times.
  private func now() throws -> WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(seconds: Int64(time.tv_sec))
  }
}

@Suite("The check of the audit log") struct AuditCheckTests {
  /// Ten lines over two days.
  private func logged() throws -> TestSpool {
    let test = try TestSpool()
    let audit = try AuditLog(try test.open(), node: "node-a", now: JobFactory.now)
    for index in 0..<10 {
      try audit.append(.submitted, at: JobFactory.later(Int64(index) * 10_000), job: "job-\(index)", type: "demo")
    }
    try audit.commit()
    return test
  }

  private func change(_ test: TestSpool, _ file: Int, _ body: (inout [[UInt8]]) -> Void) throws {
    let name = test.auditFiles[file]
    var lines = test.auditText(name).split(separator: 0x0A).map(Array.init)
    body(&lines)
    try TestSpool.write(lines.flatMap { $0 + [0x0A] }, to: "\(test.path)/log/\(name)")
  }

  private func faults(_ test: TestSpool) throws -> [String] {
    try AuditCheck(test.open()).faults.map { "\($0.isTorn ? "torn " : "")\($0.file.suffix(8).prefix(2)):\($0.line)" }
  }

  @Test("a log that was left alone is whole, and its head is the last line's hash")
  func whole() throws {
    let test = try logged()
    let check = try AuditCheck(test.open())
    #expect(check.faults == [])
    #expect((check.files, check.lines) == (2, 10))
    #expect(check.heads == ["node-a": Digest.sha256(try #require(test.auditLines.last))])
  }

  @Test("a changed line is named, also the last of a day", arguments: [0, 3, 5])
  func changed(index: Int) throws {
    let test = try logged()
    try change(test, 0) { lines in
      let place = lines[index].count - 100
      lines[index][place] = lines[index][place] == 0x61 ? 0x62 : 0x61
    }
    #expect(try faults(test) == ["21:\(index + 1)"])
  }

  @Test("missing, exchanged and doubled lines are found")
  func moved() throws {
    var test = try logged()
    try change(test, 0) { $0.remove(at: 2) }
    #expect(try faults(test) == ["21:3"])
    test = try logged()
    try change(test, 1) { $0.swapAt(0, 1) }
    #expect(try !faults(test).isEmpty)
    test = try logged()
    try change(test, 0) { $0.append($0[$0.count - 1]) }
    #expect(try !faults(test).isEmpty)
  }

  @Test("a line that is no JSON is damage when lines follow, and torn at the end")
  func torn() throws {
    var test = try logged()
    try change(test, 0) { $0[1] = Array("{\"ts\":".utf8) }
    #expect(try faults(test) == ["21:2"])
    test = try logged()
    let name = test.auditFiles[1]
    try TestSpool.write(test.auditText(name) + Array("{\"ts\":\"20".utf8), to: "\(test.path)/log/\(name)")
    #expect(try faults(test) == ["torn 22:5"])
    #expect(try AuditCheck(test.open()).damage == [])
  }

  @Test("days that retention removed are not missed")
  func shortened() throws {
    let test = try logged()
    #expect(unlink("\(test.path)/log/\(test.auditFiles[0])") == 0)
    #expect(try faults(test) == [])
  }
}
