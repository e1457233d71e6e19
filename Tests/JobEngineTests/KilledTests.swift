/// What a daemon that is killed between two steps leaves for the next one: a second engine on the same spool.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@testable import JobEngine

@Suite("What outlives a daemon that is killed") struct KilledTests {
  let spool: TestSpool
  let clock = ManualClock("2020-03-21T10:00:00Z")

  init() throws { spool = try TestSpool() }

  private func bench(_ change: (inout HandlerSettings, inout DaemonSettings) -> Void) throws -> EngineBench {
    try EngineBench(spool, clock, []) { settings in
      var handler = HandlerSettings(type: "t", file: "t.toml", command: ["true"])
      handler.concurrency = 10
      handler.retry.maxAttempts = 1
      change(&handler, &settings.daemon)
      settings.handlers = [
        "t": handler, Notice.type: HandlerSettings(type: Notice.type, file: "", command: ["true"]),
      ]
    }
  }

  private func events(_ id: String) throws -> [String] {
    try spool.audit().filter { $0["job"]?.string == id }.map {
      ($0["event"]?.string ?? "") + " by " + ($0["by"]?.string ?? "")
    }
  }

  @Test("a submission beyond the rate, announced and not yet refused, is refused by the next daemon")
  func refused() throws {
    let rate: (inout HandlerSettings, inout DaemonSettings) -> Void = { handler, _ in
      handler.rate = HandlerSettings.RateLimit(rate: Rate(limit: 1, per: .seconds(60)))
      handler.rate?.over = .reject
    }
    do {
      let bench = try bench(rate)
      for id in ["a", "b"] {
        try spool.drop(id, "{\"type\":\"t\"}")
        bench.engine.arrived("\(id).json", in: "new")
      }
      // The names are looked at and their lines written; the kill comes before anything else.
      bench.engine.takeArrivals()
      bench.engine.flush()
    }
    #expect(spool.states(of: "b") == [.new])
    // The minute is over: as a new submission it would be let in.
    clock.set("2020-03-21T10:05:00Z")
    let bench = try bench(rate)
    #expect(try bench.turn { spool.states(of: "b") == [.dead] })
    #expect(try spool.record(of: "b", .dead)?.outcome == .rateLimited)
    #expect(bench.runner.started == ["a"])
    #expect(try spool.events(of: "b") == ["submitted", "rejected"])
  }

  @Test("the first daemon of a spool, killed, is not taken for a machine that went down")
  func firstDaemon() throws {
    do {
      let bench = try bench { _, _ in }
      try spool.drop("a", "{\"type\":\"t\"}")
      bench.engine.arrived("a.json", in: "new")
      #expect(try bench.turn { bench.runner.started == ["a"] })
    }
    #expect(try !bench { _, _ in }.engine.transitions.audit.previous.hadPowerCut)
  }

  /// A daemon runs job "a" to its end, and no further.
  private func killedAfterEnd(of dropped: String) throws {
    let bench = try bench { _, _ in }
    try spool.drop("a", dropped)
    bench.engine.arrived("a.json", in: "new")
    #expect(try bench.turn { bench.runner.started == ["a"] })
    #expect(try bench.end("a"))
  }

  @Test("an end that a failing disk kept in the log and not in the file is in the file after the next start")
  func failedDisk() throws {
    let dropped = "{\"type\":\"t\"}"
    try killedAfterEnd(of: dropped)
    #expect(try spool.record(of: "a", .done)?.state == .done)
    // The machine did not go down: the disk was mounted again, and the file is as it was before the record.
    try TestSpool.write(Array(dropped.utf8), to: spool.file("a", .done))
    _ = try bench { _, _ in }
    #expect(try spool.record(of: "a", .done)?.state == .done)
  }

  @Test(
    "after a kill, a file in new/ like one that has just ended is that one if it came before, and else a new job",
    arguments: [("2100-01-01T00:00:00Z", false), ("2020-03-21T10:00:00Z", true)])
  func dropped(now: String, isNew: Bool) throws {
    clock.set(now)
    let dropped = "{\"type\":\"t\"}"
    try killedAfterEnd(of: dropped)
    #expect(unlink(spool.file("a", .done)) == 0)
    try spool.drop("a", dropped)
    let bench = try bench { _, _ in }
    #expect(try bench.turn { isNew ? bench.runner.started == ["a"] : spool.states(of: "a") == [.done] })
    #expect(bench.runner.started.isEmpty == !isNew)
  }

  @Test("how many notices were held back is told by the next daemon, once")
  func heldBack() throws {
    let listening: (inout HandlerSettings, inout DaemonSettings) -> Void = { _, daemon in
      var entry = NoticeSettings()
      entry.on = ["dead"]
      entry.command = ["/bin/true"]
      entry.atMost = Rate(limit: 1, per: .seconds(3600))
      daemon.notices = [entry]
    }
    func told() throws -> [String] {
      try spool.names(in: .new).filter { $0.hasPrefix("notify-") }
        .compactMap { try spool.job(String($0.dropLast(5)), .new).value(at: "/payload/message")?.string }
    }
    try TestSpool.write([], to: "\(spool.path)/ctl/pause.jobspool.notify")
    do {
      let bench = try bench(listening)
      for number in 0..<4 {
        try spool.drop("j\(number)", "{\"type\":\"t\"}")
        bench.engine.arrived("j\(number).json", in: "new")
        try bench.turn()
        #expect(try bench.end("j\(number)", exit: 65))
      }
      #expect(try bench.turn { TestSpool.exists("\(spool.path)/log/notices.json") })
    }
    #expect(try told().count == 1)
    do {
      let bench = try bench(listening)
      #expect(try bench.turn { spool.names(in: .new).count == 2 })
      #expect(try told().contains { $0.hasPrefix("3 more notices were held back since") })
    }
    // Killed again before it could note that it has told: the same notice has the same name.
    let bench = try bench(listening)
    #expect(try bench.turn { TestSpool.contents("\(spool.path)/log/notices.json") == Array("[]\n".utf8) })
    #expect(try told().count == 2)
  }

  @Test("an operator's requeue is one line of the log, and mv's is another's")
  func requeued() throws {
    do {
      let bench = try bench { _, _ in }
      try spool.drop("a", "{\"type\":\"t\"}")
      bench.engine.arrived("a.json", in: "new")
      try bench.turn()
      #expect(try bench.end("a", exit: 65))
      try bench.control("ask.json", "{\"do\":\"requeue\",\"jobs\":[\"a\"]}")
      #expect(try bench.turn { bench.runner.running.count == 1 })
      #expect(try bench.end("a", exit: 65))
      try spool.move(spool.file("a", .dead), spool.file("a", .new))
      bench.engine.arrived("a.json", in: "new")
      #expect(try bench.turn { bench.runner.running.count == 1 })
      #expect(try bench.end("a", exit: 65))
    }
    // By the command line, while no daemon runs.
    let transitions = try spool.transitions(at: clock.now, node: "n")
    try transitions.requeue("a", from: .dead, type: "t", at: clock.now, by: "anna")
    try transitions.audit.commit()
    let bench = try bench { _, _ in }
    #expect(try bench.turn { bench.runner.running.count == 1 })
    let requeues = try events("a").filter { $0.hasPrefix("requeued") }
    #expect(requeues.count == 3)
    #expect(requeues.map { $0.hasSuffix("by mv") } == [false, true, false])
  }

  @Test("a requeued job has its time anew, and its end says whether it kept to it")
  func slaOfRequeued() throws {
    let bench = try bench { handler, daemon in
      handler.sla = .seconds(60)
      handler.retry = RetryPolicy(delays: [.seconds(10)])
      var entry = NoticeSettings()
      entry.on = ["sla"]
      entry.command = ["/bin/true"]
      daemon.notices = [entry]
    }
    try bench.control("pause.jobspool.notify", "")
    func notices() -> Int { spool.names(in: .new).count { $0.hasPrefix("notify-") } }
    func sla() throws -> [String] { try spool.audit().compactMap { $0["sla"]?.string } }
    try spool.drop("a", "{\"type\":\"t\"}")
    bench.engine.arrived("a.json", in: "new")
    try bench.turn()
    #expect(try bench.end("a", exit: 65))
    #expect(try sla() == ["missed"])
    clock.set("2020-03-22T10:00:00Z")
    try bench.control("ask.json", "{\"do\":\"requeue\",\"jobs\":[\"a\"]}")
    #expect(try bench.turn { bench.runner.running.count == 1 })
    // A failed attempt does not begin it anew.
    #expect(try bench.end("a", exit: 75))
    try bench.at("2020-03-22T10:00:50Z")
    #expect(try bench.turn { bench.runner.running.count == 1 })
    #expect(notices() == 0)
    try bench.at("2020-03-22T10:01:01Z")
    #expect(try bench.turn { notices() == 1 })
    #expect(try bench.end("a"))
    #expect(try sla() == ["missed", "missed"])
    // In time.
    try spool.move(spool.file("a", .done), spool.file("a", .new))
    bench.engine.arrived("a.json", in: "new")
    #expect(try bench.turn { bench.runner.running.count == 1 })
    #expect(try bench.end("a"))
    #expect(try sla() == ["missed", "missed", "kept"])
    #expect(notices() == 1)
  }
}
