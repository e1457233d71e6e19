/// What a clock that is set, a delay that is interrupted and a storm of notices do to a queue: an engine on a real spool,
/// by a clock that the test moves.
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@testable import JobEngine

@Suite("The clock, and waits") struct ClockTests {
  let spool: TestSpool
  let clock = ManualClock("2020-03-21T10:00:00Z")

  init() throws { spool = try TestSpool() }

  private func bench(
    _ change: (inout HandlerSettings) -> Void = { _ in }, daemon: (inout DaemonSettings) -> Void = { _ in }
  ) throws -> EngineBench {
    let bench = try EngineBench(spool, clock, [])
    var settings = bench.settings
    var handler = HandlerSettings(type: "t", file: "t.toml", command: ["true"])
    handler.concurrency = 10
    change(&handler)
    settings.handlers = [Notice.type: HandlerSettings(type: Notice.type, file: "", command: ["true"])]
    for type in ["t"] + ClockTests.others {
      settings.handlers[type] = handler
      settings.handlers[type]?.type = type
    }
    daemon(&settings.daemon)
    bench.engine.apply(settings)
    try bench.turn()
    return bench
  }

  /// Types like `t`, for a test that fails more jobs than one type may before it rests.
  private static let others = ["u", "v", "w", "x", "y"]

  private func drop(_ bench: EngineBench, _ id: String, _ more: String = "", type: String = "t") throws {
    try spool.drop(id, "{\"type\":\"\(type)\"\(more)}")
    bench.engine.arrived("\(id).json", in: "new")
    try bench.turn()
  }

  private func ask(_ bench: EngineBench, _ text: String) throws {
    try bench.control("ask.json", text)
    #expect(try bench.turn { TestSpool.exists("\(spool.path)/ctl/ask.reply") })
    try bench.control("ask.reply", nil)
  }

  @Test("a retry due in a minute comes a minute after the clock was set back by a day")
  func retry() throws {
    let bench = try bench { $0.retry = RetryPolicy(delays: [.seconds(60)]) }
    try drop(bench, "j")
    #expect(try bench.end("j", exit: 75))
    try bench.at("2020-03-21T10:00:30Z")
    #expect(bench.runner.started == ["j"])
    try bench.at("2020-03-20T10:00:30Z")
    try bench.at("2020-03-20T10:01:29Z")
    #expect(bench.runner.started == ["j"])
    try bench.at("2020-03-20T10:01:31Z")
    #expect(bench.runner.started == ["j", "j"])
  }

  @Test("also when the clock was set back while no daemon ran")
  func retryOverRestart() throws {
    var handler: (inout HandlerSettings) -> Void { { $0.retry = RetryPolicy(delays: [.seconds(60)]) } }
    let first = try bench(handler)
    try drop(first, "j")
    #expect(try first.end("j", exit: 75))
    clock.set("2020-03-20T10:00:00Z")
    let second = try bench(handler)
    try second.at("2020-03-20T10:00:59Z")
    #expect(second.runner.started == [])
    try second.at("2020-03-20T10:01:01Z")
    #expect(second.runner.started == ["j"])
  }

  @Test("a delay goes by the clock that was set back, a run_at by the calendar")
  func delay() throws {
    let bench = try bench()
    try drop(bench, "delayed", ",\"delay\":\"60s\"")
    try drop(bench, "named", ",\"run_at\":\"2020-03-21T10:01:00Z\"")
    try bench.at("2020-03-20T10:00:00Z")
    try bench.at("2020-03-20T10:01:01Z")
    #expect(bench.runner.started == ["delayed"])
    try bench.at("2020-03-21T10:01:01Z")
    #expect(bench.runner.started == ["delayed", "named"])
  }

  @Test("a rate, and a type that rests, wait no longer for a clock that was set back")
  func limits() throws {
    let bench = try bench {
      $0.rate = .init(rate: Rate(limit: 2, per: .seconds(60)))
      $0.retry.maxAttempts = 1
    }
    for id in ["a", "b", "c"] { try drop(bench, id) }
    #expect(bench.runner.started.sorted() == ["a", "b"])
    try bench.at("2020-03-20T10:00:00Z")
    #expect(bench.runner.started.count == 2)
    try bench.at("2020-03-20T10:01:01Z")
    #expect(bench.runner.started.count == 3)
    // And the window that is read back from the log: two more started just now.
    try drop(bench, "d")
    #expect(bench.runner.started.count == 4)
    clock.set("2020-03-19T10:00:00Z")
    let next = try self.bench { $0.rate = .init(rate: Rate(limit: 2, per: .seconds(60))) }
    try drop(next, "e")
    try next.at("2020-03-19T10:00:59Z")
    #expect(!next.runner.started.contains("e"))
    try next.at("2020-03-19T10:01:01Z")
    #expect(next.runner.started.contains("e"))
  }

  @Test("a clock set forward by a day starts what became due in order, within its limits, each once")
  func forward() throws {
    let bench = try bench {
      $0.concurrency = 3
      $0.retry = RetryPolicy(delays: [.seconds(3600)])
    }
    for n in 0..<20 { try drop(bench, "j\(n)", ",\"delay\":\"\(n + 1)h\"") }
    try bench.at("2020-03-22T12:00:00Z")
    #expect(bench.runner.started == ["j0", "j1", "j2"])
    for n in 0..<20 {
      #expect(try bench.end("j\(n)"))
      #expect(try bench.turn { bench.runner.started.count == min(20, n + 4) })
    }
    #expect(bench.runner.started == (0..<20).map { "j\($0)" })
  }

  @Test("hold and release, mv to hold and back, and an edit: a delay goes on counting from when it began")
  func interrupted() throws {
    let bench = try bench()
    for id in ["asked", "moved", "edited", "free"] { try drop(bench, id, ",\"delay\":\"60s\"") }
    try bench.at("2020-03-21T10:00:30Z")
    try ask(bench, "{\"do\":\"hold\",\"jobs\":[\"asked\"]}")
    try spool.move(spool.file("moved", .new), spool.file("moved", .hold))
    bench.engine.lookAgain()
    try bench.turn()
    try ask(
      bench,
      "{\"do\":\"edit\",\"job\":\"edited\",\"text\":\"{\\\"type\\\":\\\"t\\\",\\\"delay\\\":\\\"60s\\\",\\\"priority\\\":1}\"}"
    )
    try bench.at("2020-03-21T10:00:50Z")
    try ask(bench, "{\"do\":\"release\",\"jobs\":[\"asked\"]}")
    try spool.move(spool.file("moved", .hold), spool.file("moved", .new))
    bench.engine.arrived("moved.json", in: "new")
    try bench.turn()
    #expect(bench.runner.started == [])
    try bench.at("2020-03-21T10:01:01Z")
    #expect(bench.runner.started.sorted() == ["asked", "edited", "free", "moved"])
  }

  @Test("a delay survives hold, a restart and release")
  func heldOverRestart() throws {
    let first = try bench()
    try drop(first, "j", ",\"delay\":\"60s\"")
    try first.at("2020-03-21T10:00:30Z")
    try ask(first, "{\"do\":\"hold\",\"jobs\":[\"j\"]}")
    clock.set("2020-03-21T10:00:40Z")
    let second = try bench()
    try ask(second, "{\"do\":\"release\",\"jobs\":[\"j\"]}")
    try second.at("2020-03-21T10:00:59Z")
    #expect(second.runner.started == [])
    try second.at("2020-03-21T10:01:01Z")
    #expect(second.runner.started == ["j"])
  }

  @Test("jobs not started by expires_at are buried then, those that ran are not looked at again")
  func expiry() throws {
    let bench = try bench { $0.concurrency = 1 }
    for n in 0..<5 { try drop(bench, "j\(n)", ",\"expires_at\":\"2020-03-21T10:00:1\(n)Z\"") }
    #expect(bench.runner.started == ["j0"] && bench.engine.expiries.count == 4)
    try bench.at("2020-03-21T10:00:12.500Z")
    #expect(try bench.turn { spool.states(of: "j1") == [.dead] && spool.states(of: "j2") == [.dead] })
    #expect(spool.states(of: "j3") == [.new] && spool.states(of: "j0") == [.cur])
    #expect(try spool.record(of: "j1", .dead)?.outcome == .expired)
    #expect(bench.engine.expiries.count == 2)
  }

  @Test("of a storm of notices 30 a minute are sent, then one that counts the rest; who asked gets each")
  func storm() throws {
    let bench = try bench {
      $0.retry.maxAttempts = 1
    } daemon: {
      var entry = NoticeSettings()
      entry.on = ["done", "dead"]
      entry.command = ["/bin/true"]
      $0.notices = [entry]
    }
    func notices() -> [String] { spool.names(in: .new).filter { $0.hasPrefix("notify-") } }
    // The notices themselves wait, so that they can be counted.
    try bench.control("pause.jobspool.notify", "")
    for n in 0..<50 {
      try drop(bench, "j\(n)", type: ClockTests.others[n % 5])
      #expect(try bench.end("j\(n)", exit: 65))
    }
    #expect(notices().count == 30)
    try drop(bench, "asks", ",\"notify\":[\"dead\"]")
    #expect(try bench.end("asks", exit: 65))
    try drop(bench, "good")
    #expect(try bench.end("good"))
    #expect(notices().count == 32)
    try bench.at("2020-03-21T10:00:59Z")
    #expect(notices().count == 32)
    try bench.at("2020-03-21T10:01:01Z")
    #expect(try bench.turn { notices().count == 33 })
    let texts = try notices().map { try spool.job(String($0.dropLast(5)), .new) }.map {
      String(decoding: $0.bytes, as: UTF8.self)
    }
    let digest = texts.filter { $0.contains("held_back") }
    #expect(digest.count == 1 && digest.first?.contains("20 more notices were held back since") == true)
    #expect(digest.first?.contains("(20 dead): at most 30 per 1m are sent here") == true)
    // The minute after the storm is a new one; a stop tells at once what it would forget.
    for n in 50..<82 {
      try drop(bench, "j\(n)", type: ClockTests.others[n % 5])
      #expect(try bench.end("j\(n)", exit: 65))
    }
    #expect(try bench.turn { notices().count == 33 + 29 })
    bench.engine.stop()
    #expect(try bench.turn { notices().count == 33 + 29 + 1 })
  }
}

extension String {
  fileprivate func contains(_ words: String) -> Bool { indices.contains { self[$0...].hasPrefix(words) } }
}
