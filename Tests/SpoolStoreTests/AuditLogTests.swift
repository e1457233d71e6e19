/// The writer of the audit log: its chain, what it does with an end that a crash tore, and with a full disk.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@Suite("The audit log")
struct AuditLogTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  private func log(_ syscalls: any SpoolSyscalls = RealSyscalls(), at now: WallTime = JobFactory.now) throws -> AuditLog
  {
    try AuditLog(try test.open(syscalls), node: "node-a", now: now)
  }

  private func write(_ count: Int, at now: WallTime = JobFactory.now) throws {
    let log = try log(at: now)
    for number in 0..<count { try log.append(.submitted, at: now, job: "job-\(number)", to: .new) }
    try log.commit()
  }

  private var file: String { "\(test.path)/log/audit-node-a-2026-11-21.jsonl" }

  private func append(_ bytes: [UInt8], to path: String) throws {
    try TestSpool.write((TestSpool.contents(path) ?? []) + bytes, to: path)
  }

  @Test("holds the fields of a line in their order")
  func fields() throws {
    let log = try log()
    try log.append(.claimed, at: JobFactory.now, job: "a", type: "demo", from: .new, to: .cur, attempt: 2) { writer in
      writer.key("bytes")
      writer.int(17)
    }
    try log.commit()
    let line = try #require(test.auditLines.first)
    #expect(
      String(decoding: line, as: UTF8.self)
        == "{\"ts\":\"2026-11-21T08:00:00.000Z\",\"seq\":1,\"event\":\"claimed\",\"job\":\"a\",\"type\":\"demo\","
        + "\"from\":\"new\",\"to\":\"cur\",\"attempt\":2,\"by\":\"daemon\",\"bytes\":17,\"prev\":\"\(Digest.none)\"}")
  }

  @Test("writes nothing before flush, and all of a batch with one call")
  func oneWrite() throws {
    let syscalls = InterruptedSyscalls()
    let log = try log(syscalls)
    let before = syscalls.calls.count
    for number in 0..<50 { try log.append(.submitted, at: JobFactory.now, job: "job-\(number)") }
    #expect(test.auditLines.isEmpty && log.hasPending)
    try log.flush()
    #expect(Array(syscalls.calls.dropFirst(before)) == ["append log/audit-node-a-2026-11-21.jsonl"])
    #expect(test.auditLines.count == 50 && !log.hasPending)
    #expect(test.auditFaults() == [])
  }

  @Test("goes on with the chain when it is opened again")
  func reopened() throws {
    try write(3)
    try write(2)
    #expect(test.auditFaults() == [])
    #expect(try test.audit().compactMap { $0["seq"]?.int } == [1, 2, 3, 4, 5])
  }

  @Test("cuts off a torn last line, whatever byte it was torn at")
  func tornAnywhere() throws {
    try write(2)
    let whole = try #require(TestSpool.contents(file))
    let lastStart = try #require(whole.dropLast().lastIndex(of: 0x0A)) + 1
    for end in lastStart..<whole.count {
      try TestSpool.write(Array(whole[..<end]), to: file)
      let log = try log()
      #expect(log.repaired == end - lastStart)
      try log.append(.paused, at: JobFactory.now)
      try log.commit()
      #expect(test.auditFaults() == [], "torn at \(end)")
      #expect(test.auditLines.count == 2)
    }
  }

  @Test(
    "cuts off what a power cut left behind the last whole line",
    arguments: [
      [UInt8](repeating: 0, count: 4096), [UInt8](repeating: 0, count: 100) + [0x0A],
      Array("{\"ts\":\"2026\n".utf8) + [0, 0, 0x0A, 0, 0], Array("\n\n\n".utf8), Array("{}\n".utf8),
    ])
  func garbage(_ tail: [UInt8]) throws {
    try write(2)
    try append(tail, to: file)
    let log = try log()
    #expect(log.repaired == tail.count)
    try log.append(.paused, at: JobFactory.now)
    try log.commit()
    #expect(test.auditFaults() == [])
    #expect(test.auditLines.count == 3)
  }

  @Test("cuts off a last line with a number that none can follow", arguments: [Int.max, 1 << 50, 0, -1])
  func absurdNumber(_ number: Int) throws {
    try write(2)
    let line =
      "{\"ts\":\"2026-11-21T08:00:00.000Z\",\"seq\":\(number),\"event\":\"held\",\"prev\":\"\(Digest.none)\"}\n"
    try append(Array(line.utf8), to: file)
    let log = try log()
    #expect(log.sequence == 3 && log.repaired == line.utf8.count)
  }

  @Test("cuts off a torn line of yesterday")
  func tornYesterday() throws {
    try write(2)
    try append(Array("{\"ts\":\"2026-11-21T23:59".utf8), to: file)
    let log = try log(at: JobFactory.later(86_400))
    #expect(log.repaired == 23)
    try log.append(.paused, at: JobFactory.later(86_400))
    try log.commit()
    #expect(test.auditFaults() == [])
  }

  @Test("starts over at the file before when nothing of the newest is whole")
  func newestEmpty() throws {
    try write(2)
    try TestSpool.write([0, 0, 0], to: "\(test.path)/log/audit-node-a-2026-11-22.jsonl")
    try write(1, at: JobFactory.later(86_400))
    #expect(test.auditFaults() == [])
    #expect(try test.audit().last?["seq"]?.int == 3)
  }

  @Test(
    "keeps a last line whose record holds what the strict reader refuses",
    arguments: ["{\"k\":1,\"k\":\"\\ud800\"}", String(repeating: "[", count: 512) + String(repeating: "]", count: 512)])
  func looseResult(_ result: String) throws {
    let log = try log()
    try log.append(.finished, at: JobFactory.now, job: "a", from: .cur, to: .done) { writer in
      writer.key("record")
      writer.raw("{\"id\":\"a\",\"result\":\(result)}".utf8)
    }
    try log.commit()
    let again = try self.log()
    #expect(again.repaired == 0)
    #expect(again.sequence == 2)
    #expect(test.auditLines.count == 1)
    let trace = try AuditReader.traces(of: ["a"], in: try test.open())["a"]
    #expect(trace?.record != nil)
  }

  private func begun(in boot: String, at now: WallTime = JobFactory.now) throws {
    let log = try log(at: now)
    try log.append(.daemonStarted, at: now) { writer in
      writer.key("boot")
      writer.string(boot)
    }
    try log.commit()
  }

  /// Puts zeros over the end of one line and the beginning of the next.
  private func hole(in path: String, after line: Int) throws -> Int {
    var bytes = try #require(TestSpool.contents(path))
    let ends = bytes.indices.filter { bytes[$0] == 0x0A }
    for index in ends[line] - 40...ends[line] + 40 { bytes[index] = 0 }
    try TestSpool.write(bytes, to: path)
    return ends[line - 1] + 1
  }

  @Test("cuts itself off after a power cut where zeros stand before whole lines")
  func hole() throws {
    try begun(in: "another")
    try write(40)
    let kept = try hole(in: file, after: 20)
    let size = try #require(TestSpool.contents(file)).count
    let log = try log()
    #expect(log.previous.hadPowerCut && log.sequence == 21 && log.repaired == size - kept)
    try log.append(.submitted, at: JobFactory.now, job: "next")
    try log.commit()
    #expect(test.auditFaults() == [] && test.auditLines.count == 21)
  }

  @Test("a hole in yesterday's file takes today's lines with it")
  func holeBeforeMidnight() throws {
    let late = try #require(WallTime(rfc3339: "2026-11-21T23:59:30Z"))
    try begun(in: "another")
    try write(10, at: late)
    try write(10, at: late + .seconds(60))
    _ = try hole(in: file, after: 5)
    let log = try log(at: late + .seconds(70))
    #expect(log.sequence == 6)
    try log.append(.submitted, at: late + .seconds(70), job: "next")
    try log.commit()
    #expect(test.auditFaults() == [] && test.auditLines.count == 6)
  }

  @Test("leaves zeros that no power cut can have made, and lines long written, for the check to find")
  func damage() throws {
    try begun(in: PreviousRun.bootID)
    try write(20)
    _ = try hole(in: file, after: 10)
    #expect(try log().repaired == 0 && !test.auditFaults().isEmpty)
    // The same after a power cut, ten minutes later.
    try begun(in: "another", at: JobFactory.now + .seconds(600))
    let log = try log(at: JobFactory.now + .seconds(600))
    #expect(log.previous.hadPowerCut && log.repaired == 0 && !test.auditFaults().isEmpty)
  }

  @Test("rolls over at midnight and keeps its chain")
  func midnight() throws {
    let log = try log()
    try log.append(.submitted, at: JobFactory.now, job: "a")
    try log.append(.submitted, at: JobFactory.later(86_400), job: "b")
    // The line of the day before is written, and both files have to be synced.
    #expect(log.descriptors.count == 2)
    try log.append(.submitted, at: JobFactory.later(2 * 86_400), job: "c")
    try log.commit()
    #expect(log.descriptors.count == 1)
    #expect(
      test.auditFiles == ["21", "22", "23"].map { "audit-node-a-2026-11-\($0).jsonl" })
    #expect(test.auditFaults() == [])
  }

  @Test("stays in the newest file when the clock is set back")
  func clockSetBack() throws {
    try write(1)
    let log = try log(at: JobFactory.later(-3 * 86_400))
    try log.append(.submitted, at: JobFactory.later(-3 * 86_400), job: "b")
    try log.commit()
    #expect(test.auditFiles.count == 1)
    #expect(test.auditFaults() == [])
  }

  @Test("takes back a write that a full disk cut short, and repeats it")
  func shortWrite() throws {
    let syscalls = ShortWrites(short: 2)
    let log = try log(syscalls)
    for number in 0..<10 { try log.append(.submitted, at: JobFactory.now, job: "job-\(number)") }
    for _ in 0..<2 {
      let error = #expect(throws: SpoolError.self) { try log.flush() }
      #expect(error?.code == .noSpace)
      #expect(test.auditLines.isEmpty && log.hasPending)
    }
    try log.flush()
    #expect(test.auditLines.count == 10)
    #expect(test.auditFaults() == [])
  }

  @Test("never writes behind half a batch that could not be taken back")
  func shortWriteStays() throws {
    let syscalls = ShortWrites(short: 1, truncateFails: 2)
    let log = try log(syscalls)
    try log.append(.submitted, at: JobFactory.now, job: "a")
    #expect(throws: SpoolError.self) { try log.flush() }
    #expect(throws: SpoolError.self) { try log.flush() }
    try log.flush()
    #expect(test.auditLines.count == 1)
    #expect(test.auditFaults() == [])
  }

  @Test("keeps its lines when the write fails")
  func failedWrite() throws {
    let syscalls = InterruptedSyscalls(failure: { number, call in
      call.hasPrefix("append") && number < 5 ? Errno(EIO) : nil
    })
    let log = try log(syscalls)
    try log.append(.submitted, at: JobFactory.now, job: "a")
    while log.hasPending {
      do { try log.flush() } catch {
        #expect(error.errno == Errno(EIO) && error.code == .system)
      }
    }
    #expect(test.auditFaults() == [])
    #expect(test.auditLines.count == 1)
  }
}

/// A disk that takes only half of the first writes at the end, and refuses to truncate so many times.
private final class ShortWrites: SpoolSyscalls {
  private let real = InterruptedSyscalls()
  private let left: Mutex<(short: Int, refusals: Int)>

  init(short: Int, truncateFails refusals: Int = 0) { left = Mutex((short, refusals)) }

  func append(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    let isShort = left.withLock { left in
      left.short -= 1
      return left.short >= 0
    }
    return try real.append(fd, isShort ? bytes.prefix(bytes.count / 2) : bytes)
  }

  func truncate(_ fd: Int32, size: Int) throws(Errno) {
    let refuses = left.withLock { left in
      left.refusals -= 1
      return left.refusals >= 0
    }
    if refuses { throw Errno(EIO) }
    try real.truncate(fd, size: size)
  }

  func open(_ directory: Int32, _ name: String, flags: Int32, mode: UInt32) throws(Errno) -> Int32 {
    try real.open(directory, name, flags: flags, mode: mode)
  }
  func close(_ fd: Int32) { real.close(fd) }
  func read(_ fd: Int32, count: Int, offset: Int) throws(Errno) -> [UInt8] {
    try real.read(fd, count: count, offset: offset)
  }
  func write(_ fd: Int32, _ bytes: [UInt8], offset: Int) throws(Errno) {
    try real.write(fd, bytes, offset: offset)
  }
  func rename(
    _ from: Int32, _ name: String, to: Int32, _ newName: String, replacing: Bool
  ) throws(Errno) {
    try real.rename(from, name, to: to, newName, replacing: replacing)
  }
  func unlink(_ directory: Int32, _ name: String) throws(Errno) { try real.unlink(directory, name) }
  func sync(_ fd: Int32) throws(Errno) { try real.sync(fd) }
  func syncData(_ fd: Int32) throws(Errno) { try real.syncData(fd) }
  func syncFileSystem(_ fd: Int32) throws(Errno) { try real.syncFileSystem(fd) }
  func status(_ directory: Int32, _ name: String) throws(Errno) -> FileStatus { try real.status(directory, name) }
  func status(_ fd: Int32) throws(Errno) -> FileStatus { try real.status(fd) }
}
