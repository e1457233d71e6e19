import CSpoolShims
import Glibc
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
}
