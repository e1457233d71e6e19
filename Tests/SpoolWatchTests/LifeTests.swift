import Glibc
import SpoolWatch
import Testing

@Suite("A watcher lives exactly as long as it should") struct LifeTests {
  @Test("killed: the reason, a closed descriptor, no zombie; restarted: look again first")
  func killed() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let pid = try #require(watcher.pid)
    kill(pid, SIGKILL)
    let events = watcher.collect { !$0.isEmpty }
    #expect(events == [.ended(reason: "jobspool-watch: killed by signal 9")])
    #expect(watcher.descriptor == -1 && watcher.pid == nil)
    #expect(kill(pid, 0) == -1 && errno == ESRCH)
    #expect(watcher.next(timeout: nil) == [])

    folder.drop("meanwhile.json")
    try watcher.restart()
    #expect(watcher.collect { !$0.isEmpty } == [.lookAgain])
    folder.drop("after.json")
    #expect(watcher.collect { !$0.isEmpty } == [.arrived(directory: "new", name: "after.json")])
  }

  @Test("stopped: gone and reaped when stop returns")
  func stopped() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let pid = try #require(watcher.pid)
    watcher.stop()
    #expect(kill(pid, 0) == -1 && errno == ESRCH)
    #expect(watcher.read() == [])
    watcher.stop()
  }

  @Test("forgotten: a watcher nobody holds takes its child with it")
  func forgotten() throws {
    let folder = try WatchFolder("new")
    let pid = try #require(try folder.watcher("new").pid)
    #expect(kill(pid, 0) == -1 && errno == ESRCH)
  }

  @Test("the directory moved or deleted: ended, saying so", arguments: [true, false])
  func directoryGone(moved: Bool) throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    if moved {
      rename(folder.path("new"), folder.path("old"))
    } else {
      rmdir(folder.path("new"))
    }
    let events = watcher.collect { !$0.isEmpty && $0.last != .lookAgain }
    #expect(events.last == .ended(reason: "jobspool-watch: the directory new was moved or deleted"))
    #expect(watcher.pid == nil)

    try watcher.restart()
    guard case .ended(let reason)? = watcher.collect(until: { !$0.isEmpty }).last else {
      Issue.record("a missing directory is watched")
      return
    }
    #expect(reason == "jobspool-watch: cannot watch \(folder.path("new")): No such file or directory")
  }

  @Test("no such program: an error that names the path")
  func noProgram() throws {
    let watcher = Watcher(["/tmp"], program: "/nonexistent/jobspool-watch")
    #expect(throws: WatchProblem("cannot start /nonexistent/jobspool-watch: No such file or directory")) {
      try watcher.start()
    }
    #expect(watcher.descriptor == -1 && watcher.pid == nil)
  }

  @Test("the thread that started it may end: only the process counts")
  func startingThreadEnds() throws {
    let folder = try WatchFolder("new")
    let starter = Starter(Watcher([folder.path("new")], program: program))
    var thread = pthread_t()
    let created = pthread_create(
      &thread, nil,
      { argument in
        let starter = Unmanaged<Starter>.fromOpaque(argument!).takeUnretainedValue()
        starter.number = ownThread()
        try? starter.watcher.start()
        // Until the child stands: it asks for the signal of our end before that.
        starter.first = starter.watcher.next(timeout: patience)
        return nil
      }, Unmanaged.passUnretained(starter).toOpaque())
    #expect(created == 0)
    pthread_join(thread, nil)
    #expect(starter.first == [.lookAgain])
    // The signal has been sent once the kernel has forgotten the thread.
    while names(in: "/proc/self/task").contains(starter.number) { usleep(1000) }
    let watcher = starter.watcher
    folder.drop("a.json")
    #expect(watcher.collect { !$0.isEmpty } == [.arrived(directory: "new", name: "a.json")])
  }

  @Test("the parent killed: the program ends though its output is still read")
  func parentKilled() throws {
    let folder = try WatchFolder("new")
    let shell = try Child(["/bin/sh", "-c", "'\(program)' '\(folder.path("new"))' & wait; exit 3"])
    #expect(shell.read(until: { $0.contains("ready\n") }) == "ready\n")
    kill(shell.pid, SIGKILL)
    // The end of the output comes when the last process holding the pipe is gone.
    #expect(shell.read() == "")
    #expect(shell.exit() == -SIGKILL)
  }

  @Test("the reader gone: the program ends at once, with 0")
  func readerGone() throws {
    let folder = try WatchFolder("new")
    let child = try Child([program, folder.path("new")])
    #expect(child.read(until: { $0.contains("ready\n") }) == "ready\n")
    child.closeOutput()
    #expect(child.exit() == 0)
  }

  @Test("idle it does not wake up, and holds nothing but its three descriptors and inotify")
  func idle() throws {
    let folder = try WatchFolder("new")
    let watcher = try folder.watcher("new")
    let pid = try #require(watcher.pid)
    func switches() -> [String] {
      names(in: "/proc/\(pid)/task").map { task in
        contents(of: "/proc/\(pid)/task/\(task)/status").split(separator: "\n")
          .filter { $0.contains("ctxt_switches") }.joined(separator: " ")
      }
    }
    func asleep() -> Bool {
      names(in: "/proc/\(pid)/task").allSatisfy {
        contents(of: "/proc/\(pid)/task/\($0)/stat").split(separator: ") ").last?.first == "S"
      }
    }
    while !asleep() || switches().count != 3 { usleep(1000) }
    #expect(names(in: "/proc/\(pid)/fd").count == 4)
    let before = switches()
    // Silence is what is tested here: there is no event to wait for.
    sleep(2)
    #expect(switches() == before)
  }
}

/// What the starting thread of a test shares with it.
private final class Starter {
  let watcher: Watcher
  var number = ""
  var first: [WatchEvent] = []
  init(_ watcher: Watcher) { self.watcher = watcher }
}

/// The calling thread's number, as its folder in /proc is called.
private func ownThread() -> String {
  var buffer = [CChar](repeating: 0, count: 64)
  let length = readlink("/proc/thread-self", &buffer, 63)
  let path = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return path.split(separator: "/").last.map(String.init) ?? ""
}
