import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

/// How worker processes end, and what becomes of the jobs in them.
@Suite struct WorkerLifeTests {
  @Test("a worker that dies fails the jobs it had read, with its end in the error, and is replaced")
  func death() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 2, processes: 1)
    let first = try bench.pid(settings, "p")
    try bench.hold(settings, "a")
    let end = try bench.run(bench.job(settings, "b", #""do":"exit","code":65"#))
    let other = try #require(bench.ends("a").first)
    for end in [end, other] {
      #expect(end.ending == .exited(65))
      #expect(end.stopReason == nil)
      #expect(end.error?.code == "worker_died")
      #expect(end.error?.message.contains("exited with 65") == true)
      // 65 would bury a job in exec mode; a worker's code is no word about one of its jobs.
      let verdict = Verdict.of(
        ending: end.ending, error: end.error, permanent: end.permanent, attempt: 1, policy: RetryPolicy(), random: 0)
      #expect(verdict != .bury(.failed))
    }
    #expect(try bench.pid(settings, "q") != first)
    #expect(try bench.run(bench.job(settings, "k", #""do":"kill""#)).ending == .signalled(SIGKILL))
    let zero = try bench.run(bench.job(settings, "z", #""do":"exit","code":0"#))
    #expect(zero.ending == .exited(0))
    #expect(zero.error?.code == "worker_died")
  }

  @Test("a half line at the end is no answer, a whole one without its newline is")
  func halfLine() throws {
    let bench = try HandlerBench()
    let half = bench.shellWorker(#"read -r job; printf '{"id":"x","ok":tr'; exit 0"#)
    let end = try bench.run(bench.job(half, "x", #""do":"ok""#))
    #expect(end.error?.code == "worker_died")
    var whole = bench.shellWorker(#"read -r job; printf '{"id":"y","ok":true}'; exit 0"#)
    whole.type = "whole"
    #expect(try bench.run(bench.job(whole, "y", #""do":"ok""#)).error == nil)
  }

  @Test("jobs that a dying worker never read run elsewhere, and nobody hears of it")
  func unread() throws {
    let bench = try HandlerBench()
    // Takes one line byte by byte, as the shell does on a pipe, answers and goes.
    let settings = bench.shellWorker(
      #"read -r job; id=${job#*\"id\":\"}; printf '{"id":"%s","ok":true,"result":%s}\n' "${id%%\"*}" $$"#,
      concurrency: 4)
    for id in ["a", "b", "c", "d"] { try bench.start(bench.job(settings, id, #""do":"ok""#)) }
    try bench.wait { ["a", "b", "c", "d"].allSatisfy { !bench.ends($0).isEmpty } }
    let ends = ["a", "b", "c", "d"].flatMap { bench.ends($0) }
    #expect(ends.allSatisfy { $0.error == nil && $0.stopReason == nil })
    #expect(Set(ends.map(\.text)).count == 4)
  }

  @Test("a timeout ends its job and the process; the other job in there is handed back")
  func timeout() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 2, processes: 1)
    let first = try bench.pid(settings, "p")
    try bench.hold(settings, "other")
    let end = try bench.run(bench.job(settings, "slow", #""do":"hold""#, timeout: .milliseconds(300)))
    #expect(end.stopReason == .timeout)
    #expect(end.error?.code == "timeout")
    try bench.wait { !bench.ends("other").isEmpty }
    #expect(bench.ends("other").first?.stopReason == .shutdown)
    #expect(try bench.pid(settings, "q") != first)
    #expect(!bench.survivors().contains(try #require(pid_t(first))))
  }

  @Test("silence is a stall, a line for the job is none")
  func stalled() throws {
    let bench = try HandlerBench()
    let settings = bench.worker()
    let silent = try bench.run(bench.job(settings, "s", #""do":"hold""#, stalledAfter: .milliseconds(400)))
    #expect(silent.stopReason == .stalled)
    let lively = try bench.run(
      bench.job(settings, "l", #""do":"beat","times":40"#, stalledAfter: .seconds(3)))
    #expect(lively.stopReason == nil)
    #expect(lively.error == nil)
  }

  @Test("cancelling takes a waiting job out, and a running one with its process")
  func cancel() throws {
    let bench = try HandlerBench()
    let settings = bench.worker()
    try bench.hold(settings, "running")
    // More than the engine would start: it waits in the pool.
    try bench.start(bench.job(settings, "waiting", #""do":"ok""#))
    try bench.start(bench.job(settings, "next", #""do":"ok""#))
    bench.runner.stop("waiting", reason: .cancelled)
    bench.runner.stop("nobody", reason: .cancelled)
    #expect(bench.ends("waiting").isEmpty, "never from inside the call")
    try bench.wait { !bench.ends("waiting").isEmpty }
    #expect(bench.ends("waiting").first?.stopReason == .cancelled)
    #expect(bench.ends("running").isEmpty)
    bench.runner.stop("running", reason: .cancelled)
    try bench.wait { !bench.ends("next").isEmpty }
    #expect(bench.ends("running").first?.stopReason == .cancelled)
    #expect(bench.ends("running").first?.ending == .signalled(SIGTERM))
    #expect(bench.ends("next").first?.error == nil)
  }

  @Test("who ignores TERM is killed after the grace, and hurry ends the grace")
  func ignoresTerm() throws {
    let bench = try HandlerBench()
    var settings = bench.shellWorker(
      #"trap '' TERM; while read -r job; do printf '{"id":"x","stage":"held"}\n'; sleep 600; done"#)
    settings.grace = .seconds(600)
    try bench.hold(settings, "x")
    bench.runner.stop("x", reason: .shutdown)
    try bench.loop.runOnce(timeout: .milliseconds(50))
    #expect(bench.ends("x").isEmpty)
    bench.runner.hurry()
    try bench.wait { !bench.ends("x").isEmpty }
    #expect(bench.ends("x").first?.ending == .signalled(SIGKILL))
    #expect(bench.survivors().isEmpty)
  }

  @Test("after recycle_after jobs a process is replaced")
  func recycleAfter() throws {
    let bench = try HandlerBench()
    var settings = bench.worker()
    settings.recycleAfter = 2
    let pids = try (1...5).map { try bench.pid(settings, "n\($0)") }
    #expect(pids[0] == pids[1] && pids[2] == pids[3])
    #expect(Set(pids).count == 3)
  }

  @Test("changed settings give the next job a new process, while the old one finishes what it has")
  func settings() throws {
    let bench = try HandlerBench()
    var settings = bench.worker(concurrency: 2, processes: 1)
    let first = try bench.pid(settings, "p")
    let other = bench.job(settings, "other", #""do":"beat","times":5"#)
    try bench.start(other)
    try bench.wait { !bench.progress("other").isEmpty }
    settings.environment = ["CHANGED": "1"]
    #expect(try bench.pid(settings, "q") != first)
    try bench.wait { !bench.ends("other").isEmpty }
    #expect(bench.ends("other").first?.error == nil)
    bench.runner.keepWorkers(of: ["test": settings])
    try bench.wait { bench.survivors().count == 1 }
    bench.runner.keepWorkers(of: [:])
    try bench.wait { bench.survivors().isEmpty }
  }

  @Test("a watched file that changes replaces the processes")
  func watch() throws {
    let bench = try HandlerBench()
    var settings = bench.worker()
    settings.watch = ["*.conf"]
    _ = bench.write("a", to: "x.conf")
    let first = try bench.pid(settings, "p")
    _ = bench.write("ab", to: "x.conf")
    let end = EventLoop.now + .seconds(2)
    #expect(try bench.pid(settings, "soon") == first)
    try bench.wait { EventLoop.now >= end }
    #expect(try bench.pid(settings, "late") != first)
  }

  @Test("watched files are looked at every two seconds at most; new, gone and changed ones count")
  func watchedFiles() throws {
    let bench = try HandlerBench()
    var settings = bench.worker()
    settings.watch = ["lib/*.py", "\(bench.folder)/*.ini"]
    mkdir("\(bench.folder)/lib", 0o755)
    var files = WatchedFiles(settings)
    var now = Duration.seconds(100)
    func changed(after seconds: Int) -> Bool {
      now += .seconds(seconds)
      return files.haveChanged(now)
    }
    #expect(!changed(after: 0))
    let path = bench.write("1", to: "lib/a.py")
    #expect(!changed(after: 1))
    #expect(changed(after: 1))
    #expect(!changed(after: 2))
    _ = bench.write("22", to: "lib/a.py")
    _ = bench.write("", to: "lib/a.txt")
    #expect(changed(after: 2))
    _ = bench.write("", to: "b.ini")
    #expect(changed(after: 2))
    unlink(path)
    #expect(changed(after: 2))
    #expect(!changed(after: 2))
  }

  @Test("a worker that never reads gets what fits the pipe, and its job its timeout")
  func neverReads() throws {
    let bench = try HandlerBench()
    let settings = bench.shellWorker("exec sleep 600", concurrency: 2)
    let padding = String(repeating: "x", count: 1 << 20)
    let large = bench.job(settings, "large", "\"do\":\"ok\",\"padding\":\"\(padding)\"", timeout: .milliseconds(400))
    try bench.start(bench.job(settings, "behind", #""do":"ok""#, timeout: .milliseconds(900)))
    let end = try bench.run(large)
    #expect(end.stopReason == .timeout)
    // It was never read, so it goes to the next process, where it has its whole time.
    try bench.wait { !bench.ends("behind").isEmpty }
    #expect(bench.ends("behind").first?.stopReason == .timeout)
  }

  @Test("workers that end before they read a job pause the type, and no attempt is spent")
  func broken() throws {
    let bench = try HandlerBench()
    let settings = bench.shellWorker("echo no license >&2; exit 3", concurrency: 2)
    try bench.start(bench.job(settings, "a", #""do":"ok""#))
    try bench.start(bench.job(settings, "b", #""do":"ok""#))
    try bench.wait { !bench.ends("a").isEmpty && !bench.ends("b").isEmpty }
    #expect(bench.ends("a").first?.stopReason == .shutdown)
    #expect(bench.ends("b").first?.stopReason == .shutdown)
    let problem = #expect(throws: StartProblem.self) { try bench.start(bench.job(settings, "c", #""do":"ok""#)) }
    #expect(problem?.kind == .broken)
    #expect(problem?.message.contains("exited with 3 (no license)") == true)
  }

  @Test("a worker that closes its standard input does not spin, and pauses the type in the end")
  func closesInput() throws {
    let bench = try HandlerBench()
    let settings = bench.shellWorker("exec <&-; sleep 600")
    try bench.start(bench.job(settings, "a", #""do":"ok""#))
    try bench.wait { !bench.ends("a").isEmpty }
    #expect(bench.ends("a").first?.stopReason == .shutdown)
    #expect(throws: StartProblem.self) { try bench.start(bench.job(settings, "c", #""do":"ok""#)) }
  }

  @Test("a worker that closes its standard output is replaced")
  func closesOutput() throws {
    let bench = try HandlerBench()
    let settings = bench.shellWorker("read -r job; exec >&-; sleep 600")
    let end = try bench.run(bench.job(settings, "a", #""do":"ok""#))
    #expect(end.error?.code == "worker_silent")
    #expect(end.stopReason == nil)
  }

  @Test("a missing program throws, and nothing is started")
  func missing() throws {
    let bench = try HandlerBench()
    var settings = bench.worker()
    settings.command = ["./not-there"]
    let problem = #expect(throws: StartProblem.self) { try bench.start(bench.job(settings, "a", #""do":"ok""#)) }
    #expect(problem?.kind == .broken)
    try bench.closeWorkers()
  }

  @Test("closing leaves nothing: neither workers nor what they started")
  func close() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 3)
    for id in ["a", "b", "c"] { try bench.start(bench.job(settings, id, #""do":"detach""#)) }
    try bench.wait { ["a", "b", "c"].allSatisfy { !bench.ends($0).isEmpty } }
    // One that is just being executed has no environment to be known by: all six may be seen at one look and not at the next.
    try bench.wait { bench.survivors().count == 6 }
    try bench.closeWorkers()
    #expect(bench.survivors().isEmpty)
  }
}
