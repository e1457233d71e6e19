import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct ExecRunnerTests {
  @Test("exit codes and signals are told apart", arguments: [0, 1, 64, 75, 100, 255])
  func exitCode(code: Int32) throws {
    let end = try HandlerBench().run("exit \(code)")
    #expect(end.ending == .exited(code))
    #expect(end.stopReason == nil)
    #expect((end.error == nil) == (code == 0))
  }

  @Test("a handler that dies of a signal is reported so")
  func signalled() throws {
    let end = try HandlerBench().run("kill -SEGV $$")
    #expect(end.ending == .signalled(SIGSEGV))
    #expect(end.error?.code == "signal")
  }

  @Test("the last line of standard error explains a failure")
  func lastWords() throws {
    let end = try HandlerBench().run("echo first >&2; printf 'cannot reach \\033[1mdb\\n\\n' >&2; exit 2")
    #expect(end.error == JobError(code: "exit", message: "exit code 2: cannot reach [1mdb"))
  }

  @Test("the job arrives on standard input, and the input ends")
  func input() throws {
    let bench = try HandlerBench()
    let job = Array(#"{"id":"a","payload":1}"#.utf8) + [0x0A]
    let end = try bench.run(bench.request(bench.shell("cat"), input: job))
    #expect(end.text == #"{"id":"a","payload":1}"#)
  }

  @Test("what it writes before anybody listens, and after, is there in order")
  func earlyAndLate() throws {
    let bench = try HandlerBench()
    let script = """
      for n in 1 2 3; do
        echo out $n; echo err $n >&2; echo '{"progress": '$n'}' >&3; sleep 0.05
      done
      head -c 100000 /dev/zero | tr '\\0' x
      """
    var settings = bench.shell(script)
    settings.maxResultBytes = 1 << 20
    var progress: [Double?] = []
    let end = try bench.run(bench.request(settings, id: "early")) { event in
      if case .progress(let update) = event { progress.append(update.percent) }
    }
    #expect(end.text == #""out 1\nout 2\nout 3\n"# + String(repeating: "x", count: 100_000) + "\"")
    #expect(progress == [1, 2, 3])
    #expect(bench.log("early").hasSuffix("err 1\nerr 2\nerr 3\n"))
  }

  @Test("an input larger than a pipe arrives whole")
  func largeInput() throws {
    let bench = try HandlerBench()
    let job = [UInt8](repeating: 0x61, count: 1 << 20)
    #expect(try bench.run(bench.request(bench.shell("wc -c"), input: job)).text == "1048576")
  }

  @Test(
    "a handler need not read its input",
    arguments: ["true", "exec <&-; sleep 0.1; echo ok", "head -c 10 >/dev/null; exec <&-; sleep 0.1; echo ok"])
  func unreadInput(script: String) throws {
    let bench = try HandlerBench()
    let end = try bench.run(bench.request(bench.shell(script), input: [UInt8](repeating: 0x61, count: 1 << 20)))
    #expect(end.ending == .exited(0))
    #expect(end.error == nil)
  }

  @Test("the environment says which job it is, and nothing of the daemon's own settings")
  func environment() throws {
    setenv("JOBSPOOL_SECRET_OF_THE_DAEMON", "x", 1)
    let bench = try HandlerBench()
    unsetenv("JOBSPOOL_SECRET_OF_THE_DAEMON")
    var settings = bench.shell("env | grep -E '^(JOBSPOOL_|LANG=|PATH=|HELLO=)' | sort")
    settings.environment = ["LANG": "C.UTF-8", "HELLO": "a b=c", "JOBSPOOL_ID": "forged"]
    let end = try bench.run(bench.request(settings, id: "env"))
    let text = try JSONReader.parse(try #require(end.result)).string
    let lines = try #require(text).split(separator: "\n").map(String.init)
    #expect(
      lines.filter { !$0.hasPrefix("PATH=") } == [
        "HELLO=a b=c", "JOBSPOOL_ATTEMPT=2", "JOBSPOOL_DIR=\(bench.folder)", "JOBSPOOL_ID=env",
        "JOBSPOOL_JOB=\(bench.folder)/cur/env.json", "JOBSPOOL_MAX_ATTEMPTS=5", "JOBSPOOL_NODE=node-1",
        "JOBSPOOL_TOKEN=\(bench.token)", "JOBSPOOL_TYPE=test", "LANG=C.UTF-8",
      ])
    #expect(lines.contains { $0.hasPrefix("PATH=/") })
  }

  @Test("it runs in the spool, in a session of its own, with signals at their defaults")
  func surroundings() throws {
    let bench = try HandlerBench()
    let end = try bench.run(
      #"echo "$(pwd) $(cut -d' ' -f5,6 /proc/$$/stat | tr ' ' =) $$ $(grep -E '^Sig(Blk|Ign)' /proc/$$/status | tr -d '\n\t')""#
    )
    let words = try #require(end.text).dropFirst().dropLast().split(separator: " ").map(String.init)
    #expect(words.count == 4)
    #expect(words[0] == bench.folder)
    #expect(words[1] == "\(words[2])=\(words[2])")
    #expect(words[3] == "SigBlk:0000000000000000SigIgn:0000000000000000")
  }

  @Test("a handler sees descriptors 0 to 3 and no other")
  func descriptors() throws {
    let bench = try HandlerBench()
    // One that is not close-on-exec, as careless libraries leave them.
    let careless = dup(0)
    let end = try bench.run("exec ls /proc/self/fd")
    close(careless)
    // ls itself opens the folder it lists.
    #expect(end.text == #""0\n1\n2\n3\n4""#)
    let kinds = try bench.run("for n in 0 1 2 3; do readlink /proc/$$/fd/$n | cut -d: -f1; done")
    #expect(kinds.text == #""pipe\npipe\npipe\npipe""#)
  }

  @Test("an absolute path, a path beside the handler file and a name in PATH are found")
  func programs() throws {
    let bench = try HandlerBench()
    _ = bench.write("#!/bin/sh\necho \"found $1\"\n", to: "tool.sh", mode: 0o755)
    for command in [["\(bench.folder)/tool.sh", "me"], ["./tool.sh", "me"], ["echo", "found me"]] {
      var settings = bench.shell("")
      settings.command = command
      #expect(try bench.run(bench.request(settings)).text == #""found me""#)
    }
  }

  @Test("a program that cannot be run starts nothing and says how to mend it")
  func broken() throws {
    let bench = try HandlerBench()
    _ = bench.write("#!/bin/sh\n", to: "plain.sh")
    _ = bench.write("no interpreter", to: "text", mode: 0o755)
    _ = bench.write("#!/no/such/interpreter\n", to: "lost.sh", mode: 0o755)
    for (command, words) in [
      ("no-such-program-at-all", "PATH"), ("/no/such/program", "does not exist"), ("./plain.sh", "chmod +x"),
      ("/tmp", "is not a file"), ("./text", "#!"), ("./lost.sh", "interpreter"), ("", "empty"),
    ] {
      var settings = bench.shell("")
      settings.command = [command]
      do throws(StartProblem) {
        try bench.runner.start(bench.request(settings)) { _ in Issue.record("nothing may be reported") }
        Issue.record("\(command) was started")
      } catch {
        #expect(error.kind == .broken)
        #expect(error.message.contains(settings.file), "names the handler file: \(error.message)")
        #expect(error.message.contains(words), "\(error.message)")
      }
    }
    try bench.loop.runOnce(timeout: .zero)
  }

  @Test("a handler in another mode is refused rather than run the wrong way")
  func otherMode() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("true")
    settings.mode = .worker
    let runner = try ExecRunner(loop: bench.loop, ownsProcess: false)
    #expect(throws: StartProblem.self) { try runner.start(bench.request(settings)) { _ in } }
  }

  @Test("a program that comes back is found again, one that goes is missed")
  func comesAndGoes() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("")
    settings.command = ["./tool.sh"]
    let request = bench.request(settings)
    #expect(throws: StartProblem.self) { try bench.runner.start(request) { _ in } }
    let path = bench.write("#!/bin/sh\n", to: "tool.sh", mode: 0o755)
    #expect(try bench.run(request).ending == .exited(0))
    unlink(path)
    #expect(throws: StartProblem.self) { try bench.runner.start(request) { _ in } }
  }

  @Test("limits reach the program, which keeps its pid and group")
  func limits() throws {
    let bench = try HandlerBench()
    var settings = bench.shell("echo $(ulimit -d) $(ulimit -t) $(ulimit -n) $(nice)")
    settings.limits.memory = 256 << 20
    settings.limits.cpu = .milliseconds(29_500)
    settings.limits.files = 200
    settings.limits.nice = 5
    let before = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
    #expect(try bench.run(bench.request(settings)).text == "\"262144 30 200 \(before + 5)\"")
  }

  @Test("a handler becomes its user", .enabled(if: getuid() == 0 && Account(named: "nobody") != nil))
  func user() throws {
    let bench = try HandlerBench()
    chmod(bench.folder, 0o755)
    var settings = bench.shell("echo $(id -un) $(id -gn) $USER")
    settings.user = "nobody"
    #expect(try bench.run(bench.request(settings)).text == #""nobody nogroup nobody""#)
    settings.user = "no-such-user-here"
    #expect(throws: StartProblem.self) { try bench.runner.check(settings) }
  }

  @Test("memory and CPU time are measured")
  func usage() throws {
    let end = try HandlerBench().run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    #expect(try #require(end.peakMemory) > 100_000)
    #expect(try #require(end.cpuTime) > .zero)
  }

  @Test("200 jobs at once end once each, with their own results, and leave nothing")
  func many() throws {
    let bench = try HandlerBench()
    var ended = 0
    for number in 0..<200 {
      let script =
        "read line; echo \"$line\"; echo '{\"progress\": 50}' >&3; sleep 0.0\(number % 7); exit \(number % 3)"
      let request = bench.request(bench.shell(script), id: "many-\(number)", input: Array("\(number)\n".utf8))
      try bench.start(request) { event in if case .ended = event { ended += 1 } }
    }
    try bench.wait { ended == 200 }
    for number in 0..<200 {
      let ends = bench.ends("many-\(number)")
      #expect(ends.count == 1)
      #expect(ends.first?.ending == .exited(Int32(number % 3)))
      #expect(ends.first?.text == "\(number)")
    }
    #expect(bench.survivors().isEmpty)
  }
}
