/// Edits: what is replaced, what stays, and that a crash at any instant leaves the old text or the new one, with a log
/// that says which.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Edits")
struct EditTests {
  static let old = "{\"type\":\"demo\",\"payload\":1}"
  static let new = "{ \"type\":\"demo\", \"payload\":{\"a\":[2]} }\n"

  private static func edit(
    _ test: TestSpool, _ text: String = new, _ syscalls: any SpoolSyscalls = RealSyscalls()
  ) throws -> JobState {
    let transitions = try test.transitions(syscalls)
    let hands = Operator(
      transitions: transitions, maxJobBytes: 1 << 20, now: JobFactory.later(5), by: "anna (uid 1000)")
    return try hands.edit("a", Array(text.utf8))
  }

  private static func place(_ test: TestSpool, _ state: JobState) throws {
    try test.drop("a", old)
    let life = try Life(test)
    switch state {
    case .new: break
    case .cur: _ = try life.begin("a")
    case .done: try life.run("a", .finish)
    case .dead: try life.run("a", .bury)
    case .hold:
      try life.run("a", .retry)
      try life.transitions.hold("a", type: "demo", at: JobFactory.now, by: "anna")
      try life.transitions.audit.commit()
    }
  }

  @Test(
    "a waiting, held or dead job gets the new text; its record stays, and the log bears it out",
    arguments: [
      JobState.new, .hold, .dead,
    ])
  func edits(_ state: JobState) throws {
    let test = try TestSpool()
    try EditTests.place(test, state)
    let before = try test.job("a", state).recordBytes
    #expect(try EditTests.edit(test) == state)
    #expect(test.states(of: "a") == [state])
    let job = try test.job("a", state)
    #expect(String(decoding: job.original, as: UTF8.self) == EditTests.new)
    let record = try #require(job.recordBytes)
    if let before { #expect(record == before) }
    #expect(job.record?.sha256 == Digest.sha256(Array(EditTests.old.utf8)))
    #expect(try AuditReader.traces(of: ["a"], in: test.open())["a"]?.bearsOut(record) == true)
    let line = try #require(try test.audit().last)
    #expect(line["event"]?.string == "edited" && line["by"]?.string == "anna (uid 1000)")
    #expect(line["before"]?.string == Digest.sha256(Array(EditTests.old.utf8)))
    #expect(line["after"]?.string == Digest.sha256(Array(EditTests.new.utf8)))
    #expect(test.names(in: .tmp) == [])
    #expect(test.auditFaults() == [])
    var fsck = Fsck(try test.open(), now: JobFactory.later(10))
    try fsck.run()
    #expect(fsck.problems == [])
  }

  @Test("who submitted a job that never ran stays known, although the file is ours now")
  func submitter() throws {
    let test = try TestSpool()
    try EditTests.place(test, .new)
    _ = try EditTests.edit(test)
    let record = try #require(try test.record(of: "a", .new))
    #expect(record.submittedBy != nil && record.state == .new && record.attempts.isEmpty && !record.spent)
  }

  @Test("a rejected file gives way to the new text, and its own bytes go")
  func rejected() throws {
    let test = try TestSpool()
    try test.drop("a", "no JSON")
    try Life(test).judge("a", .reject)
    #expect(test.names(in: .dead) == ["a.bad", "a.json"])
    #expect(try Operator.text(of: "a", in: test.open()) == Array("no JSON".utf8))
    #expect(try EditTests.edit(test) == .dead)
    #expect(test.names(in: .dead) == ["a.json"])
    #expect(try test.record(of: "a", .dead)?.outcome == .rejected)
    #expect(try Operator.text(of: "a", in: test.open()) == Array(EditTests.new.utf8))
  }

  @Test("a running or finished job is not edited", arguments: [JobState.cur, .done])
  func unfit(_ state: JobState) throws {
    let test = try TestSpool()
    try EditTests.place(test, state)
    let before = test.bytes("a", state)
    let error = #expect(throws: SpoolError.self) { try EditTests.edit(test) }
    #expect(error?.code == .wrongState)
    #expect(test.bytes("a", state) == before)
  }

  @Test(
    "what is no job is refused, and nothing changes",
    arguments: [
      "", "{\"type\":\"demo\",}", "{\"typ\":\"demo\"}", "{\"type\":\"demo\",\"id\":\"b\"}",
      "{\"type\":\"jobspool.notify\"}",
      "{\"type\":\"demo\",\"jobspool\":{\"id\":\"a\",\"state\":\"new\",\"submitted_at\":\"2026-11-21T08:00:00Z\"}}",
      "[\"" + String(repeating: "x", count: 1 << 20) + "\"]",
    ])
  func refused(_ text: String) throws {
    let test = try TestSpool()
    try EditTests.place(test, .dead)
    let before = test.bytes("a", .dead)
    let error = #expect(throws: SpoolError.self) { try EditTests.edit(test, text) }
    #expect(error?.code == .badJob)
    #expect(test.bytes("a", .dead) == before)
    #expect(try test.events(of: "a").contains("edited") == false)
  }

  @Test("what was dropped under its id meanwhile moves away", arguments: [EditTests.old, "{\"type\":\"other\"}"])
  func twin(_ text: String) throws {
    let test = try TestSpool()
    try EditTests.place(test, .new)
    let syscalls = DroppingSyscalls(test, text)
    _ = try EditTests.edit(test, EditTests.new, syscalls)
    #expect(syscalls.hasDropped)
    #expect(String(decoding: try test.job("a", .new).original, as: UTF8.self) == EditTests.new)
    #expect(test.names(in: .cur) == [])
    #expect(test.names(in: .dead).count == (text == EditTests.old ? 0 : 1))
  }

  @Test("a folder or another's file under the name of a copy keeps no start from going on")
  func traps() throws {
    let test = try TestSpool()
    try EditTests.place(test, .new)
    #expect(mkdir("\(test.path)/tmp/.edit.folder", 0o700) == 0)
    #expect(symlink("/etc/passwd", "\(test.path)/tmp/.edit.a") == 0)
    try Life.recover(test)
    #expect(test.states(of: "a") == [.new] && test.text("a", .new) == EditTests.old)
    #expect(test.names(in: .tmp).sorted() == [".edit.a", ".edit.folder"])
    #expect(try EditTests.edit(test) == .new)
  }

  @Test(
    "a crash at any instant leaves the old text or the new one", arguments: [JobState.new, .hold, .dead], [false, true])
  func crash(_ state: JobState, _ losesPower: Bool) throws {
    let counter = InterruptedSyscalls()
    let whole = try TestSpool()
    try EditTests.place(whole, state)
    _ = try EditTests.edit(whole, EditTests.new, counter)
    #expect(counter.calls.count > 5)
    for cut in 1...counter.calls.count {
      let note = "cut before call \(cut): \(counter.calls[cut - 1])"
      let test = try TestSpool()
      try EditTests.place(test, state)
      let syscalls = InterruptedSyscalls(cutAt: cut, tearing: false)
      do { _ = try EditTests.edit(test, EditTests.new, syscalls) } catch let error as SpoolError {
        #expect(error.errno == InterruptedSyscalls.crash)
      }
      if losesPower { syscalls.losePower(test) }
      try Life.recover(test)
      #expect(test.states(of: "a") == [state], "\(note)")
      #expect(test.names(in: .tmp).filter { $0.hasPrefix(".edit") } == [], "\(note)")
      let job = try test.job("a", state)
      let isNoted = try test.events(of: "a").contains("edited")
      #expect(String(decoding: job.original, as: UTF8.self) == (isNoted ? EditTests.new : EditTests.old), "\(note)")
      if let record = job.recordBytes {
        #expect(try AuditReader.traces(of: ["a"], in: test.open())["a"]?.bearsOut(record) == true, "\(note)")
      }
      #expect(test.auditFaults() == [], "\(note)")
    }
  }
}

/// Drops a file of the same id in the middle of an edit, as a producer might.
private final class DroppingSyscalls: SpoolSyscalls, @unchecked Sendable {
  private let real = RealSyscalls()
  private let test: TestSpool
  private let text: String
  private(set) var hasDropped = false

  init(_ test: TestSpool, _ text: String) {
    self.test = test
    self.text = text
  }

  func open(_ directory: Int32, _ name: String, flags: Int32, mode: UInt32) throws(Errno) -> Int32 {
    if name.hasPrefix(".edit"), !hasDropped {
      hasDropped = true
      try? test.drop("a", text)
    }
    return try real.open(directory, name, flags: flags, mode: mode)
  }
  func close(_ fd: Int32) { real.close(fd) }
  func read(_ fd: Int32, count: Int, offset: Int) throws(Errno) -> [UInt8] {
    try real.read(fd, count: count, offset: offset)
  }
  func write(_ fd: Int32, _ bytes: [UInt8], offset: Int) throws(Errno) { try real.write(fd, bytes, offset: offset) }
  func append(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int { try real.append(fd, bytes) }
  func truncate(_ fd: Int32, size: Int) throws(Errno) { try real.truncate(fd, size: size) }
  func rename(_ from: Int32, _ name: String, to: Int32, _ newName: String, replacing: Bool) throws(Errno) {
    try real.rename(from, name, to: to, newName, replacing: replacing)
  }
  func unlink(_ directory: Int32, _ name: String) throws(Errno) { try real.unlink(directory, name) }
  func sync(_ fd: Int32) throws(Errno) { try real.sync(fd) }
  func syncData(_ fd: Int32) throws(Errno) { try real.syncData(fd) }
  func syncFileSystem(_ fd: Int32) throws(Errno) { try real.syncFileSystem(fd) }
  func status(_ directory: Int32, _ name: String) throws(Errno) -> FileStatus { try real.status(directory, name) }
  func status(_ fd: Int32) throws(Errno) -> FileStatus { try real.status(fd) }
}
