import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct StopTests {
  /// Starts a script that says when it is ready on descriptor 3, waits for that, then does `then`.
  private func run(
    _ bench: HandlerBench, _ settings: HandlerSettings, timeout: Duration = .seconds(60),
    whenReady then: @escaping (String) -> Void
  ) throws -> AttemptEnd {
    let request = bench.request(settings, timeout: timeout)
    return try bench.run(request) { event in
      if case .progress(let update) = event, update.stage == "ready" { then(request.id) }
    }
  }
  private let ready = #"echo '{"stage":"ready"}' >&3; "#

  @Test("stopping sends TERM, and a handler may use its grace to tidy up")
  func term() throws {
    let bench = try HandlerBench()
    let script = "trap 'echo tidied; exit 7' TERM; \(ready) while :; do sleep 0.05; done"
    let end = try run(bench, bench.shell(script)) { bench.runner.stop($0, reason: .cancelled) }
    #expect(end.ending == .exited(7))
    #expect(end.stopReason == .cancelled)
    #expect(end.text == "\"tidied\"")
  }

  @Test("who ignores TERM is killed after the grace")
  func kill() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("trap '' TERM; \(ready) while :; do sleep 0.05; done")
    settings.grace = .milliseconds(200)
    let start = EventLoop.now
    let end = try run(bench, settings) { bench.runner.stop($0, reason: .shutdown) }
    #expect(end.ending == .signalled(SIGKILL))
    #expect(end.stopReason == .shutdown)
    #expect(EventLoop.now - start >= .milliseconds(200))
    #expect(bench.survivors().isEmpty)
  }

  @Test("hurry ends the grace of those being stopped and touches no other")
  func hurry() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("trap '' TERM; \(ready) while :; do sleep 0.05; done")
    settings.grace = .seconds(600)
    var bystander = bench.shell("\(ready) read line; while [ ! -e go ]; do sleep 0.02; done")
    bystander.grace = .seconds(600)
    let other = bench.request(bystander)
    try bench.start(other)
    let end = try run(bench, settings) {
      bench.runner.stop($0, reason: .shutdown)
      bench.runner.hurry()
    }
    #expect(end.ending == .signalled(SIGKILL))
    #expect(bench.ends(other.id).isEmpty)
    _ = bench.write("", to: "go")
    try bench.wait { !bench.ends(other.id).isEmpty }
    #expect(bench.ends(other.id).first?.ending == .exited(0))
  }

  @Test("a job past its timeout is stopped with its whole group")
  func timeout() throws {
    let bench = try HandlerBench()
    let end = try bench.run(bench.request(bench.shell("sleep 600 | sleep 600"), timeout: .milliseconds(300)))
    #expect(end.ending == .signalled(SIGTERM))
    #expect(end.stopReason == .timeout)
    #expect(end.error?.code == "timeout")
    #expect(bench.survivors().isEmpty)
  }

  @Test("silence is a stall, a sign of life on any stream is none")
  func stalled() throws {
    let bench = try HandlerBench()
    let silent = try bench.run(
      bench.request(bench.shell("sleep 600"), stalledAfter: .milliseconds(300)))
    #expect(silent.stopReason == .stalled)
    for sign in [#"echo '{"heartbeat":true}' >&3"#, "echo x", "echo x >&2"] {
      let script = "for i in 1 2 3 4 5 6 7 8; do \(sign); sleep 0.1; done"
      let lively = try bench.run(bench.request(bench.shell(script), stalledAfter: .milliseconds(600)))
      #expect(lively.stopReason == nil)
      #expect(lively.ending == .exited(0))
    }
  }

  @Test("a stopped process takes the signal too")
  func frozen() throws {
    let bench = try HandlerBench()
    let end = try bench.run(bench.request(bench.shell("kill -STOP $$"), timeout: .milliseconds(300)))
    #expect(end.stopReason == .timeout)
    #expect(end.ending == .signalled(SIGTERM))
  }

  @Test("stopping an unknown job, or one that has ended, does nothing")
  func unknown() throws {
    let bench = try HandlerBench()
    bench.runner.stop("nobody", reason: .cancelled)
    let request = bench.request(bench.shell("exit 0"))
    let end = try bench.run(request)
    bench.runner.stop(request.id, reason: .cancelled)
    #expect(end.stopReason == nil)
  }
}
