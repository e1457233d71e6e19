/// The log's index: it finds what a pass over the log finds, and is believed only while the log bears it out.
import Glibc
import JobModel
import SpoolTestSupport
import Testing

@testable import SpoolStore

@Suite("The audit log's index")
struct AuditIndexTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  /// Jobs with a life in the log, in two batches.
  private func fill(_ range: Range<Int>) throws {
    let audit = try AuditLog(try test.open(), node: "node-a", now: JobFactory.now)
    for number in range {
      try audit.append(.submitted, at: JobFactory.now, job: "job-\(number)", type: "t", to: .new) { writer in
        writer.key("batch")
        writer.string("batch-\(number % 2)")
      }
      try audit.append(.claimed, at: JobFactory.now, job: "job-\(number)", type: "t", from: .new, to: .cur, attempt: 1)
      if number % 3 != 0 {
        try audit.append(
          number % 3 == 1 ? .finished : .buried, at: JobFactory.now, job: "job-\(number)", type: "t", from: .cur,
          to: .done, attempt: 1)
      }
    }
    try audit.commit()
  }

  private func index() throws -> Int { try IndexWriter(try test.open(), seed: 5).update(minimum: 1) }

  private var folder: [String] { AuditIndex.names(in: try! test.open()).sorted() }

  private func answers() throws -> ([String: Flows.ParentState], [String: Int], Set<String>) {
    let spool = try test.open()
    let ends = try AuditReader.ends(of: ["job-0", "job-1", "job-2", "job-900", "stranger"], in: spool)
    let members = try AuditReader.members(of: ["batch-0", "batch-1", "batch-2"], in: spool)
    let known = try AuditReader.known(["job-5", "job-899", "nobody"], in: spool).ids
    return (ends, members.mapValues { $0.values.count { $0 == .done } * 10_000 + $0.count }, known)
  }

  @Test("answers as a pass over the whole log does, with a tail that is not covered yet as well")
  func sameAnswers() throws {
    try fill(0..<600)
    let bare = try answers()
    #expect(try index() == 1)
    #expect(try answers() == bare)
    try fill(600..<1000)
    let more = try answers()
    #expect(more.0["job-900"] == nil && more.0["job-1"] == .done && more.0["job-2"] == .dead)
    #expect(more.1["batch-0"].map { $0 % 10_000 } == 500 && more.2 == ["job-5", "job-899"])
    #expect(try index() > 0)
    #expect(try answers() == more)
    let log = AuditFile.name(node: "node-a", day: JobFactory.now.day)
    #expect(try AuditIndex(try test.open()).covered(log) == TestSpool.contents("\(test.path)/log/\(log)")?.count)
  }

  @Test("neighbours of like size become one")
  func merging() throws {
    for round in 0..<16 {
      try fill(round * 50..<round * 50 + 50)
      _ = try index()
    }
    #expect(folder.count <= 3)
    #expect(try AuditReader.known(Set((0..<800).map { "job-\($0)" }), in: try test.open()).ids.count == 800)
  }

  @Test("is passed over and made anew when the log was cut back behind it")
  func cutBack() throws {
    try fill(0..<300)
    _ = try index()
    let log = "\(test.path)/log/\(AuditFile.name(node: "node-a", day: JobFactory.now.day))"
    let bytes = try #require(TestSpool.contents(log))
    let cut = try #require(bytes[..<(bytes.count / 2)].lastIndex(of: 0x0A)) + 1
    #expect(truncate(log, cut) == 0)
    try fill(2000..<2300)
    let spool = try test.open()
    #expect(try AuditIndex(spool).covered(AuditFile.name(node: "node-a", day: JobFactory.now.day)) == 0)
    #expect(try AuditReader.known(["job-0", "job-299", "job-2299"], in: spool).ids == ["job-0", "job-2299"])
    _ = try index()
    #expect(folder.count == 1)
    #expect(try AuditReader.known(["job-0", "job-299", "job-2299"], in: spool).ids == ["job-0", "job-2299"])
  }

  @Test("damage to a segment's head or length makes it count for nothing, and a lost log takes it away")
  func damage() throws {
    try fill(0..<100)
    _ = try index()
    let name = try #require(folder.first)
    let path = "\(test.path)/log/index/\(name)"
    var bytes = try #require(TestSpool.contents(path))
    bytes.removeLast(4)
    try TestSpool.write(bytes, to: path)
    #expect(IndexSegment(name, in: try test.open()) == nil)
    #expect(try AuditReader.known(["job-7"], in: try test.open()).ids == ["job-7"])
    #expect(try index() == 1)
    #expect(unlink("\(test.path)/log/\(AuditFile.name(node: "node-a", day: JobFactory.now.day))") == 0)
    _ = try index()
    #expect(folder.isEmpty)
  }

  @Test("an index that stays open takes notice of new segments and new lines")
  func refresh() throws {
    try fill(0..<100)
    let spool = try test.open()
    let open = try AuditIndex(spool)
    try fill(100..<200)
    #expect(try AuditReader.known(["job-150"], in: spool, index: open).ids == ["job-150"])
    _ = try index()
    try open.refresh()
    try fill(200..<300)
    #expect(try AuditReader.known(["job-50", "job-150", "job-250"], in: spool, index: open).ids.count == 3)
  }

  @Test("an index that stays open does not know the file of a new day until it is refreshed, and says so")
  func midnight() throws {
    try fill(0..<10)
    let spool = try test.open()
    let open = try AuditIndex(spool)
    let tomorrow = JobFactory.now + .seconds(86_400)
    let audit = try AuditLog(try test.open(), node: "node-a", now: JobFactory.now)
    #expect(open.knows(audit.place.file))
    try audit.append(.submitted, at: tomorrow, job: "late", type: "t", to: .new)
    try audit.commit()
    #expect(!open.knows(audit.place.file))
    try open.refresh()
    #expect(open.knows(audit.place.file))
    #expect(try AuditReader.known(["late", "job-3"], in: spool, index: open).ids == ["late", "job-3"])
  }
}
