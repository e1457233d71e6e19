import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@testable import JobEngine

@Suite("Schedules") struct ScheduleTests {
  let spool: TestSpool
  let clock = ManualClock("2026-11-21T10:30:00Z")

  init() throws { spool = try TestSpool() }

  private func bench(_ schedules: ScheduleSettings...) throws -> EngineBench {
    try EngineBench(spool, clock, schedules)
  }

  @Test("a tick makes one job, which runs with the schedule's payload")
  func fires() throws {
    let bench = try bench(schedule("n", "0 * * * *") { $0.payload = Array("{\"a\":1}".utf8) })
    try bench.at("2026-11-21T10:59:59Z")
    #expect(bench.runner.started == [])
    try bench.at("2026-11-21T11:00:00Z")
    #expect(bench.runner.started == ["n.20261121T110000Z"])
    let input = String(decoding: bench.runner.running[0].request.input, as: UTF8.self)
    #expect(input.contains("\"payload\":{\"a\":1}"))
    try bench.at("2026-11-21T11:59:59Z")
    #expect(bench.runner.started.count == 1)
    #expect(try bench.end("n.20261121T110000Z"))
    try bench.at("2026-11-21T12:00:00Z")
    #expect(bench.runner.started == ["n.20261121T110000Z", "n.20261121T120000Z"])
    #expect(
      try bench.lines("tick") == [
        "enabled -", "fired n.20261121T110000Z tick=2026-11-21T11:00:00.000Z",
        "fired n.20261121T120000Z tick=2026-11-21T12:00:00.000Z",
      ])
    let state = bench.engine.schedules.states["n"]
    #expect(state?.result == "done" && state?.next?.start == ManualClock.time("2026-11-21T13:00:00Z"))
  }

  @Test("a daemon killed between making the job and noting it finds the job and only notes it")
  func killedBetween() throws {
    let settings = try schedule("n", "0 * * * *")
    _ = try bench(settings)
    try spool.drop("n.20261121T110000Z", "{\"type\":\"t\"}")
    clock.set("2026-11-21T11:00:30Z")
    let next = try bench(settings)
    #expect(next.runner.started == ["n.20261121T110000Z"])
    #expect(try next.lines() == ["enabled -", "fired n.20261121T110000Z"])
    #expect(try next.end("n.20261121T110000Z"))
    // And the one after that finds the line.
    clock.set("2026-11-21T11:00:40Z")
    let last = try bench(settings)
    #expect(last.runner.started == [])
    #expect(try last.lines().count == 2)
    #expect(last.engine.schedules.states["n"]?.result == "done")
  }

  @Test("after a time without daemon, catch_up decides", arguments: ScheduleSettings.CatchUp.allCases)
  func catchUp(_ rule: ScheduleSettings.CatchUp) throws {
    let settings = try schedule("n", "0 * * * *") { $0.catchUp = rule }
    let first = try bench(settings)
    try first.at("2026-11-21T11:00:00Z")
    #expect(try first.end("n.20261121T110000Z"))
    clock.set("2026-11-21T14:30:00Z")
    let second = try bench(settings)
    let lines = try second.lines("made_up_for", "missed", "reason").dropFirst(2)
    switch rule {
    case .one:
      #expect(second.runner.started == ["n.20261121T140000Z"])
      #expect(lines == ["fired n.20261121T140000Z made_up_for=2 reason=down"])
      #expect(second.alerts["schedule_missed:n"] == nil)
    case .none:
      #expect(second.runner.started == [])
      #expect(lines == ["missed n.20261121T140000Z missed=3 reason=down"])
      #expect(second.alerts["schedule_missed:n"] != nil)
      try second.at("2026-11-21T15:00:00Z")
      #expect(second.runner.started == ["n.20261121T150000Z"])
      #expect(second.alerts["schedule_missed:n"] == nil)
    case .all:
      // They may not overlap, so each waits for the one before.
      for hour in [12, 13, 14] {
        #expect(second.runner.started.count == hour - 11)
        #expect(second.runner.started.last == "n.20261121T\(hour)0000Z")
        #expect(try second.end("n.20261121T\(hour)0000Z"))
        try second.turn()
      }
      #expect(second.runner.started.count == 3)
      #expect(try second.lines().dropFirst(2).allSatisfy { $0.hasPrefix("fired ") })
    }
  }

  @Test("while an earlier one has not ended, overlap decides", arguments: ScheduleSettings.Overlap.allCases)
  func overlap(_ rule: ScheduleSettings.Overlap) throws {
    let settings = try schedule("n", "0 * * * *") { $0.overlap = rule }
    let bench = try bench(settings)
    try bench.at("2026-11-21T11:00:00Z")
    try bench.at("2026-11-21T12:00:00Z")
    if rule == .queue {
      #expect(bench.runner.started == ["n.20261121T110000Z", "n.20261121T120000Z"])
      return
    }
    #expect(bench.runner.started == ["n.20261121T110000Z"])
    #expect(
      try bench.lines("reason", "earlier").last
        == "skipped n.20261121T120000Z reason=overlap earlier=n.20261121T110000Z")
    #expect(bench.alerts.isEmpty)
    #expect(try bench.end("n.20261121T110000Z", exit: 1))
    try bench.at("2026-11-21T13:00:00Z")
    #expect(bench.runner.started == ["n.20261121T110000Z", "n.20261121T130000Z"])
    #expect(bench.engine.schedules.states["n"]?.result == "failed")
    // Killed while it runs: it is retried or buried, and never beside the next.
    clock.set("2026-11-21T13:30:00Z")
    let after = try self.bench(settings)
    #expect(after.runner.started.count <= 1 && after.runner.started.allSatisfy { $0 == "n.20261121T130000Z" })
  }

  @Test("disabled it does not fire, and what it missed so is not made up for")
  func disabled() throws {
    let settings = try schedule("n", "0 * * * *") { $0.catchUp = .all }
    let bench = try bench(settings)
    try bench.control("disabled.n", "")
    #expect(bench.engine.schedules.states["n"]?.isOn == false && bench.engine.firingTimer == nil)
    try bench.at("2026-11-21T12:00:00Z")
    // Off still after a restart.
    clock.set("2026-11-21T13:30:00Z")
    let second = try self.bench(settings)
    #expect(second.runner.started == [])
    try second.control("disabled.n", nil)
    #expect(second.runner.started == [])
    try second.at("2026-11-21T14:00:00Z")
    #expect(second.runner.started == ["n.20261121T140000Z"])
    #expect(try second.lines() == ["enabled -", "disabled -", "enabled -", "fired n.20261121T140000Z"])
  }

  @Test("a pause holds firings back; then they are made up for")
  func paused() throws {
    let bench = try bench(schedule("n", "0 * * * *"), schedule("none", "0 * * * *") { $0.catchUp = .none })
    try bench.control("pause-schedules", "")
    #expect(bench.engine.firingTimer == nil)
    try bench.at("2026-11-21T12:30:00Z")
    #expect(bench.runner.started == [])
    try bench.control("pause-schedules", nil)
    #expect(bench.runner.started == ["n.20261121T120000Z"])
    #expect(
      try bench.lines("reason").dropFirst(2).sorted() == [
        "fired n.20261121T120000Z reason=paused", "missed none.20261121T120000Z reason=paused",
      ])
  }

  @Test("a run asked for is a job of its own, refused while another has not ended")
  func runNow() throws {
    let bench = try bench(schedule("n", "0 0 1 1 *") { $0.enabled = false })
    func ask(_ names: String) throws -> JSONValue {
      try bench.control("ask.json", "{\"do\":\"run-schedule\",\"jobs\":[\(names)]}")
      return try JSONReader.parse(TestSpool.contents("\(spool.path)/ctl/ask.reply") ?? [])
    }
    let first = try ask("\"n\",\"none\"")
    let made = try #require(first["results"]?.array)
    #expect(made[0]["ok"]?.bool == true && made[0]["schedule"]?.string == "n")
    #expect(made[1]["code"]?.string == "no_such_job" && made[1]["job"]?.string == "none")
    let id = try #require(made[0]["job"]?.string)
    #expect(id.hasPrefix("n.run-") && bench.runner.started == [id])
    #expect(try ask("\"n\"")["results"]?.array?[0]["code"]?.string == "wrong_state")
    #expect(try bench.end(id))
    #expect(try ask("\"n\"")["results"]?.array?[0]["ok"]?.bool == true)
    #expect(bench.runner.started.count == 2 && Set(bench.runner.started).count == 2)
    #expect(try bench.lines().filter { $0.hasPrefix("fired n.run-") }.count == 2)
  }

  @Test("a clock set back by years does not silence a schedule for years, nor repeat a tick")
  func setBack() throws {
    let bench = try bench(schedule("n", "0 * * * *"))
    try bench.at("2036-11-21T11:00:00Z")
    #expect(bench.runner.started == ["n.20361121T110000Z"])
    #expect(try bench.end("n.20361121T110000Z"))
    // An hour: nothing until it is where it was.
    try bench.at("2036-11-21T10:00:00Z")
    try bench.at("2036-11-21T11:00:30Z")
    #expect(bench.runner.started.count == 1)
    try bench.at("2026-11-21T10:45:00Z")
    #expect(bench.runner.started.count == 1)
    try bench.at("2026-11-21T11:00:00Z")
    #expect(bench.runner.started == ["n.20361121T110000Z", "n.20261121T110000Z"])
  }

  @Test("another expression begins anew; a file that does not load changes nothing")
  func edited() throws {
    let bench = try bench(schedule("n", "0 * * * *"))
    try bench.at("2026-11-21T10:40:00Z")
    bench.settings.schedules["n"] = try schedule("n", "35 * * * *")
    bench.engine.apply(bench.settings)
    try bench.turn()
    #expect(bench.runner.started == [])
    let good = bench.settings.schedules["n"]
    bench.settings.schedules["n"] = nil
    bench.settings.brokenSchedules["n"] = "n.toml:1: cron: wrong"
    bench.engine.apply(bench.settings)
    try bench.at("2026-11-21T11:35:00Z")
    #expect(bench.runner.started == ["n.20261121T113500Z"])
    #expect(bench.alerts["schedule:n"]?.message.contains("it goes on as it was") == true)
    bench.settings.schedules["n"] = good
    bench.settings.brokenSchedules["n"] = nil
    bench.engine.apply(bench.settings)
    #expect(bench.alerts["schedule:n"] == nil)
    #expect(try bench.end("n.20261121T113500Z"))
    try bench.at("2026-11-21T12:35:00Z")
    #expect(bench.runner.started.count == 2)
    bench.settings.schedules["n"] = nil
    bench.engine.apply(bench.settings)
    try bench.at("2026-11-21T13:35:00Z")
    #expect(bench.runner.started.count == 2 && bench.engine.firingTimer == nil)
  }

  @Test("the loop is woken for the next firing, at most a minute ahead, and not at all without one")
  func wakes() throws {
    let none = try bench()
    #expect(none.engine.firingTimer == nil)
    let hour = try EngineBench(TestSpool(), clock, [schedule("n", "0 * * * *")])
    let far = try #require(hour.engine.firingTimer).due - EventLoop.now
    #expect(far > .seconds(50) && far <= .seconds(60))
    try hour.at("2026-11-21T10:59:50Z")
    let near = try #require(hour.engine.firingTimer).due - EventLoop.now
    #expect(near > .seconds(1) && near <= .milliseconds(10_001))
  }

  @Test("while the disk is full nothing is made; when it has room again, catch_up decides")
  func fullDisk() throws {
    let bench = try bench(schedule("n", "0 * * * *"))
    bench.settings.daemon.minFree = .bytes(1 << 60)
    bench.engine.apply(bench.settings)
    #expect(try bench.turn { bench.alerts["disk"] != nil })
    try bench.at("2026-11-21T12:30:00Z")
    #expect(bench.runner.started == [] && spool.names(in: .new).isEmpty)
    // Looked at every second, not in circles.
    #expect(try #require(bench.engine.firingTimer).due - EventLoop.now > .milliseconds(900))
    bench.settings.daemon.minFree = .bytes(0)
    bench.engine.apply(bench.settings)
    #expect(try bench.turn { !bench.runner.started.isEmpty })
    #expect(bench.runner.started == ["n.20261121T120000Z"])
    #expect(try bench.lines("made_up_for", "reason").last == "fired n.20261121T120000Z made_up_for=1 reason=disk")
  }

  @Test(
    "the jobs of one moment share the sync of their folder; what cannot be so made is tried by itself",
    arguments: [0, 3])
  func together(_ refused: Int) throws {
    let left = Mutex(0)
    let syscalls = InterruptedSyscalls(failure: { _, call in
      guard call.hasPrefix("sync tmp") else { return nil }
      return left.withLock { left in
        guard left > 0 else { return nil }
        left -= 1
        return Errno(EIO)
      }
    })
    let names = ["a", "b", "c", "d"]
    let schedules = try names.map { try schedule($0, "0 * * * *") { $0.overlap = .skip } }
    let bench = try EngineBench(spool, clock, schedules, syscalls: syscalls)
    try spool.drop("d.20261121T110000Z", "{\"type\":\"t\"}")
    let before = syscalls.calls.count
    left.withLock { $0 = refused }
    try bench.at("2026-11-21T11:00:00Z")
    let ids = names.map { "\($0).20261121T110000Z" }
    #expect(try bench.turn { bench.runner.started.sorted() == ids })
    #expect(try bench.lines().suffix(4) == ids.map { "fired \($0)" })
    let calls = syscalls.calls[before...]
    #expect(calls.count { $0.hasPrefix("sync tmp") } == 3 + refused)
    #expect(calls.count { $0 == "sync new" } == (refused == 0 ? 1 : 3))
    #expect(!calls.contains { $0.hasPrefix("syncfs") })
    #expect(spool.names(in: .tmp) == [])
    // One still runs, so its next is skipped, and the others' are made.
    for id in ids.dropFirst() { #expect(try bench.end(id)) }
    try bench.at("2026-11-21T12:00:00Z")
    #expect(try bench.turn { bench.runner.started.count == 7 })
    #expect(
      try bench.lines("reason").suffix(4)
        == ["skipped a.20261121T120000Z reason=overlap"] + names.dropFirst().map { "fired \($0).20261121T120000Z" })
  }

  @Test("a firing whose job is rejected did not run, and that is an alert")
  func rejected() throws {
    let bench = try bench(schedule("n", "0 * * * *") { $0.type = "unknown" })
    try bench.at("2026-11-21T11:00:00Z")
    #expect(try bench.turn { self.spool.states(of: "n.20261121T110000Z") == [.dead] })
    try bench.turn()
    #expect(
      try bench.lines("reason").suffix(2)
        == ["fired n.20261121T110000Z", "missed n.20261121T110000Z reason=rejected"])
    #expect(bench.alerts["schedule_missed:n"] != nil)
  }
}
