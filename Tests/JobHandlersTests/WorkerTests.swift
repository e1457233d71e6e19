import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

/// What workers are sent and what their answers mean.
@Suite struct WorkerTests {
  @Test("many jobs go through few processes, each with its own result, and no more at once than allowed")
  func many() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 8, processes: 2)
    var next = 0
    var running = 0
    var most = 0
    func startNext() {
      guard next < 500 else { return }
      next += 1
      running += 1
      most = max(most, running)
      do {
        try bench.start(bench.job(settings, "n\(next)", #""do":"echo","value":\#(next)"#)) { event in
          guard case .ended = event else { return }
          running -= 1
          startNext()
        }
      } catch {
        Issue.record(error)
      }
    }
    for _ in 0..<8 { startNext() }
    try bench.wait { next == 500 && running == 0 }
    #expect(most == 8)
    for number in 1...500 {
      let ends = bench.ends("n\(number)")
      #expect(ends.count == 1)
      #expect(ends.first?.text == "\(number)")
      #expect(ends.first?.ending == .exited(0))
      #expect(ends.first?.error == nil)
    }
    #expect(bench.survivors().count == 2)
    try bench.closeWorkers()
    #expect(bench.survivors().isEmpty)
  }

  @Test("several jobs in one process may end in any order")
  func severalInFlight() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 4, processes: 1)
    for id in ["a", "b", "c"] { try bench.hold(settings, id) }
    let last = try bench.run(bench.job(settings, "d", #""do":"flush""#))
    #expect(last.error == nil && last.result == nil)
    for id in ["a", "b", "c"] { #expect(bench.ends(id).map(\.text) == ["\"held\""]) }
    #expect(bench.survivors().count == 1)
  }

  @Test("a job goes to an idle process before a busy one")
  func leastLoaded() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 4, processes: 2)
    try bench.hold(settings, "a")
    let first = try bench.pid(settings, "b")
    #expect(try bench.pid(settings, "c") == first)
  }

  @Test("progress, stage, message, heartbeat and log reach the job that the line names")
  func progress() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 2, processes: 1)
    try bench.hold(settings, "other")
    let lines =
      #"{\"id\":\"ID\",\"progress\":30,\"stage\":\"select\"}\n{\"message\":\"m\",\"id\":\"ID\"}\n"#
      + #"{\"id\":\"ID\",\"heartbeat\":1}\n"#
      + #"{\"id\":\"ID\",\"log\":{\"level\":\"warn\",\"category\":\"c\",\"code\":\"d\",\"message\":\"e\"}}\n"#
      + #"{\"id\":\"ID\",\"ok\":true,\"progress\":100,\"result\":{ \"a\": [1.0] }}\n"#
    let end = try bench.run(bench.job(settings, "j", "\"do\":\"write\",\"text\":\"\(lines)\""))
    #expect(
      bench.progress("j") == [
        ProgressUpdate(percent: 30, stage: "select"), ProgressUpdate(message: "m"), ProgressUpdate(),
        ProgressUpdate(percent: 100),
      ])
    let logged = (bench.events["j"] ?? []).contains { event in
      if case .log(let line) = event {
        line == LogLine(level: "warn", category: "c", code: "d", message: "e")
      } else {
        false
      }
    }
    #expect(logged)
    #expect(bench.log("j").hasSuffix("Z warn c d e\n"))
    #expect(end.text == #"{"a":[1.0]}"#)
    #expect(bench.progress("other").count == 1)
  }

  @Test("a failure carries its error, whether to try again, and when")
  func failures() throws {
    let bench = try HandlerBench()
    let settings = bench.worker()
    func fail(_ id: String, _ rest: String) throws -> AttemptEnd {
      let quoted = rest.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
      return try bench.run(
        bench.job(settings, id, #""do":"write","text":"{\"id\":\"ID\",\"ok\":false\#(quoted)}\n""#))
    }
    let whole = try fail("a", #","error":{"code":"gone","message":"it is gone","details":{"n":[1]}},"retry":false"#)
    #expect(whole.error == JobError(code: "gone", message: "it is gone", details: Array(#"{"n":[1]}"#.utf8)))
    #expect(whole.permanent == true)
    #expect(whole.ending == .exited(0))
    #expect(
      Verdict.of(
        ending: whole.ending, error: whole.error, permanent: whole.permanent, attempt: 1, policy: RetryPolicy(),
        random: 0)
        == .bury(.failed))
    let later = try fail("b", #","error":"not now","retry_in":"90s","retry":true"#)
    #expect(later.error == JobError(code: "failed", message: "not now"))
    #expect(later.retryIn == .seconds(90))
    #expect(later.permanent == nil)
    let bare = try fail("c", "")
    #expect(bare.error?.code == "failed")
  }

  @Test("lines for unknown jobs, and noise, are noted and harm nobody")
  func noise() throws {
    let bench = try HandlerBench()
    let settings = bench.worker()
    let first = try bench.pid(settings, "first")
    let text =
      #"PHP Warning: oops\n[1]\n{\"ok\":true}\n{\"id\":\"stranger\",\"ok\":true}\n\n{\"id\":\"ID\",\"ok\":true}\n"#
    #expect(try bench.run(bench.job(settings, "x", #""do":"write","text":"\#(text)""#)).error == nil)
    // Its job has ended already.
    let again = #"{\"id\":\"x\",\"ok\":true}\n{\"id\":\"ID\",\"ok\":true}\n"#
    #expect(try bench.run(bench.job(settings, "y", #""do":"write","text":"\#(again)""#)).error == nil)
    #expect(bench.ends("x").count == 1)
    let log = bench.workerLog
    for part in ["worker 1: a line on standard output was ignored", "\"stranger\"", "\"x\"", "there is no \"id\""] {
      #expect(log.contains(part), "\(log)")
    }
    #expect(try bench.pid(settings, "last") == first)
  }

  @Test("an answer that is not JSON fails its job alone; a line that only names its job costs the process too")
  func malformed() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 2, processes: 1)
    let first = try bench.pid(settings, "p")
    let nan = #"{\"id\": \"ID\", \"ok\": true, \"result\": NaN}\n"#
    let answer = try bench.run(bench.job(settings, "x", #""do":"write","text":"\#(nan)""#))
    #expect(answer.error?.code == "bad_answer")
    #expect(try bench.pid(settings, "q") == first)
    try bench.hold(settings, "bystander")
    let open = #"{\"id\": \"ID\", \"progress\": Infinity}\n"#
    let line = try bench.run(bench.job(settings, "y", #""do":"write","text":"\#(open)""#))
    #expect(line.error?.code == "bad_answer")
    #expect(line.stopReason == nil)
    #expect(line.permanent != true)
    #expect(bench.ends("bystander").first?.stopReason == .shutdown)
    #expect(try bench.pid(settings, "r") != first)
  }

  @Test("a known answer with a wrong part counts, and the job's log says what was wrong")
  func wrongPart() throws {
    let bench = try HandlerBench()
    let settings = bench.worker()
    let text = #"{\"id\":\"ID\",\"ok\":true,\"progress\":\"half\",\"result\":1}\n"#
    let end = try bench.run(bench.job(settings, "x", #""do":"write","text":"\#(text)""#))
    #expect(end.text == "1")
    #expect(bench.log("x").contains("\"progress\" is a number"))
  }

  @Test("a result over the limit is an error; a line without end costs the process, and only its job an attempt")
  func tooLarge() throws {
    let bench = try HandlerBench()
    var settings = bench.worker(concurrency: 2, processes: 1)
    settings.maxResultBytes = 1000
    let first = try bench.pid(settings, "p")
    let large = try bench.run(
      bench.job(settings, "x", #""do":"echo","value":"\#(String(repeating: "y", count: 2000))""#))
    #expect(large.error?.code == "result_too_large")
    #expect(large.result == nil)
    #expect(try bench.pid(settings, "q") == first)
    try bench.hold(settings, "bystander")
    // Some hundred MB if nobody stopped it.
    let text = #"{\"id\":\"ID\",\"ok\":true,\"result\":\"ID is larger than large"#
    let huge = try bench.run(bench.job(settings, "h", #""do":"write","text":"\#(text)","times":4000000"#))
    #expect(huge.error?.code == "result_too_large")
    #expect(bench.ends("bystander").first?.stopReason == .shutdown)
    #expect(try bench.pid(settings, "r") != first)
    #expect(bench.workerLog.contains("it wrote a line of more than"))
  }

  @Test("standard error goes to the job's log when there is just one job, else to that of the workers")
  func standardError() throws {
    let bench = try HandlerBench()
    let settings = bench.worker(concurrency: 2, processes: 1)
    _ = try bench.run(bench.job(settings, "alone", #""do":"complain","text":"about one job\n""#))
    try bench.hold(settings, "other")
    _ = try bench.run(bench.job(settings, "second", #""do":"complain","text":"about who knows\n""#))
    try bench.closeWorkers()
    #expect(bench.log("alone").contains("about one job\n"))
    #expect(bench.log("second").isEmpty && bench.log("other").isEmpty)
    #expect(bench.workerLog.contains("about who knows\n"))
  }

  @Test("the environment names the type, the spool and the worker, and no job")
  func environment() throws {
    let bench = try HandlerBench()
    let settings = bench.worker()
    let end = try bench.run(bench.job(settings, "e", #""do":"environment""#))
    let value = try JSONReader.parse(try #require(end.result))
    #expect(
      Set((value.members ?? []).map(\.key)) == [
        "JOBSPOOL_WORKER", "JOBSPOOL_TYPE", "JOBSPOOL_DIR", "JOBSPOOL_NODE", "JOBSPOOL_TOKEN",
      ])
    #expect(value["JOBSPOOL_TYPE"]?.string == "test")
    #expect(value["JOBSPOOL_DIR"]?.string == bench.folder)
  }
}
