/// Claiming and settling: what is adopted, what is refused, where each end leads, and that nothing outside the spool is
/// read or changed.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@Suite("Claiming")
struct ClaimTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  private func claim(_ id: String, limit: Int = 1 << 20) throws -> Claim? {
    try test.transitions().claim(id, limit: limit)
  }

  private func status(_ path: String) -> stat {
    var status = stat()
    lstat(path, &status)
    return status
  }

  private func code(_ claim: borrowing Claim) -> JobProblem.Code? {
    if case .failure(let problem) = claim.content { problem.code } else { nil }
  }

  @Test("moves the file to cur and reads it")
  func plain() throws {
    try test.drop("a", JobFactory.json(payload: "[1]"))
    let inode = status(test.file("a", .new)).st_ino
    let claim = try won(try claim("a"))
    #expect(test.states(of: "a") == [.cur])
    #expect(status(test.file("a", .cur)).st_ino == inode, "our own file is not copied")
    guard case .success(let job) = claim.content else { throw JobProblem(.badJSON, "refused") }
    #expect(Array(job.payloadBytes) == Array("[1]".utf8))
    #expect(claim.uid == geteuid() && claim.sha256 == Digest.sha256(Array(JobFactory.json(payload: "[1]").utf8)))
  }

  @Test("answers nil when the file is gone, or the name is taken in cur")
  func lost() throws {
    let gone = try claim("a") == nil
    #expect(gone)
    try test.drop("a", JobFactory.json())
    try test.drop("a", "{\"type\":\"running\"}", into: .cur)
    let lost = try claim("a") == nil
    #expect(lost)
    #expect(test.text("a", .cur) == "{\"type\":\"running\"}")
    #expect(test.states(of: "a") == [.new, .cur])
  }

  @Test("adopts a file with a second name: what is written through that name later does not matter")
  func secondName() throws {
    try test.drop("a", JobFactory.json())
    try test.linkOutside("a")
    let claim = try won(try claim("a"))
    #expect(status(test.file("a", .cur)).st_nlink == 1)
    let other = "\(test.path)/handlers/second-name-of-a"
    #expect(TestSpool.contents(other) == Array(JobFactory.json().utf8), "the other name is left alone")
    let fd = open(other, O_WRONLY | O_TRUNC)
    close(fd)
    #expect(test.text("a", .cur) == JobFactory.json())
    #expect(code(claim) == nil)
    #expect(test.names(in: .tmp) == [])
  }

  @Test("adopts another user's file and remembers whose it was", .enabled(if: geteuid() == 0, "needs root to chown"))
  func foreign() throws {
    try test.drop("a", JobFactory.json())
    chown(test.file("a", .new), 12345, 12345)
    chmod(test.file("a", .new), 0o600)
    let stillOpen = open(test.file("a", .new), O_WRONLY)
    defer { close(stillOpen) }
    let claim = try won(try claim("a"))
    #expect(claim.uid == 12345)
    #expect(status(test.file("a", .cur)).st_uid == geteuid())
    write(stillOpen, "XXXX", 4)
    #expect(test.text("a", .cur) == JobFactory.json())
  }

  @Test("syncs the copy before it takes the original's place")
  func adoptionOrder() throws {
    try test.drop("a", JobFactory.json())
    try test.linkOutside("a")
    let syscalls = InterruptedSyscalls()
    let transitions = try test.transitions(syscalls)
    let before = syscalls.calls.count
    _ = try transitions.claim("a", limit: 1 << 20)
    let calls = syscalls.calls.dropFirst(before).filter { !$0.hasPrefix("unlink") }
    #expect(
      calls == [
        "rename new/a.json cur/a.json", "create cur/.adopt.a", "write cur/.adopt.a", "syncdata cur/.adopt.a",
        "rename over cur/.adopt.a cur/a.json",
      ])
  }

  @Test("refuses a symbolic link without following it, and moves the link itself")
  func symbolicLink() throws {
    let outside = "\(test.path)/handlers/outside"
    try TestSpool.write(Array(JobFactory.json().utf8), to: outside)
    symlink(outside, test.file("a", .new))
    let life = try Life(test)
    let claim = try won(try life.transitions.claim("a", limit: 1 << 20))
    #expect(code(claim) == .specialFile)
    var record = life.taken(claim)
    Life.finish(&record, .reject)
    try life.settle(Settlement(claim, .reject, record))
    #expect(TestSpool.contents(outside) == Array(JobFactory.json().utf8))
    #expect(status("\(test.path)/dead/a.bad").st_mode & S_IFMT == S_IFLNK)
    #expect(try test.record(of: "a", .dead)?.outcome == .rejected)
  }

  @Test("refuses a pipe, a socket's kind and a device without opening them", arguments: [S_IFIFO, S_IFCHR, S_IFSOCK])
  func special(_ kind: mode_t) throws {
    // 1:7 is /dev/full; only root may make one.
    let made = mknod(test.file("a", .new), kind | 0o644, kind == S_IFCHR ? 0x107 : 0)
    guard made == 0 else {
      #expect(geteuid() != 0, "mknod failed: \(Errno.current.message)")
      return
    }
    let claim = try won(try claim("a"))
    #expect(code(claim) == .specialFile)
  }

  @Test(
    "puts a job back when it cannot be adopted, for nobody would look for it in cur",
    arguments: ["create cur/.adopt.a", "write cur/.adopt.a", "syncdata cur/.adopt.a"])
  func adoptionFails(_ call: String) throws {
    try test.drop("a", JobFactory.json())
    try test.linkOutside("a")
    let transitions = try test.transitions(
      InterruptedSyscalls(failure: { _, made in made == call ? Errno(ENOSPC) : nil }))
    let error = #expect(throws: SpoolError.self) { _ = try transitions.claim("a", limit: 1 << 20) }
    #expect(error?.code == .noSpace)
    #expect(test.states(of: "a") == [.new])
    #expect(test.names(in: .cur) == [])
  }

  @Test("lets many copies share one sync, each beside its original until then")
  func sharedSync() throws {
    let syscalls = InterruptedSyscalls()
    let transitions = try test.transitions(syscalls)
    var settlements: [Settlement] = []
    for id in ["a", "b", "c", "d", "e"] {
      try test.drop(id, JobFactory.json())
      try test.linkOutside(id)
      let claim = try won(try transitions.claim(id, limit: 1 << 20, sharesSync: true))
      let record = JobRecord.taken(from: claim, submitter: nil, node: "n")
      settlements.append(Settlement(claim, .release, record))
    }
    #expect(test.names(in: .cur).count == 10)
    #expect(status(test.file("a", .cur)).st_nlink == 2)
    let before = syscalls.calls.count
    try transitions.complete(settlements.compactMap(\.adoption))
    let calls = syscalls.calls.dropFirst(before)
    #expect(calls.first == "syncfs cur/.adopt.a")
    #expect(calls.count == 6)
    #expect(settlements.allSatisfy { $0.adoption == nil })
    #expect(test.names(in: .cur).allSatisfy { status("\(test.path)/cur/\($0)").st_nlink == 1 })
    #expect(test.names(in: .cur) == ["a.json", "b.json", "c.json", "d.json", "e.json"])
  }

  @Test("gives the original back when its copy is not in its place yet")
  func givenBack() throws {
    try test.drop("a", JobFactory.json())
    try test.linkOutside("a")
    let inode = status(test.file("a", .new)).st_ino
    let transitions = try test.transitions()
    let claim = try won(try transitions.claim("a", limit: 1 << 20, sharesSync: true))
    let done = try transitions.unclaim(claim)
    #expect(done)
    #expect(status(test.file("a", .new)).st_ino == inode)
    #expect(test.names(in: .cur) == [])
  }

  @Test("keeps the copy while the original cannot go back, because its place was taken")
  func placeTaken() throws {
    try test.drop("a", JobFactory.json(type: "demo"))
    try test.linkOutside("a")
    let life = try Life(test)
    let claim = try won(try life.transitions.claim("a", limit: 1 << 20, sharesSync: true))
    try test.drop("a", JobFactory.json(type: "other"))
    let isBack = try life.transitions.unclaim(claim)
    #expect(!isBack && Set(test.names(in: .cur)) == ["a.json", ".adopt.a"])
    unlink(test.file("a", .new))
    var record = life.taken(claim)
    record.state = .new
    try life.settle(Settlement(claim, .release, record))
    #expect(test.states(of: "a") == [.new] && test.names(in: .cur) == [])
  }

  @Test("writes a copy anew after a sync that failed, for nobody knows what is left of it")
  func doubtful() throws {
    try test.drop("a", JobFactory.json())
    try test.linkOutside("a")
    let failing = Mutex(true)
    let syscalls = InterruptedSyscalls(failure: { _, call in
      call == "syncdata cur/.adopt.a" && failing.withLock { $0 } ? Errno(EIO) : nil
    })
    let life = try Life(test, syscalls)
    let claim = try won(try life.transitions.claim("a", limit: 1 << 20, sharesSync: true))
    var record = life.taken(claim)
    Life.finish(&record, .cancel)
    let settlement = Settlement(claim, .cancel, record)
    #expect(throws: SpoolError.self) { try life.settle(settlement) }
    failing.withLock { $0 = false }
    let before = syscalls.calls.count
    try life.settle(settlement)
    #expect(syscalls.calls.dropFirst(before).prefix(2) == ["write cur/.adopt.a", "syncdata cur/.adopt.a"])
    #expect(test.states(of: "a") == [.dead])
  }

  @Test("puts a directory back and leaves it alone")
  func directory() throws {
    mkdir(test.file("a", .new), 0o755)
    try TestSpool.write([1], to: test.file("a", .new) + "/inside")
    let isNil = try claim("a") == nil
    #expect(isNil)
    #expect(TestSpool.contents(test.file("a", .new) + "/inside") == [1])
    #expect(test.names(in: .cur) == [])
  }

  @Test("puts a directory with the name of a finished job back under that name")
  func directoryTwin() throws {
    try test.drop("a", JobFactory.json(), into: .done)
    mkdir(test.file("a", .new), 0o755)
    let isNil = try test.transitions().claimTwin("a", at: JobFactory.now, limit: 1 << 20) == nil
    #expect(isNil)
    #expect(test.names(in: .new) == ["a.json"])
    #expect(test.names(in: .cur) == [])
  }

  @Test("refuses what is larger than max_job_bytes", arguments: [0, 1])
  func tooLarge(_ over: Int) throws {
    let json = JobFactory.json()
    try test.drop("a", json)
    let claim = try won(try claim("a", limit: json.utf8.count - over))
    #expect(code(claim) == (over == 0 ? nil : .tooLarge))
  }

  @Test("refuses an empty file, and one that says another id")
  func otherFaults() throws {
    try test.drop("a", "")
    #expect(code(try won(try claim("a"))) == .empty)
    try test.drop("b", "{\"type\":\"demo\",\"id\":\"c\"}")
    #expect(code(try won(try claim("b"))) == .wrongID)
  }

  @Test("can be taken back as if nothing had been")
  func unclaim() throws {
    try test.drop("a", JobFactory.json())
    let transitions = try test.transitions()
    let claim = try won(try transitions.claim("a", limit: 1 << 20))
    try test.drop("a", "{\"type\":\"twin\"}")
    let refused = try transitions.unclaim(claim)
    #expect(!refused, "its place was taken")
    #expect(test.text("a", .cur) == JobFactory.json())
    unlink(test.file("a", .new))
    let done = try transitions.unclaim(claim)
    #expect(done)
    #expect(test.text("a", .new) == JobFactory.json())
  }
}

@Suite("Settling")
struct SettlingTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  @Test(
    "leads where the transition says, with the record in the file and in the log",
    arguments: [Transition.finish, .bury, .expire, .cancel, .reject, .retry, .release])
  func ends(_ transition: Transition) throws {
    try test.drop("a", JobFactory.json())
    try Life(test).run("a", transition)
    let state = try #require(transition.to)
    #expect(test.states(of: "a") == [state])
    let job = try test.job("a", state)
    #expect(job.record?.state == state)
    #expect(job.original == Array(JobFactory.json().utf8))
    let line = try #require(try test.audit().last)
    #expect(line["event"]?.string == transition.event?.rawValue)
    #expect(line["from"]?.string == "cur" && line["to"]?.string == state.rawValue)
    #expect(line["record"]?.bytes == job.recordBytes)
    #expect(test.auditFaults() == [])
  }

  @Test("writes, notes, syncs the log, and only then renames")
  func order() throws {
    try test.drop("a", JobFactory.json())
    let syscalls = InterruptedSyscalls()
    let life = try Life(test, syscalls)
    let before = syscalls.calls.count
    try life.run("a", .bury)
    let log = "log/audit-node-a-2026-11-21.jsonl"
    #expect(
      Array(syscalls.calls.dropFirst(before)) == [
        "rename new/a.json cur/a.json", "append \(log)", "write cur/a.json", "append \(log)", "syncdata \(log)",
        "rename over cur/a.json dead/a.json",
      ])
  }

  @Test(
    "gives the same file after any number of runs and requeues, whatever its spacing",
    arguments: [
      "{\"type\":\"demo\"}", "{ \"type\" : \"demo\" }\n", "{\"type\":\"demo\" , \"tags\":[ ] }\n\n",
      "\n{\n\t\"type\": \"demo\"\n}\r\n", "{\"type\":\"demo\",\"payload\":\"}\"}  ",
    ])
  func repeated(_ json: String) throws {
    try test.drop("a", json)
    for round in 1...4 {
      let life = try Life(test)
      try life.run("a", .retry)
      try life.run("a", .finish, result: String(repeating: "7", count: 50 / round))
      #expect(try test.job("a", .done).original == Array(json.utf8))
      #expect(try test.record(of: "a", .done)?.attempts.count == 2 * round)
      #expect(try test.record(of: "a", .done)?.attempt == 2)
      try life.transitions.requeue("a", from: .done, type: "demo", at: life.now, by: "anna")
      try life.transitions.audit.commit()
    }
    #expect(test.auditFaults() == [])
  }

  @Test("waits for a twin in new to be moved away before a retry goes back")
  func placeTaken() throws {
    try test.drop("a", JobFactory.json())
    let life = try Life(test)
    let claim = try life.begin("a")
    var record = life.taken(claim)
    record.add(JobFactory.attempt(1, .failed))
    Life.finish(&record, .retry)
    try test.drop("a", "{\"type\":\"twin\"}")
    let settlement = Settlement(claim, .retry, record)
    let first = try life.settle(settlement)
    #expect(!first)
    #expect(test.text("a", .new) == "{\"type\":\"twin\"}")
    try life.settleTwin(of: "a", first: record.sha256)
    let second = try life.transitions.publish(settlement)
    #expect(second)
    #expect(try test.record(of: "a", .new)?.attempt == 1)
    let refused = try #require(test.names(in: .dead).first)
    #expect(try test.record(of: String(refused.dropLast(5)), .dead)?.twinOf == "a")
  }

  @Test(
    "repeats each step after a full disk without doing it twice",
    arguments: ["write", "append", "rename over"])
  func fullDisk(_ call: String) throws {
    try test.drop("a", JobFactory.json())
    let fill = InterruptedSyscalls(failure: { number, made in
      made.hasPrefix(call) && number < 9 && number > 4 ? .noSpace : nil
    })
    let life = try Life(test, fill)
    let claim = try life.begin("a")
    var record = life.taken(claim)
    record.add(JobFactory.attempt(1, .failed))
    Life.finish(&record, .bury)
    let settlement = Settlement(claim, .bury, record)
    var refusals = 0
    while test.states(of: "a") != [.dead] {
      do { try life.settle(settlement) } catch {
        #expect((error as? SpoolError)?.code == .noSpace)
        refusals += 1
        try #require(refusals < 20)
      }
    }
    #expect(refusals > 0)
    #expect(try test.events(of: "a") == ["claimed", "buried"])
    #expect(try test.job("a", .dead).original == Array(JobFactory.json().utf8))
    #expect(test.auditFaults() == [])
  }

  @Test("moves a refused file whole beside its record")
  func refused() throws {
    let bytes: [UInt8] = [0xFF, 0xFE, 0x7B, 0x00]
    try test.drop("a", bytes: bytes)
    try Life(test).judge("a", .reject)
    #expect(TestSpool.contents("\(test.path)/dead/a.bad") == bytes)
    let job = try test.job("a", .dead)
    #expect(job.isBare && job.record?.error?.code == "bad_json")
    #expect(test.names(in: .tmp) == [])
  }

  @Test("moves a file whole whose record is none")
  func forged() throws {
    try test.drop("a", "{\"type\":\"demo\",\"jobspool\":{\"id\":7}}")
    try Life(test).judge("a", .reject)
    #expect(test.names(in: .dead) == ["a.bad", "a.json"])
    #expect(try test.record(of: "a", .dead)?.error?.code == "forged_record")
  }

  @Test("purges a job with all that belongs to it, after its line is durable")
  func purge() throws {
    try test.drop("a", "no JSON")
    let syscalls = InterruptedSyscalls()
    let life = try Life(test, syscalls)
    try life.judge("a", .reject)
    try TestSpool.write([1], to: "\(test.path)/log/jobs/a.log")
    let before = syscalls.calls.count
    try life.transitions.purge("a", from: .dead, type: nil, at: life.now, by: "anna", reason: "removed")
    #expect(test.names(in: .dead) == [] && TestSpool.names("\(test.path)/log/jobs") == [])
    let calls = Array(syscalls.calls.dropFirst(before))
    #expect(calls.first?.hasPrefix("append log/") == true)
    #expect(calls.dropFirst().allSatisfy { $0.hasPrefix("unlink") || $0.hasPrefix("syncdata") })
    #expect(try test.audit().last?["event"]?.string == "purged")
  }

  @Test("an operator's move says why it cannot be made")
  func operatorMoves() throws {
    try test.drop("a", JobFactory.json())
    let life = try Life(test)
    let missing = #expect(throws: SpoolError.self) {
      try life.transitions.requeue("a", from: .dead, type: nil, at: life.now, by: "anna")
    }
    #expect(missing?.code == .noSuchJob)
    try life.transitions.hold("a", type: nil, at: life.now, by: "anna")
    try test.drop("a", JobFactory.json())
    let taken = #expect(throws: SpoolError.self) {
      try life.transitions.unhold("a", type: nil, at: life.now, by: "anna")
    }
    #expect(taken?.code == .exists)
    #expect(test.states(of: "a") == [.new, .hold])
  }
}
