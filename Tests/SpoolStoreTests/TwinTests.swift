/// Twins: a file dropped under an id that is taken never runs, and never harms the one that was first.
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Twins")
struct TwinTests {
  let test: TestSpool
  let original = JobFactory.json()

  init() throws { test = try TestSpool() }

  /// A job `a` in the state; for `cur` the claim is handed back.
  private func place(_ state: JobState, _ life: Life) throws -> Claim? {
    try test.drop("a", original)
    switch state {
    case .cur: return try life.begin("a")
    case .done: try life.run("a", .finish)
    case .dead: try life.run("a", .bury)
    case .hold: try life.transitions.hold("a", type: nil, at: life.now, by: "anna")
    case .new: break
    }
    return nil
  }

  @Test("the same bytes once more are discarded, with a line", arguments: [JobState.cur, .done, .hold])
  func same(_ state: JobState) throws {
    let life = try Life(test)
    let running = try place(state, life)
    let before = test.text("a", state)
    try test.drop("a", original)
    let first = try life.transitions.droppedHash("a", in: state, limit: 1 << 20)
    try life.settleTwin(of: "a", first: first)
    #expect(test.states(of: "a") == [state] && test.text("a", state) == before)
    #expect(test.names(in: .dead) == [] && test.names(in: .new) == [])
    #expect(test.names(in: .cur) == (state == .cur ? ["a.json"] : []))
    let line = try #require(try test.audit().last)
    #expect(line["event"]?.string == "duplicate" && line["discarded"]?.bool == true)
    #expect(line["twin_of"]?.string == "a")
    _ = consume running
  }

  @Test(
    "anything else goes to dead as a duplicate, word for word", arguments: [JobState.cur, .done, .hold],
    ["{\"type\":\"other\"}", "{\"id\":\"a\",\"type\":\"demo\",\"payload\":{\"n\":1}}\n", "no JSON"])
  func different(_ state: JobState, _ json: String) throws {
    let life = try Life(test)
    let running = try place(state, life)
    let before = test.text("a", state)
    try test.drop("a", json)
    try life.settleTwin(of: "a", first: try life.transitions.droppedHash("a", in: state, limit: 1 << 20))
    #expect(test.text("a", state) == before && test.text("a", .new) == nil)
    let name = try #require(test.names(in: .dead).first { $0.hasSuffix(".json") })
    let fresh = String(name.dropLast(5))
    let job = try test.job(fresh, .dead)
    #expect(job.record?.outcome == .duplicate && job.record?.twinOf == "a" && job.record?.id == fresh)
    let kept = job.isBare ? TestSpool.contents("\(test.path)/dead/\(fresh).bad") : job.original
    #expect(kept == Array(json.utf8))
    _ = consume running
  }

  @Test("a file that has no newline at its end is the same job after its run, too")
  func noNewline() throws {
    let json = "{\"type\":\"demo\",\"payload\":1}"
    try test.drop("a", json)
    let life = try Life(test)
    try life.run("a", .finish)
    #expect(try life.transitions.droppedHash("a", in: .done, limit: 1 << 20) == Digest.sha256(Array(json.utf8)))
  }

  @Test("a copy of the finished file itself is the same job, too")
  func copyOfDone() throws {
    let life = try Life(test)
    _ = try place(.done, life)
    try test.drop("a", bytes: try #require(test.bytes("a", .done)))
    try life.settleTwin(of: "a", first: try life.transitions.droppedHash("a", in: .done, limit: 1 << 20))
    #expect(test.names(in: .dead) == [] && test.names(in: .new) == [])
  }

  @Test("the line with the id it was dropped under is durable before the twin moves")
  func lineFirst() throws {
    let syscalls = InterruptedSyscalls()
    let life = try Life(test, syscalls)
    _ = try place(.done, life)
    try test.drop("a", "{\"type\":\"other\"}")
    let before = syscalls.calls.count
    _ = try life.transitions.claimTwin("a", at: life.now, limit: 1 << 20)
    let calls = syscalls.calls.dropFirst(before).map { String($0.split(separator: " ")[0]) }
    #expect(calls == ["append", "syncdata", "rename"])
  }
}
