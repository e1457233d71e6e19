/// What the log says of a job, which is what recovery goes by.
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Traces in the audit log")
struct AuditReaderTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  private func trace(_ id: String) throws -> AuditTrace? {
    try AuditReader.traces(of: [id], in: try test.open())[id]
  }

  @Test("know nothing of an id that is not there")
  func unknown() throws {
    try test.drop("a", JobFactory.json())
    try Life(test).run("a", .finish)
    #expect(try trace("b") == nil)
    #expect(try AuditReader.traces(of: [], in: try test.open()).isEmpty)
  }

  @Test("show a claim while no end is newer")
  func claimed() throws {
    try test.drop("a", JobFactory.json())
    let life = try Life(test)
    _ = try life.begin("a")
    let trace = try #require(try trace("a"))
    #expect(trace.last == .claimed && !trace.isSettled && trace.settle == nil)
    #expect(trace.claim?["attempt"]?.int == 1)
    #expect(trace.claim?["bytes"]?.int == JobFactory.json().utf8.count)
    #expect(trace.claim?["head"]?.int == JobFactory.json().utf8.count - 2)
  }

  @Test(
    "are settled by every end of a run", arguments: [Transition.finish, .bury, .cancel, .expire, .retry, .release])
  func settled(_ transition: Transition) throws {
    try test.drop("a", JobFactory.json())
    let life = try Life(test)
    try life.run("a", transition)
    let trace = try #require(try trace("a"))
    #expect(trace.isSettled && trace.claim == nil)
    #expect(trace.last == transition.event)
    let state = try #require(transition.to)
    let text = try #require(try test.job("a", state).recordBytes)
    #expect(trace.bearsOut(text))
    #expect(!trace.bearsOut(text + [0x20]))
  }

  @Test("bear out a large record by its hash")
  func largeRecord() throws {
    try test.drop("a", JobFactory.json())
    try Life(test).run("a", .finish, result: "\"" + String(repeating: "é", count: 3000) + "\"")
    let trace = try #require(try trace("a"))
    #expect(trace.record == nil && trace.settle?["record_sha256"]?.string != nil)
    let text = try #require(try test.job("a", .done).recordBytes)
    #expect(trace.bearsOut(text))
    #expect(!trace.bearsOut(Array(text.dropLast()) + [0x20]))
  }

  @Test("are not settled by a held job that is let go")
  func unheld() throws {
    try test.drop("a", JobFactory.json())
    let life = try Life(test)
    try life.run("a", .retry)
    try life.transitions.hold("a", type: "demo", at: life.now, by: "anna")
    try life.transitions.unhold("a", type: "demo", at: life.now, by: "anna")
    try life.transitions.audit.commit()
    let trace = try #require(try trace("a"))
    #expect(trace.last == .released && !trace.isSettled && trace.claim == nil)
    #expect(trace.record != nil)
  }

  @Test("find a job's line in an older file")
  func acrossFiles() throws {
    try test.drop("a", JobFactory.json())
    try Life(test).run("a", .retry)
    try test.drop("b", JobFactory.json())
    try Life(test, at: JobFactory.later(86_400)).run("b", .finish)
    #expect(test.auditFiles.count == 2)
    #expect(try trace("a")?.last == .retried)
  }

  @Test("pass over a line that is still being written")
  func unfinishedLine() throws {
    try test.drop("a", JobFactory.json())
    try Life(test).run("a", .finish)
    let file = "\(test.path)/log/\(test.auditFiles[0])"
    let line = "{\"ts\":\"2026-11-21T08:00:00.000Z\",\"seq\":9,\"event\":\"claimed\",\"job\":\"a\",\"by\":\"daemon\"}"
    try TestSpool.write(test.auditText(test.auditFiles[0]) + Array(line.utf8), to: file)
    #expect(try trace("a")?.last == .finished)
  }

  @Test("agree read forwards and backwards")
  func bothWays() throws {
    let life = try Life(test)
    for number in 0..<20 { try life.transitions.audit.append(.submitted, at: life.now, job: "job-\(number)") }
    try life.transitions.audit.commit()
    let map = try MappedFile(test.auditFiles[0], in: try test.open())
    var forwards: [String?] = []
    var backwards: [String?] = []
    map.lines { line in
      forwards.append(AuditLineHead(line)?.job)
      return true
    }
    map.linesBackwards { line in
      backwards.append(AuditLineHead(line)?.job)
      return true
    }
    #expect(forwards == (0..<20).map { "job-\($0)" })
    #expect(backwards == forwards.reversed())
  }
}
