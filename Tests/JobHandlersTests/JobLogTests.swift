import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct JobLogTests {
  @Test("standard error is appended, each attempt after a line that opens it")
  func appended() throws {
    let bench = try HandlerBench()
    _ = try bench.run(bench.request(bench.shell("printf 'one' >&2"), id: "log"))
    _ = try bench.run(bench.request(bench.shell("echo two >&2"), id: "log"))
    let lines = bench.log("log").split(separator: "\n").map(String.init)
    #expect(lines.count == 4)
    #expect(lines[0].hasPrefix("--- attempt 2 2"))
    #expect(lines[0].hasSuffix("Z ---"))
    #expect(lines[1] == "one")
    #expect(lines[2].hasPrefix("--- attempt 2 2"))
    #expect(lines[3] == "two")
    var status = stat()
    #expect(stat("\(bench.folder)/logs/log.log", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o640)
  }

  @Test("a job that says nothing has no log")
  func silent() throws {
    let bench = try HandlerBench()
    _ = try bench.run(bench.request(bench.shell("true"), id: "silent"))
    #expect(access("\(bench.folder)/logs/silent.log", F_OK) != 0)
  }

  @Test("a log is cut at its bound, says so once, and stays cut")
  func bounded() throws {
    let bench = try HandlerBench()
    for _ in 1...2 {
      let end = try bench.run(bench.request(bench.shell("head -c 3000000 /dev/zero | tr '\\0' x >&2"), id: "big"))
      #expect(end.ending == .exited(0))
    }
    let log = bench.log("big")
    #expect(log.utf8.count < (1 << 20) + 200)
    #expect(log.utf8.count > 1 << 20)
    #expect(log.hasSuffix("--- cut here: a job's log holds at most 1M ---\n"))
    #expect(log.split(separator: "\n").count == 3)
  }

  @Test("a log that cannot be written is reported once and harms nothing", arguments: ["folder", "link", "fifo"])
  func unwritable(obstacle: String) throws {
    let bench = try HandlerBench()
    var request = bench.request(bench.shell("echo a >&2; sleep 0.1; echo b >&2; echo done"), id: "odd")
    switch obstacle {
    case "folder": request.logPath = "\(bench.folder)/no/such/folder.log"
    case "link": symlink("/etc/passwd", request.logPath)
    default: mkfifo(request.logPath, 0o600)
    }
    let end = try bench.run(request)
    #expect(end.ending == .exited(0))
    #expect(end.text == "\"done\"")
    let remarks = (bench.events["odd"] ?? []).filter { event in
      guard case .log(let line) = event else { return false }
      return line.code == "log_unwritable"
    }
    #expect(remarks.count == 1)
  }
}
