import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

/// Jobs that are started while others run: on another thread.
@Suite struct SpawnerTests {
  /// A bench in which three jobs run already, so that the next start of `settings` is left to the other thread.
  private func busy(_ settings: HandlerSettings) throws -> HandlerBench {
    let bench = try HandlerBench()
    #expect(try bench.run(bench.request(settings, id: "first")).ending == .exited(0))
    for number in 0..<3 { try bench.start(bench.request(bench.shell("sleep 60"), id: "sleeper-\(number)")) }
    return bench
  }

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
    let settings = folder.shell("trap '' TERM; read line; [ \"$line\" = 0 ] && exit 0; sleep 60")
    var patient = settings
    patient.grace = hurried ? .seconds(50) : .milliseconds(200)
    let bench = try HandlerBench()
    #expect(try bench.run(bench.request(patient, input: Array("0\n".utf8))).ending == .exited(0))
    for number in 0..<3 { try bench.start(bench.request(bench.shell("sleep 60"), id: "sleeper-\(number)")) }
    try bench.start(bench.request(patient, id: "late", input: Array("1\n".utf8)))
    bench.runner.stop("late", reason: .cancelled)
    if hurried { bench.runner.hurry() }
    try bench.wait { !bench.ends("late").isEmpty }
    #expect(bench.ends("late").first?.stopReason == .cancelled)
    try finish(bench)
  }
}
