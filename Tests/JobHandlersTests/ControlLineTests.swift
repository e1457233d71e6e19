import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct ControlLineTests {
  private func parse(_ text: String) throws -> ControlLine { try ControlLine(parsing: Array(text.utf8)) }

  @Test("every key is understood")
  func keys() throws {
    let line = try parse(
      #"{"progress": 30.5, "stage": "select", "message": "m", "result": {"a" : [1, 1.0]}, "retry_in": "90s","#
        + #" "error": {"code": "c", "message": "e", "details": {"d" : 1}},"#
        + #" "log": {"level": "warning", "category": "k", "code": "l", "message": "t"}}"#)
    #expect(line.progress == ProgressUpdate(percent: 30.5, stage: "select", message: "m"))
    #expect(line.result == Array(#"{"a":[1,1.0]}"#.utf8))
    #expect(line.retryIn == .seconds(90))
    #expect(line.error == JobError(code: "c", message: "e", details: Array(#"{"d":1}"#.utf8)))
    #expect(line.log == LogLine(level: "warning", category: "k", code: "l", message: "t"))
    #expect(line.isProgress)
    #expect(line.unknown.isEmpty)
  }

  @Test("retry_in takes seconds as a number", arguments: [("2", Duration.seconds(2)), ("0.25", .milliseconds(250))])
  func retryIn(number: String, duration: Duration) throws {
    #expect(try parse("{\"retry_in\":\(number)}").retryIn == duration)
  }

  @Test("percentages stay between 0 and 100")
  func clamped() throws {
    #expect(try parse(#"{"progress":250}"#).progress.percent == 100)
    #expect(try parse(#"{"progress":-1}"#).progress.percent == 0)
  }

  @Test("a heartbeat is an empty update; a bare result is none")
  func heartbeat() throws {
    #expect(try parse(#"{"heartbeat":true}"#).isProgress)
    #expect(try parse(#"{"heartbeat":true}"#).progress == ProgressUpdate())
    #expect(try !parse(#"{"result":1}"#).isProgress)
  }

  @Test("an error may be just its message")
  func plainError() throws {
    #expect(try parse(#"{"error":"no"}"#).error == JobError(code: "failed", message: "no"))
  }

  @Test("unknown keys are named and harm nothing")
  func unknown() throws {
    let line = try parse(#"{"progres":1,"stage":"s"}"#)
    #expect(line.unknown == ["progres"])
    #expect(line.progress.stage == "s")
  }

  @Test(
    "what is no control line is refused",
    arguments: [
      "", "30", "[]", "{", #"{"progress":"30"}"#, #"{"stage":1}"#, #"{"retry_in":"soon"}"#, #"{"retry_in":-1}"#,
      #"{"error":1}"#, #"{"log":"x"}"#, #"{"progress":1,"progress":2}"#, #"{"stage":"a"},"#,
    ])
  func refused(text: String) {
    #expect(throws: ControlLine.Problem.self) { try parse(text) }
  }

  @Test("lines written by a shell arrive as events, in order, the last without its newline too")
  func events() throws {
    let bench = try HandlerBench()
    let script = #"""
      echo '{"progress":10,"stage":"read"}' >&3
      echo 'rubbish' >&3
      echo >&3
      echo '{"log":{"level":"info","category":"shop","code":"sent","message":"to you"}}' >&3
      echo '{"retry_in":"7s","error":{"code":"busy","message":"try later"}}' >&3
      printf '{"progress":90}' >&3
      exit 75
      """#
    let request = bench.request(bench.shell(script), id: "control")
    let end = try bench.run(request)
    var updates: [ProgressUpdate] = []
    var lines: [LogLine] = []
    for event in bench.events["control"] ?? [] {
      switch event {
      case .progress(let update): updates.append(update)
      case .log(let line): lines.append(line)
      case .ended, .notStarted: break
      }
    }
    #expect(updates == [ProgressUpdate(percent: 10, stage: "read"), ProgressUpdate(percent: 90)])
    #expect(lines == [LogLine(level: "info", category: "shop", code: "sent", message: "to you")])
    #expect(end.retryIn == .seconds(7))
    #expect(end.error == JobError(code: "busy", message: "try later"))
    #expect(end.ending == .exited(75))
    #expect(bench.log("control").contains("control line on descriptor 3 was ignored"))
    #expect(bench.log("control").contains("Z info shop sent to you\n"))
  }

  @Test("a line over 64 KiB is dropped with a note, the next one counts")
  func tooLong() throws {
    let bench = try HandlerBench()
    let script = #"(head -c 200000 /dev/zero | tr '\0' x; echo; echo '{"stage":"after"}') >&3"#
    _ = try bench.run(bench.request(bench.shell(script), id: "long"))
    #expect(bench.log("long").contains("longer than 65536 bytes"))
    let stages = (bench.events["long"] ?? []).compactMap { event -> String? in
      guard case .progress(let update) = event else { return nil }
      return update.stage
    }
    #expect(stages == ["after"])
  }

  @Test("an error reported before exit 0 does not make a failure, but is not lost")
  func errorAndSuccess() throws {
    let bench = try HandlerBench()
    let script = #"echo '{"error":{"code":"odd","message":"m"}}' >&3"#
    let end = try bench.run(bench.request(bench.shell(script), id: "odd"))
    #expect(end.ending == .exited(0))
    #expect(end.error == nil)
    #expect(bench.log("odd").contains("\"odd\""))
  }
}
