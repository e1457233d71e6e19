/// Submitting: the durable order of its calls, and that nothing is ever replaced.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Submitting")
struct IntakeTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  private func submission(_ id: String, _ json: String = JobFactory.json()) -> Intake.Submission {
    .init(id: id, bytes: Array(json.utf8))
  }

  /// The calls, with the random part of staged names taken out.
  private func plain(_ calls: [String]) -> [String] {
    calls.map { call in
      call.split(separator: " ").map { word in
        word.hasPrefix("tmp/.") ? "tmp/STAGED" : String(word)
      }.joined(separator: " ")
    }
  }

  @Test("writes, syncs the file, renames without replacing, syncs the folder")
  func order() throws {
    let syscalls = InterruptedSyscalls()
    try Intake(test.open(syscalls)).submit(submission("a"))
    #expect(
      plain(syscalls.calls) == [
        "create tmp/STAGED", "write tmp/STAGED", "sync tmp/STAGED", "rename tmp/STAGED new/a.json", "sync new",
      ])
    #expect(test.text("a", .new) == JobFactory.json())
    #expect(test.names(in: .tmp) == [])
  }

  @Test("in bulk syncs the file system once before the first rename and the folder once after the last")
  func bulkOrder() throws {
    let syscalls = InterruptedSyscalls()
    let results = try Intake(test.open(syscalls)).submit(bulk: (1...3).map { submission("job-\($0)") })
    #expect(results.count == 3)
    let calls = plain(syscalls.calls).map { String($0.split(separator: " ")[0]) }
    #expect(
      calls == [
        "create", "write", "create", "write", "create", "write", "syncfs", "rename", "rename", "rename", "sync",
      ])
    #expect(test.names(in: .new) == ["job-1.json", "job-2.json", "job-3.json"])
  }

  @Test("on btrfs, whose fsync of a folder may return too early, syncs a file that was moved there as well")
  func btrfs() throws {
    let test = test
    let moved = InterruptedSyscalls(fileSystem: 0x9123_683E)
    try Intake(test.open(moved)).submit(submission("a"))
    _ = try Intake(test.open(moved)).submit(bulk: ["b", "c"].map { submission($0) })
    let ends = plain(moved.calls).split { $0.hasPrefix("rename") }.map(Array.init).filter { $0.first == "sync new" }
    #expect(ends.map { $0.prefix(2) } == [["sync new", "sync tmp/STAGED"], ["sync new", "sync tmp/STAGED"]])
    // The daemon was quick, and the file is gone: the kernel would sync nothing.
    let gone = InterruptedSyscalls(
      before: { _, call in if call == "sync new" { unlink(test.file("d", .new)) } }, fileSystem: 0x9123_683E)
    try Intake(test.open(gone)).submit(submission("d"))
    #expect(plain(gone.calls).suffix(3) == ["sync new", "sync tmp/STAGED", "syncfs tmp/STAGED"])
  }

  @Test("refuses an id that has a file in any state, and changes nothing", arguments: JobState.allCases)
  func exists(_ state: JobState) throws {
    let record = String(decoding: JobFactory.record("a", .dead, .failed).json, as: UTF8.self)
    let first = "{\"type\":\"first\",\"jobspool\":\(record)}"
    try test.drop("a", first, into: state)
    let error = #expect(throws: SpoolError.self) { try Intake(try test.open()).submit(submission("a")) }
    #expect(error?.code == .exists)
    #expect(error?.message.contains("in \(state.rawValue)") == true)
    #expect(error?.message.contains("requeue") == (state == .dead))
    #expect(test.states(of: "a") == [state])
    #expect(test.text("a", state) == first)
    #expect(test.names(in: .tmp) == [])
  }

  @Test("may take the place of a rejected one")
  func rejected() throws {
    try test.drop("a", "no JSON")
    try Life(test).judge("a", .reject)
    #expect(test.names(in: .dead) == ["a.bad", "a.json"])
    try Intake(try test.open()).submit(submission("a"))
    #expect(test.states(of: "a") == [.new, .dead])
    try Life(test).run("a", .finish)
    // What it replaced is gone, the refused bytes too.
    #expect(test.names(in: .dead) == [])
    #expect(test.states(of: "a") == [.done])
  }

  @Test("does not replace a file that appears after the look")
  func appears() throws {
    let test = test
    let syscalls = InterruptedSyscalls(before: { _, call in
      if call.hasPrefix("rename") { try? test.drop("a", "{\"type\":\"first\"}") }
    })
    let error = #expect(throws: SpoolError.self) { try Intake(try test.open(syscalls)).submit(submission("a")) }
    #expect(error?.code == .exists)
    #expect(test.text("a", .new) == "{\"type\":\"first\"}")
    #expect(test.names(in: .tmp) == [])
  }

  @Test("in bulk accepts what it can, and says what became of each")
  func partial() throws {
    try test.drop("taken", "{\"type\":\"first\"}")
    let results = try Intake(try test.open()).submit(
      bulk: ["a", "taken", "b", "a"].map { submission($0) })
    let codes = results.map { result -> String in
      switch result {
      case .success: "ok"
      case .failure(let error): error.code.name
      }
    }
    #expect(codes == ["ok", "exists", "ok", "exists"])
    #expect(test.names(in: .new) == ["a.json", "b.json", "taken.json"])
    #expect(test.text("taken", .new) == "{\"type\":\"first\"}")
    #expect(test.names(in: .tmp) == [])
  }

  @Test("takes an id once, also when the first job has moved on before its repeat would be published")
  func repeated() throws {
    let test = test
    let claims = InterruptedSyscalls(before: { _, call in
      if call.hasPrefix("rename"), test.states(of: "a") == [.new] {
        try? test.move(test.file("a", .new), test.file("a", .cur))
      }
    })
    let results = try Intake(test.open(claims)).submit(bulk: ["a", "b", "a"].map { submission($0) })
    #expect(results.map { (try? $0.get()) != nil } == [true, true, false])
    #expect(test.states(of: "a") == [.cur])
    #expect(test.names(in: .tmp) == [])
    // The same with two programs: the other one's job comes, and is claimed, while this one's is synced.
    let meanwhile = InterruptedSyscalls(before: { _, call in
      if call.hasPrefix("sync tmp") { try? test.drop("c", "{\"type\":\"first\"}", into: .cur) }
    })
    let error = #expect(throws: SpoolError.self) { try Intake(try test.open(meanwhile)).submit(submission("c")) }
    #expect(error?.code == .exists)
    #expect(test.states(of: "c") == [.cur])
    #expect(test.names(in: .tmp) == [])
  }

  @Test("in bulk with nothing acceptable touches nothing")
  func noneAcceptable() throws {
    try test.drop("taken", "{\"type\":\"first\"}")
    let syscalls = InterruptedSyscalls()
    let results = try Intake(test.open(syscalls)).submit(bulk: [submission("taken")])
    #expect(results.count == 1)
    #expect(syscalls.calls == [])
  }

  @Test(
    "says no and leaves nothing in new when a call before the rename fails",
    arguments: ["create", "write", "sync tmp", "rename"], [ENOSPC, EIO])
  func failing(_ call: String, _ code: Int32) throws {
    let syscalls = InterruptedSyscalls(failure: { _, made in made.hasPrefix(call) ? Errno(code) : nil })
    let error = #expect(throws: SpoolError.self) { try Intake(try test.open(syscalls)).submit(submission("a")) }
    #expect(error?.code == (code == ENOSPC ? .noSpace : .system))
    #expect(error?.errno == Errno(code))
    #expect(test.names(in: .new) == [])
    #expect(test.names(in: .tmp) == [])
  }

  @Test("never says yes when the names could not be synced")
  func unsyncedNames() throws {
    let syscalls = InterruptedSyscalls(failure: { _, made in made == "sync new" ? Errno(EIO) : nil })
    #expect(throws: SpoolError.self) { try Intake(try test.open(syscalls)).submit(submission("a")) }
    #expect(throws: SpoolError.self) { try Intake(try test.open(syscalls)).submit(bulk: [submission("b")]) }
  }

  @Test("stops at min_free")
  func space() throws {
    let error = #expect(throws: SpoolError.self) {
      try Intake(try test.open(), minFree: .percent(100)).submit(submission("a"))
    }
    #expect(error?.code == .noSpace)
    #expect(test.names(in: .new) == [])
    try Intake(try test.open(), minFree: .bytes(0)).submit(submission("a"))
    #expect(test.states(of: "a") == [.new])
  }
}
