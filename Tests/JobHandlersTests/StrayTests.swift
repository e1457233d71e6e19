import CSpoolShims
import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

@Suite struct StrayTests {
  @Test(
    "nothing of a job is alive when it ends",
    arguments: [
      ("a child in the background", "sleep 600 &"),
      ("grandchildren", "sh -c 'sleep 600 & sleep 600 & wait' &"),
      ("a daemon: double fork and a session of its own", "sh -c 'setsid sh -c \"sleep 600 & sleep 600\" &' "),
      ("a session leader that is gone", "setsid sh -c 'sleep 600 &'"),
      ("a daemon that ignores signals", "setsid sh -c 'trap \"\" TERM HUP INT; sleep 600; sleep 600' &"),
      ("a chain of sessions", "setsid sh -c 'setsid sh -c \"setsid sleep 600 &\" & sleep 600' &"),
      ("one that forks all the time", "setsid sh -c 'while :; do sleep 0.01 & done' & sleep 0.05"),
      ("a daemon with a cleared environment that still has our session", "env -i sh -c 'sleep 600 &'"),
    ])
  func leavesNothing(what: String, script: String) throws {
    let bench = try HandlerBench()
    // Each process says who it is, so that also one without the token can be looked for.
    let file = "\(bench.folder)/pids"
    let end = try bench.run("\(script)\nps -e -o pid=,args= | grep '[s]leep 600' >> \(file); exit 0")
    #expect(end.ending == .exited(0))
    #expect(bench.survivors().isEmpty, "\(what)")
  }

  @Test("a child of a handler that was killed is ended with it")
  func crash() throws {
    let bench = try HandlerBench()
    let end = try bench.run("setsid sleep 600 & kill -KILL $$")
    #expect(end.ending == .signalled(SIGKILL))
    #expect(bench.survivors().isEmpty)
  }

  @Test("the strays of one job are ended, those of a running one are left alone")
  func neighbours() throws {
    let bench = try HandlerBench()
    // The neighbour leaves an orphan at once, and looks at its end whether it still lives.
    let neighbour = bench.request(
      bench.shell(
        #"setsid sh -c 'sleep 600 & echo $! > orphan'; echo '{"stage":"ready"}' >&3; "#
          + "while [ ! -e go ]; do sleep 0.02; done; kill -0 $(cat orphan)"))
    var ready = false
    try bench.start(neighbour) { event in if case .progress = event { ready = true } }
    try bench.wait { ready }
    let end = try bench.run("setsid sleep 600 & exit 0")
    #expect(end.ending == .exited(0))
    #expect(bench.survivors().count >= 2)
    _ = bench.write("", to: "go")
    try bench.wait { !bench.ends(neighbour.id).isEmpty }
    #expect(bench.ends(neighbour.id).first?.ending == .exited(0))
    #expect(bench.survivors().isEmpty)
  }

  @Test("survivors of a dead daemon are found by their token alone")
  func survivors() throws {
    let bench = try HandlerBench()
    var settings = bench.shell(
      #"setsid sh -c 'setsid sleep 600 & sleep 600' & sleep 0.2; echo '{"stage":"ready"}' >&3; sleep 600"#)
    settings.grace = .zero
    let request = bench.request(settings)
    var ready = false
    try bench.start(request) { event in if case .progress = event { ready = true } }
    let other = try HandlerBench()
    let bystander = other.request(other.shell("exec sleep 600"))
    try other.start(bystander)
    try bench.wait { ready }
    #expect(Survivors.killAll(token: bench.token) >= 4)
    #expect(bench.survivors().isEmpty)
    #expect(Survivors.killAll(token: bench.token) == 0)
    #expect(other.survivors().count == 1, "another spool's handlers are not ours")
    try bench.wait { !bench.ends(request.id).isEmpty }
    #expect(bench.ends(request.id).first?.ending == .signalled(SIGKILL))
    other.runner.stop(bystander.id, reason: .cancelled)
    try other.wait { !other.ends(bystander.id).isEmpty }
  }
}

/// What a runner does in a process of its own, as in the daemon: each of these runs in a fresh process.
@Suite struct SoleOwnerTests {
  @Test("a daemon that cleared its environment and session ends with the last job it may belong to")
  func hidden() async {
    await #expect(processExitsWith: .success) {
      let bench = try HandlerBench(ownsProcess: true)
      let script = "env -i setsid sh -c 'sleep 600 & echo $! > hidden; sleep 600' & while [ ! -s hidden ]; do :; done"
      let end = try bench.run(script)
      #expect(end.ending == .exited(0))
      let pid = try #require(pid_t(bench.read("\(bench.folder)/hidden").filter(\.isNumber)))
      #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }
  }

  @Test("a hidden daemon is spared as long as a job runs that may have started it")
  func spared() async {
    await #expect(processExitsWith: .success) {
      let bench = try HandlerBench(ownsProcess: true)
      let neighbour = bench.request(
        bench.shell(
          "(env -i setsid sh -c 'sleep 600 & echo $! > hidden') & while [ ! -s hidden ]; do sleep 0.02; done; "
            + #"wait; echo '{"stage":"ready"}' >&3; while [ ! -e go ]; do sleep 0.02; done; kill -0 $(cat hidden)"#))
      var ready = false
      try bench.start(neighbour) { event in if case .progress = event { ready = true } }
      try bench.wait { ready }
      #expect(try bench.run("exit 0").ending == .exited(0))
      _ = bench.write("", to: "go")
      try bench.wait { !bench.ends(neighbour.id).isEmpty }
      #expect(bench.ends(neighbour.id).first?.ending == .exited(0))
      let pid = try #require(pid_t(bench.read("\(bench.folder)/hidden").filter(\.isNumber)))
      #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }
  }

  @Test("a process whose first thread has ended looks dead and is not: it is ended with its job")
  func firstThreadGone() async {
    await #expect(processExitsWith: .success) {
      let program = """
        import ctypes, threading, time
        threading.Thread(target=time.sleep, args=(600,)).start()
        ctypes.CDLL(None).pthread_exit(None)
        """
      let script = """
        setsid python3 -c '\(program)' &
        while ! grep -q '^State:.Z' /proc/$!/status; do sleep 0.01; done
        echo $!
        """
      let bench = try HandlerBench(ownsProcess: true)
      let end = try bench.run(script)
      let pid = try #require(end.text.flatMap { pid_t($0.filter(\.isNumber)) })
      #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }
  }

  @Test("children of others are left alone, and no zombie stays")
  func others() async {
    await #expect(processExitsWith: .success) {
      var stranger: pid_t = 0
      let bench = try HandlerBench(ownsProcess: true) { [stranger] }
      let words = CStringList(["sleep", "600"])
      let environment = CStringList([String]())
      #expect(
        spool_spawn("/bin/sleep", words.pointers, environment.pointers, "/", [-1, -1, -1, -1], &stranger) == 0)
      let end = try bench.run("for i in 1 2 3 4 5; do setsid sh -c 'setsid true & exit 0' & done; sleep 0.2; exit 0")
      #expect(end.ending == .exited(0))
      #expect(kill(stranger, 0) == 0)
      let children = ProcessTable.all().filter { ProcessTable.entry($0)?.parent == getpid() }
      #expect(children == [stranger])
      kill(stranger, SIGKILL)
      var status: Int32 = 0
      #expect(waitpid(stranger, &status, 0) == stranger)
    }
  }

  @Test("no descriptor stays open, however attempts end")
  func descriptors() async {
    await #expect(processExitsWith: .success) {
      let bench = try HandlerBench(ownsProcess: true)
      func open() -> [Int32] { (0..<1024).filter { fcntl($0, F_GETFD) >= 0 } }
      _ = try bench.run("true")
      let before = open()
      _ = try bench.run("echo x; echo y >&2; echo '{}' >&3")
      _ = try bench.run("setsid sleep 600 & exit 3")
      _ = try bench.run(bench.request(bench.shell("sleep 600"), timeout: .milliseconds(100)))
      _ = try bench.run(bench.request(bench.shell("true"), input: [UInt8](repeating: 0x20, count: 1 << 20)))
      var settings = bench.shell("")
      settings.command = ["/no/such/program"]
      #expect(throws: StartProblem.self) { try bench.runner.check(settings) }
      #expect(open() == before)
    }
  }

  @Test("without a descriptor to spare nothing is started, and later it works again")
  func exhausted() async {
    await #expect(processExitsWith: .success) {
      let bench = try HandlerBench(ownsProcess: true)
      let request = bench.request(bench.shell("echo ok"))
      var fillers: [Int32] = []
      var limit = rlimit(rlim_cur: 64, rlim_max: 64)
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      while true {
        let file = dup(0)
        guard file >= 0 else { break }
        fillers.append(file)
      }
      // With each descriptor that comes back another step of the start is the one that fails.
      var refused = 0
      while refused < 40 {
        do {
          try bench.start(request)
          break
        } catch let problem as StartProblem {
          refused += 1
          guard problem.kind == .busy else { fatalError(problem.message) }
          if let last = fillers.popLast() { close(last) }
        }
      }
      guard refused > 3 else { fatalError("too few") }
      try bench.wait { !bench.ends(request.id).isEmpty }
      #expect(bench.ends(request.id).first?.text == "\"ok\"")
    }
  }
}
