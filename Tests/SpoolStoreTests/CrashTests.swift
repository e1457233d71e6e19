/// Every crash of the crash table: each scenario is run once to count its calls, then again and again, cut before its first
/// call, its second …, in three ways: the program dies; it dies in the middle of a write; the machine loses power and
/// with it what was not synced of the audit log. Each time a new life recovers and the promises are checked. Then the
/// recovery itself is cut after each of its calls, and a third life must come to the same.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("A crash at any instant")
struct CrashTests {
  enum Death: String, CaseIterable, Sendable { case clean, torn, power }

  struct Scenario: Sendable, CustomTestStringConvertible {
    let name: String
    /// What lies in the spool before: nothing here is cut.
    var given: @Sendable (TestSpool) throws -> Void = { _ in }
    /// What is cut; calls `accepted` once the job may not be lost any more.
    let story: @Sendable (TestSpool, any SpoolSyscalls, _ accepted: () -> Void) throws -> Void
    /// The ids that must each be in one place at the end, with what their producer wrote.
    var ids: [String: String] = ["job": CrashTests.job]
    /// What must hold besides.
    var also: @Sendable (TestSpool) throws -> [String] = { _ in [] }
    var countsAttempts = true
    var testDescription: String { name }
  }

  /// No newline at the end, odd spaces: what comes back must be the same bytes.
  static let job = "{\"type\":\"demo\" , \"payload\" : {\"a\": [1,2]} }"
  static let six = ["job", "job-2", "job-3", "job-4", "job-5", "job-6"]
  static let large = "\"" + String(repeating: "x", count: 6000) + "\""

  static let scenarios: [Scenario] = [
    Scenario(name: "submit, claim, finish") { test, syscalls, accepted in
      let life = try Life(test, syscalls)
      try life.submit("job", job)
      accepted()
      try life.run("job", .finish, result: "{\"ok\":true,\"ok\":false}")
    },
    Scenario(name: "a second name, adopted before its line is written") { test in
      try test.drop("job", job)
      guard link(test.file("job", .new), "\(test.path)/tmp/kept") == 0 else { throw Errno.current }
    } story: { test, syscalls, accepted in
      let life = try Life(test, syscalls)
      accepted()
      guard let claim = try life.transitions.claim("job", limit: 1 << 20) else { throw Life.NothingClaimed() }
      try life.transitions.noteClaim(claim, type: "demo", attempt: 1, at: life.now)
      try life.transitions.audit.flush()
      var record = life.taken(claim)
      record.add(JobFactory.attempt(1, .done))
      Life.finish(&record, .finish)
      _ = try life.settle(Settlement(claim, .finish, record))
    },
    Scenario(
      name: "six with second names, adopted with one sync",
      given: { test in
        for id in six {
          try test.drop(id, job)
          try test.linkOutside(id)
        }
      },
      story: { test, syscalls, accepted in
        accepted()
        let life = try Life(test, syscalls)
        try life.runTogether(six)
      },
      ids: Dictionary(uniqueKeysWithValues: six.map { ($0, job) })),
    Scenario(name: "a result too large for the log") { test, syscalls, accepted in
      let life = try Life(test, syscalls)
      try life.submit("job", job)
      accepted()
      try life.run("job", .finish, result: large)
    },
    Scenario(name: "retry and a second run") { test, syscalls, accepted in
      let life = try Life(test, syscalls)
      try life.submit("job", job)
      accepted()
      try life.run("job", .retry)
      try life.run("job", .finish, result: "1")
    },
    Scenario(name: "released by a shutdown, then buried") { test, syscalls, accepted in
      let life = try Life(test, syscalls)
      try life.submit("job", job)
      accepted()
      try life.run("job", .release)
      try life.run("job", .bury)
    } also: { test in
      // A run that was handed back does not count.
      let events = try test.events(of: "job")
      let counted = events.filter { $0 == "claimed" }.count - events.filter { $0 == "released" }.count
      guard let state = test.states(of: "job").first else { return [] }
      let attempts = try test.record(of: "job", state)?.attempts.count ?? 0
      return attempts == counted ? [] : ["\(attempts) attempts, \(events)"]
    },
    Scenario(
      name: "a second name, so adopted",
      given: { test in
        try test.drop("job", job)
        try test.linkOutside("job")
      },
      story: { test, syscalls, accepted in
        accepted()
        let life = try Life(test, syscalls)
        try life.run("job", .finish)
      }),
    Scenario(
      name: "not even JSON",
      given: { try $0.drop("job", "{\"type\":\"demo\",}") },
      story: { test, syscalls, accepted in
        accepted()
        try Life(test, syscalls).judge("job", .reject)
      },
      ids: [:],
      also: { test in
        // It waits as it was, or lies refused with its bytes beside the record.
        switch test.states(of: "job") {
        case [.new]: test.text("job", .new) == "{\"type\":\"demo\",}" ? [] : ["changed in new"]
        case [.dead]:
          TestSpool.contents("\(test.path)/dead/job.bad") == Array("{\"type\":\"demo\",}".utf8)
            ? [] : ["its bytes are gone"]
        case let states: ["in \(states)"]
        }
      }),
    Scenario(
      name: "a job in the place of a dead one",
      given: { test in
        let life = try Life(test)
        try test.drop("job", "{\"type\":\"demo\",\"payload\":1}")
        try life.run("job", .bury)
        try test.drop("job", "{\"type\":\"demo\",\"payload\":2}")
      },
      story: { test, syscalls, accepted in
        accepted()
        try Life(test, syscalls).run("job", .finish)
      },
      ids: [:],
      also: { test in
        // The second one waits or is done; it never goes to dead/ under the first one's record.
        let found = test.states(of: "job").filter { $0 != .dead }
        guard found.count == 1, let state = found.first else { return ["in \(test.states(of: "job"))"] }
        let payload = String(decoding: try test.job("job", state).payloadBytes, as: UTF8.self)
        return payload == "2" ? [] : ["the payload is \(payload)"]
      }, countsAttempts: false),
    Scenario(
      name: "a twin of a finished job, refused",
      given: { test in
        try test.drop("job", job)
        try Life(test).run("job", .finish)
        try test.drop("job", "{\"id\":\"job\",\"type\":\"other\"}")
      },
      story: { test, syscalls, accepted in
        accepted()
        try Life(test, syscalls).settleTwin(of: "job", first: "another")
      },
      ids: [:],
      also: { test in
        var faults: [String] = []
        if try test.record(of: "job", .done)?.outcome != .done { faults.append("the first one is not done") }
        let waiting = test.text("job", .new).map { [$0] } ?? []
        let refused = test.names(in: .dead).compactMap { TestSpool.contents("\(test.path)/dead/\($0)") }
          .compactMap { try? JobScanner.scan($0) }
        if waiting.count + refused.count != 1 { faults.append("waiting \(waiting), refused \(refused.count)") }
        if let twin = refused.first, twin.record?.outcome != .duplicate || twin.type != "other" {
          faults.append("refused as \(twin)")
        }
        return faults
      }, countsAttempts: false),
    Scenario(
      name: "the same file once more, discarded",
      given: { test in
        try test.drop("job", job)
        try Life(test).run("job", .finish)
        try test.drop("job", job)
      },
      story: { test, syscalls, accepted in
        accepted()
        let life = try Life(test, syscalls)
        try life.settleTwin(of: "job", first: try life.transitions.droppedHash("job", in: .done, limit: 1 << 20))
      },
      ids: [:],
      also: { test in
        var faults: [String] = []
        if try test.record(of: "job", .done)?.outcome != .done { faults.append("the first one is not done") }
        if !test.names(in: .dead).isEmpty { faults.append("dead holds \(test.names(in: .dead))") }
        return faults
      }, countsAttempts: false),
  ]

  @Test("loses no job and repeats no end", arguments: scenarios, Death.allCases)
  func everyCall(_ scenario: Scenario, _ death: Death) throws {
    let calls = try CrashTests.calls(of: scenario)
    #expect(calls.count > 3)
    for cut in 1...calls.count + 1 {
      let (test, isAccepted, note) = try CrashTests.die(scenario, death, at: cut, of: calls)
      try Life.recover(test)
      try CrashTests.check(test, scenario, isAccepted: isAccepted, note)
      let before = CrashTests.picture(test)
      let again = try Life.recover(test, at: JobFactory.later(90))
      #expect(again.isEmpty, "a second recovery found \(again); \(note)")
      #expect(CrashTests.picture(test) == before, "a second recovery changed something; \(note)")
    }
  }

  @Test("and neither does one during the recovery from it", arguments: scenarios, [Death.clean, .torn, .power])
  func everyCallOfRecovery(_ scenario: Scenario, _ death: Death) throws {
    let calls = try CrashTests.calls(of: scenario)
    for cut in 1...calls.count + 1 {
      var second = 1
      while true {
        let (test, isAccepted, note) = try CrashTests.die(scenario, death, at: cut, of: calls)
        let syscalls = InterruptedSyscalls(cutAt: second, tearing: death == .torn)
        do { try Life.recover(test, syscalls) } catch let error as SpoolError {
          guard error.errno == InterruptedSyscalls.crash else { throw error }
        }
        guard syscalls.isDead else { break }
        if death == .power { syscalls.losePower(test) }
        try Life.recover(test, at: JobFactory.later(120))
        try CrashTests.check(
          test, scenario, isAccepted: isAccepted, "\(note); recovery cut before \(syscalls.calls.last ?? "?")")
        second += 1
      }
    }
  }

  // MARK: Staging

  private static func calls(of scenario: Scenario) throws -> [String] {
    let test = try TestSpool()
    try scenario.given(test)
    let counter = InterruptedSyscalls()
    try scenario.story(test, counter) {}
    return counter.calls
  }

  private static func die(
    _ scenario: Scenario, _ death: Death, at cut: Int, of calls: [String]
  ) throws -> (TestSpool, isAccepted: Bool, note: String) {
    let test = try TestSpool()
    try scenario.given(test)
    let syscalls = InterruptedSyscalls(cutAt: cut, tearing: death == .torn)
    var isAccepted = false
    do { try scenario.story(test, syscalls) { isAccepted = true } } catch let error as SpoolError {
      guard error.errno == InterruptedSyscalls.crash else { throw error }
    } catch let error as Errno {
      guard error == InterruptedSyscalls.crash else { throw error }
    }
    if death == .power { syscalls.losePower(test) }
    let call = cut <= calls.count ? calls[cut - 1] : "nothing"
    return (test, isAccepted, "\(scenario.name), \(death), cut before call \(cut): \(call)")
  }

  // MARK: Checking

  private static func check(_ test: TestSpool, _ scenario: Scenario, isAccepted: Bool, _ note: String) throws {
    #expect(test.auditFaults() == [], "\(note)")
    #expect(test.names(in: .cur) == [], "something stays in cur; \(note)")
    for (id, original) in scenario.ids {
      let states = test.states(of: id)
      if states.isEmpty, !isAccepted { continue }
      #expect(states.count == 1, "\(id) is in \(states); \(note)")
      guard let state = states.first else { continue }
      let job = try test.job(id, state)
      #expect(String(decoding: job.original, as: UTF8.self) == original, "the producer's bytes; \(note)")
      let events = try test.events(of: id)
      let ends = events.count { $0 == "finished" || $0 == "buried" }
      #expect(ends == (state == .new ? 0 : 1), "\(events); \(note)")
      if let record = job.record {
        #expect(record.state == state && record.id == id, "\(record); \(note)")
        #expect(record.sha256 == Digest.sha256(Array(original.utf8)), "\(note)")
      }
      if scenario.countsAttempts {
        let begun = events.filter { $0 == "claimed" }.count - events.filter { $0 == "released" }.count
        #expect((job.record?.attempts.count ?? 0) == begun, "attempts against \(events); \(note)")
      }
    }
    #expect(try scenario.also(test) == [], "\(note)")
  }

  /// Every file of the states with its contents, and the log.
  private static func picture(_ test: TestSpool) -> [String: [UInt8]] {
    var picture: [String: [UInt8]] = ["log": Array(test.auditLines.joined())]
    for folder in [Spool.Folder.new, .cur, .done, .dead, .hold] {
      for name in test.names(in: folder) {
        picture["\(folder.rawValue)/\(name)"] = TestSpool.contents("\(test.path)/\(folder.rawValue)/\(name)") ?? []
      }
    }
    return picture
  }
}
