import CSpoolShims
import Glibc
import JobEngine
import Testing

@testable import JobHandlers

@Suite struct SpawnTests {
  @Test(
    "descriptors arrive where they belong, whatever their numbers are",
    arguments: [[2, 9, 0, 1], [1, 2, 9, 0], [9, 0, 1, 2], [0, 0, 0, 0], [9, 9, 9, 9]])
  func mapping(order: [Int]) throws {
    var template = Array("/tmp/jobspool-spawn-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    defer {
      close(file)
      unlink(template)
    }
    // 0 to 2 are the test runner's own descriptors, which are only passed on; 9 stands for a file.
    var names: [String] = []
    var numbers: [Int32] = []
    for number in order {
      let source = number < 4 ? Int32(number) : file
      var path = [CChar](repeating: 0, count: 4096)
      let length = readlink("/proc/self/fd/\(source)", &path, path.count)
      names.append(
        length < 0 ? "" : String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
      numbers.append(source)
    }
    try #require(!names.contains(""))
    let report = "/tmp/jobspool-spawn-\(UInt64.random(in: 1...UInt64.max))"
    defer { unlink(report) }
    let words = CStringList([
      "sh", "-c", "for n in 0 1 2 3; do readlink /proc/$$/fd/$n; done > \(report); ls /proc/$$/fd | wc -l >> \(report)",
    ])
    let environment = CStringList(["PATH=/usr/bin:/bin"])
    var pid: pid_t = 0
    let error = OwnChildren.shared.start {
      let error = spool_spawn("/bin/sh", words.pointers, environment.pointers, "/", numbers, &pid)
      return error == 0 ? .success(pid) : .failure(error)
    }
    #expect(error == nil)
    var status: Int32 = 0
    #expect(waitpid(pid, &status, 0) == pid)
    OwnChildren.shared.remove(pid)
    let lines = ProcessTable.read(report, limit: 65536).map { String(decoding: $0, as: UTF8.self) } ?? ""
    // The redirection of the loop itself moves descriptor 1; the others are as they were given.
    let seen = lines.split(separator: "\n").map(String.init)
    #expect(seen.count == 5)
    #expect(seen[0] == names[0] && seen[2] == names[2] && seen[3] == names[3])
  }

  @Test("a missing program or folder is an error number, and no child is left")
  func failure() {
    let words = CStringList(["nothing"])
    let environment = CStringList([String]())
    var pid: pid_t = 0
    let none: [Int32] = [-1, -1, -1, -1]
    #expect(spool_spawn("/no/such/program", words.pointers, environment.pointers, "/", none, &pid) == ENOENT)
    #expect(spool_spawn("/bin/true", words.pointers, environment.pointers, "/no/such/folder", none, &pid) == ENOENT)
    #expect(spool_spawn("/etc/passwd", words.pointers, environment.pointers, "/", none, &pid) == EACCES)
  }

  /// Starts it and waits for its end; the wait status.
  private static func run(_ words: CStringList, _ environment: CStringList, output: Int32 = -1) -> Int32? {
    var pid: pid_t = 0
    // As the spawner's threads do, which wait for nobody.
    let error = OwnChildren.shared.start(listedApart: true) {
      let program = String(cString: words.pointers[0]!)
      let error = spool_spawn(program, words.pointers, environment.pointers, "/", [-1, output, -1, -1], &pid)
      return error == 0 ? .success(pid) : .failure(error)
    }
    guard error == nil else { return nil }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    OwnChildren.shared.remove(pid)
    return status
  }

  @Test("a child has no signal blocked, ignored or caught, whatever its parent has, and the parent keeps what it had")
  func signals() throws {
    signal(SIGPIPE, SIG_IGN)
    var mine = sigset_t()
    var before = sigset_t()
    sigemptyset(&mine)
    sigaddset(&mine, SIGUSR2)
    pthread_sigmask(SIG_BLOCK, &mine, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var ends: [Int32] = [0, 0]
    try #require(spool_pipe(&ends) == 0)
    defer { close(ends[0]) }
    let words = CStringList(["/bin/cat", "/proc/self/status"])
    let status = SpawnTests.run(words, CStringList([String]()), output: ends[1])
    close(ends[1])
    #expect(status == 0)
    var said = [UInt8](repeating: 0, count: 4096)
    let count = read(ends[0], &said, said.count)
    let lines = String(decoding: said[..<max(0, count)], as: UTF8.self).split(separator: "\n")
      .filter { line in ["SigBlk:", "SigIgn:", "SigCgt:"].contains { line.hasPrefix($0) } }
    #expect(lines.count == 3)
    #expect(lines.allSatisfy { $0.hasSuffix("\t0000000000000000") }, "\(lines)")
    var after = sigset_t()
    pthread_sigmask(SIG_SETMASK, nil, &after)
    #expect(sigismember(&after, SIGUSR2) == 1)
    #expect(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM))
  }

  @Test("threads that start children at the same time each get their own")
  func together() throws {
    let threads = try (0..<4).map { thread in
      try WorkThread {
        for number in 0..<50 {
          let code = (thread * 50 + number) % 120 + 1
          let words = CStringList(["/bin/sh", "-c", "test \"$0\" = \"$CODE\" && exit $CODE", "\(code)"])
          let status = SpawnTests.run(words, CStringList(["CODE=\(code)"]))
          if status != Int32(code) << 8 { Issue.record("exit code \(code) came as status \(status ?? -1)") }
          if SpawnTests.run(CStringList(["/no/such/program"]), CStringList([String]())) != nil { Issue.record("ran") }
        }
      }
    }
    for thread in threads { thread.join() }
  }
}
