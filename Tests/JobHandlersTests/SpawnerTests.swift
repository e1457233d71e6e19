import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

/// Jobs that are started while others run: on another thread.
@Suite struct SpawnerTests {
  /// A bench in which three jobs of another type run already, so that the next start of `settings` is left to the other thread.
  private func busy(_ settings: HandlerSettings) throws -> HandlerBench {
    let bench = try HandlerBench()
    #expect(try bench.run(bench.request(settings, id: "first")).ending == .exited(0))
    var sleeper = bench.shell("sleep 60")
    sleeper.type = "sleeper"
    for number in 0..<3 { try bench.start(bench.request(sleeper, id: "sleeper-\(number)")) }
    return bench
  }

  private let patience = Duration.seconds(20)

  private func lives(_ id: String) -> Bool {
    ProcessTable.all().contains { ProcessTable.environment(of: $0, holds: [Array("JOBSPOOL_ID=\(id)".utf8)]) }
  }

  private func startedApart(_ bench: HandlerBench) -> Int { bench.runner.exec.spawner?.number ?? 0 }

  private func finish(_ bench: HandlerBench) throws {
    for number in 0..<3 { bench.runner.stop("sleeper-\(number)", reason: .shutdown) }
    try bench.wait { (0..<3).allSatisfy { !bench.ends("sleeper-\($0)").isEmpty } }
    #expect(bench.survivors().isEmpty)
  }

  @Test("100 of them end once each, with their own results")
  func many() throws {
    let bench = try HandlerBench()
    let settings = bench.shell("read n; echo $n; exit $((n % 3))")
    #expect(try bench.run(bench.request(settings, input: Array("0\n".utf8))).ending == .exited(0))
    for number in 0..<100 {
      try bench.start(bench.request(settings, id: "many-\(number)", input: Array("\(number)\n".utf8)))
    }
    #expect(startedApart(bench) >= 90)
    try bench.wait { (0..<100).allSatisfy { !bench.ends("many-\($0)").isEmpty } }
    for number in 0..<100 {
      let ends = bench.ends("many-\(number)")
      #expect(ends.count == 1)
      #expect(ends.first?.ending == .exited(Int32(number % 3)))
      #expect(ends.first?.text == "\(number)")
    }
    #expect(bench.survivors().isEmpty)
  }

  @Test("what one leaves behind is ended with it")
  func strays() throws {
    let folder = try HandlerBench()
    let settings = folder.shell("read line; [ \"$line\" = {} ] || { setsid sleep 61 & setsid sleep 61 & }")
    let bench = try busy(settings)
    for number in 0..<5 {
      try bench.start(bench.request(settings, id: "parent-\(number)", input: Array("1\n".utf8)))
    }
    #expect(startedApart(bench) >= 5)
    try bench.wait { (0..<5).allSatisfy { !bench.ends("parent-\($0)").isEmpty } }
    try finish(bench)
  }

  @Test("one that cannot be executed any more is reported as not started, and the next says so at once")
  func broken() throws {
    let folder = try HandlerBench()
    let script = folder.write("#!/bin/sh\nexit 0\n", to: "script", mode: 0o755)
    let settings = HandlerSettings(type: "s", file: "\(folder.folder)/s.toml", command: [script])
    let bench = try busy(settings)
    _ = folder.write("#!/no/such/shell\n", to: "script", mode: 0o755)
    try bench.start(bench.request(settings, id: "lost"))
    #expect(startedApart(bench) > 0)
    try bench.wait { !(bench.events["lost"] ?? []).isEmpty }
    guard case .notStarted(let problem)? = bench.events["lost"]?.last else {
      Issue.record("it was \(String(describing: bench.events["lost"]))")
      return
    }
    #expect(problem.kind == .broken)
    #expect(problem.message.contains("the interpreter in its \"#!\" line"))
    #expect(bench.events["lost"]?.count == 1)
    #expect(throws: StartProblem.self) { try bench.start(bench.request(settings, id: "again")) }
    try finish(bench)
  }

  @Test("one that is stopped before it started is ended, and the reason is told", arguments: [false, true])
  func stopped(hurried: Bool) throws {
    let folder = try HandlerBench()
    var settings = folder.shell("trap '' TERM; read line; [ \"$line\" = {} ] || sleep 60")
    settings.grace = hurried ? .seconds(50) : .milliseconds(200)
    let bench = try busy(settings)
    let before = startedApart(bench)
    try bench.start(bench.request(settings, id: "late", input: Array("1\n".utf8)))
    #expect(startedApart(bench) == before + 1)
    bench.runner.stop("late", reason: .cancelled)
    if hurried {
      bench.runner.hurry()
      // Whoever hurries may end now: nothing that was started lives on, though the loop does not turn any more.
      let deadline = EventLoop.now + patience
      while lives("late"), EventLoop.now < deadline { sched_yield() }
      #expect(!lives("late"))
    }
    try bench.wait { !bench.ends("late").isEmpty }
    #expect(bench.ends("late").first?.stopReason == .cancelled)
    try finish(bench)
  }
}
