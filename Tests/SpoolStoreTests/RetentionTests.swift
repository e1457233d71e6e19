/// What retention finds in the log and in the folders, and what it leaves alone.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Retention")
struct RetentionTests {
  let test: TestSpool
  let transitions: Transitions
  let now = JobFactory.now

  init() throws {
    test = try TestSpool()
    transitions = try test.transitions()
  }

  private var spool: Spool { transitions.spool }

  /// A job that ended `seconds` ago: its file, and its line.
  private func end(_ id: String, _ state: JobState = .done, type: String = "t", ago seconds: Int64) throws {
    let time = WallTime(microseconds: now.microseconds - seconds * 1_000_000)
    try test.drop(id, "{\"type\":\"\(type)\"}", into: state)
    try touch(test.file(id, state), time)
    try transitions.audit.append(
      state == .done ? .finished : .buried, at: time, job: id, type: type, from: .cur, to: state)
    try transitions.audit.flush()
  }

  private func touch(_ path: String, _ time: WallTime) throws {
    let moment = timeval(tv_sec: Int(time.wholeSeconds), tv_usec: 0)
    guard utimes(path, [moment, moment]) == 0 else { throw Errno.current }
  }

  private func rules(_ global: (inout Retention) -> Void, _ own: [String: Retention] = [:]) -> RetentionRules {
    var retention = Retention()
    global(&retention)
    return RetentionRules(global: retention, handlers: own)
  }

  /// Runs the sweeps of all ages to their end, in portions.
  private func sweep(_ rules: RetentionRules, limit: Int = 200) throws -> [String] {
    var ids: [String] = []
    for age in rules.ages {
      var sweep = AgeSweep(age: age)
      var goesOn = true
      while goesOn {
        let found = try sweep.next(rules, in: spool, now: now, limit: limit)
        #expect(found.jobs.count <= limit)
        try transitions.purge(found.jobs, at: now)
        ids += found.jobs.map(\.id)
        goesOn = found.goesOn
      }
    }
    return ids
  }

  @Test("an end is found when its age is reached, each type's its own", arguments: [1, 2, 200])
  func byAge(_ limit: Int) throws {
    var short = Retention()
    short.done = .seconds(10)
    for number in 0..<5 { try end("old-\(number)", ago: 200) }
    try end("dead-old", .dead, ago: 200)
    try end("short-old", type: "short", ago: 50)
    try end("young", ago: 50)
    try end("short-young", type: "short", ago: 5)
    let rules = rules({ $0.done = .seconds(100) }, ["short": short])
    #expect(try sweep(rules, limit: limit).sorted() == (0..<5).map { "old-\($0)" } + ["short-old"])
    #expect(test.names(in: .done) == ["short-young.json", "young.json"])
    #expect(test.names(in: .dead) == ["dead-old.json"])
    let purged = try test.audit().filter { $0["event"]?.string == "purged" }
    #expect(purged.count == 6)
    #expect(purged.allSatisfy { $0["reason"]?.string?.hasPrefix("retention: done jobs are kept for") ?? false })
    #expect(test.auditFaults() == [])
  }

  @Test("a job that ended again, or was touched, is kept from then on")
  func laterEnd() throws {
    try end("again", ago: 200)
    try touch(test.file("again", .done), WallTime(microseconds: now.microseconds - 5_000_000))
    #expect(try sweep(rules { $0.done = .seconds(100) }) == [])
    #expect(test.states(of: "again") == [.done])
  }

  @Test("with a job go the bytes it was refused for, and its log")
  func belongings() throws {
    try end("bad", .dead, ago: 200)
    try TestSpool.write([1, 2, 3], to: "\(test.path)/dead/bad.bad")
    try TestSpool.write([4], to: "\(test.path)/log/jobs/bad.log")
    #expect(try sweep(rules { $0.dead = .seconds(100) }) == ["bad"])
    #expect(test.names(in: .dead) == [])
    #expect(TestSpool.names("\(test.path)/log/jobs") == [])
  }

  @Test("of many the newest stay, whatever left in other ways", arguments: [1, 3, 200])
  func byCount(_ limit: Int) throws {
    for number in 0..<10 { try end("j-\(number)", ago: Int64(100 - number)) }
    try end("other", type: "other", ago: 200)
    var bound = Retention()
    bound.doneMax = 4
    let rules = rules({ _ in }, ["t": bound])
    // One was requeued, one purged by an operator, one removed by hand: three of the newest four.
    try transitions.requeue("j-9", from: .done, type: "t", at: now, by: "anna")
    try transitions.purge("j-8", from: .done, type: "t", at: now, by: "anna", reason: "removed by an operator")
    unlink(test.file("j-2", .done))
    var sweep = CountSweep(rules.bounds[0])
    func run() throws {
      for _ in 0..<100 {
        let found = try sweep.next(rules, in: spool, limit: limit)
        #expect(found.jobs.count <= limit)
        try transitions.purge(found.jobs, at: now)
        if !found.goesOn { return }
      }
      Issue.record("the sweep does not end")
    }
    try run()
    #expect(test.names(in: .done) == ["j-4.json", "j-5.json", "j-6.json", "j-7.json", "other.json"])
    // Its own purges, read back, change nothing; new ends do.
    try run()
    #expect(test.names(in: .done).count == 5)
    for number in 10..<13 { try end("j-\(number)", ago: 1) }
    try run()
    #expect(test.names(in: .done) == ["j-10.json", "j-11.json", "j-12.json", "j-7.json", "other.json"])
    // From the beginning, as after a restart without memory.
    sweep = CountSweep(rules.bounds[0])
    try run()
    #expect(test.names(in: .done) == ["j-10.json", "j-11.json", "j-12.json", "j-7.json", "other.json"])
  }

  @Test("what the log does not know is found by a walk, and hold is left alone")
  func walk() throws {
    let old = WallTime(microseconds: now.microseconds - 400 * 86_400_000_000)
    for state in [JobState.done, .dead, .hold] {
      try test.drop("x-\(state.rawValue)", "{\"type\":\"t\"}", into: state)
      try touch(test.file("x-\(state.rawValue)", state), old)
    }
    for number in 0..<50 {
      try test.drop("keep-\(number)", "{\"type\":\"keep\"}", into: .done)
      try touch(test.file("keep-\(number)", .done), old)
    }
    try test.drop("fresh", "{\"type\":\"t\"}", into: .done)
    try TestSpool.write([4], to: "\(test.path)/log/jobs/x.log")
    try touch("\(test.path)/log/jobs/x.log", old)
    var keep = Retention()
    keep.done = .seconds(1000 * 86_400)
    let walk = try FolderWalk(spool, rules({ _ in }, ["keep": keep]), now: now)
    var jobs: [String] = []
    var logs: [String] = []
    while true {
      let found = try walk.next(limit: 7)
      jobs += found.jobs.map(\.id)
      logs += found.logs
      if !found.goesOn { break }
    }
    #expect(jobs.sorted() == ["x-dead", "x-done"])
    #expect(logs == ["x"])
  }

  @Test("a place in the log outlives a restart, but not other rules or a damaged file")
  func state() throws {
    for number in 0..<3 { try end("j-\(number)", ago: 200) }
    let rules = rules { $0.done = .seconds(100) }
    var state = RetentionState(rules, in: spool)
    #expect(state.isNew)
    _ = try state.ages[0].next(rules, in: spool, now: now, limit: 200)
    try state.write(state.json(rules), in: spool)
    let again = RetentionState(rules, in: spool)
    #expect(!again.isNew)
    #expect(again.ages[0].cursor == state.ages[0].cursor)
    let other = RetentionRules(global: Retention(), handlers: [:])
    #expect(RetentionState(other, in: spool).ages.allSatisfy { $0.cursor == LogCursor() })
    try TestSpool.write(Array("{".utf8), to: "\(test.path)/log/retention.json")
    #expect(RetentionState(rules, in: spool).isNew)
  }

  @Test("a log whose oldest files retention removed verifies, and says so")
  func retired() throws {
    for day in 0..<3 {
      let time = WallTime(microseconds: now.microseconds + Int64(day) * 86_400_000_000)
      for number in 0..<3 { try transitions.audit.append(.submitted, at: time, job: "\(day)-\(number)", to: .new) }
    }
    try transitions.audit.flush()
    let files = try AuditFile.list(spool)
    try transitions.audit.retire(files[0], at: now)
    try transitions.audit.retire(files[2], at: now)
    #expect(try AuditFile.list(spool) == [files[1], files[2]])
    let check = try AuditCheck(spool)
    #expect(check.damage == [])
    #expect(check.retired == ["node-a": 4])
    #expect(check.unexplained.isEmpty)
    // Taken away by somebody else: it still verifies, but nothing explains it.
    unlink("\(test.path)/log/\(files[1].name)")
    let other = try AuditCheck(spool)
    #expect(other.damage == [])
    #expect(other.unexplained == ["node-a": 7])
  }

  @Test("a day counted twice gives the same, and a record cannot pretend to be a line's own field")
  func rollups() throws {
    for number in 0..<100 {
      try transitions.audit.append(.submitted, at: now, job: "j-\(number)", type: "t", to: .new)
      try transitions.audit.append(.claimed, at: now, job: "j-\(number)", type: "t", attempt: 1) { writer in
        writer.key("wait_us")
        writer.int(number * 1000)
      }
      try transitions.audit.append(.finished, at: now, job: "j-\(number)", type: "t", attempt: 1) { writer in
        if number % 2 == 0 {
          writer.key("run_us")
          writer.int(5000)
          writer.key("sla")
          writer.string(number % 4 == 0 ? "kept" : "missed")
        }
        writer.key("record")
        writer.raw("{\"result\":{\"a\":1,\"run_us\":77,\"sla\":\"kept\"}}".utf8)
      }
    }
    try transitions.audit.append(.rejected, at: now, job: "r", type: "t", to: .dead) { writer in
      writer.key("record")
      let error = "{\"code\":\"rate_limited\",\"message\":\"more than 5\"}"
      writer.raw("{\"outcome\":\"rate_limited\",\"error\":\(error)}".utf8)
    }
    try transitions.audit.flush()
    let file = try #require(try AuditFile.list(spool).first)
    func count(_ bytes: Int) throws -> Rollup {
      var count = RollupCount()
      var reader = LogFileReader(file.name)
      var stop = LogFileReader.Stop.more
      while stop == .more {
        stop = try reader.slice(in: spool, bytes: bytes) { line in
          count.take(line)
          return true
        }
      }
      return count.rollup
    }
    let rollup = try count(1 << 18)
    #expect(try count(64) == rollup)
    let numbers = try #require(rollup.types["t"])
    #expect((numbers.submitted, numbers.started, numbers.done, numbers.run.count) == (100, 100, 100, 50))
    #expect((numbers.slaKept, numbers.slaMissed) == (25, 25))
    #expect(numbers.wait.mean == .microseconds(49_500))
    #expect(numbers.ends[.rateLimited] == 1)
    #expect(rollup.errorsByCount.first?.kind.message == "more than N")
    let saved = RollupFile(file)
    #expect(try RollupFile.missing(spool, before: "9999-12-31") == [saved])
    try saved.write(rollup, in: spool)
    #expect(saved.read(spool) == rollup)
    #expect(try RollupFile.missing(spool, before: "9999-12-31") == [])
  }
}
