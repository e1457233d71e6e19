/// What operators may ask for: each verb against each state.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Operators")
struct OperatorTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  private func perform(_ verb: OperatorVerb, _ id: String = "a") throws -> JobState? {
    let transitions = try test.transitions()
    let hands = Operator(
      transitions: transitions, maxJobBytes: 1 << 20, now: JobFactory.later(5), by: "anna (uid 1000)")
    let state = try hands.perform(verb, id)
    try transitions.commitMoves()
    return state
  }

  private func place(_ state: JobState) throws {
    try test.drop("a", JobFactory.json())
    let life = try Life(test)
    switch state {
    case .new: break
    case .cur: _ = try life.begin("a")
    case .done: try life.run("a", .finish)
    case .dead: try life.run("a", .bury)
    case .hold: _ = try perform(.hold)
    }
  }

  @Test("what an operator moved is durable in both folders, before its line", arguments: [JobState.dead, .done, .hold])
  func durable(_ from: JobState) throws {
    try place(from)
    let syscalls = InterruptedSyscalls()
    let transitions = Transitions(
      try test.open(syscalls), audit: try AuditLog(try test.open(syscalls), node: "n", now: JobFactory.later(5)))
    let hands = Operator(transitions: transitions, maxJobBytes: 1 << 20, now: JobFactory.later(5), by: "anna")
    #expect(try hands.perform(from == .hold ? .release : .requeue, "a") == .new)
    let before = syscalls.calls.count
    try transitions.commitMoves()
    let calls = syscalls.calls.dropFirst(before)
    #expect(calls.count == 4)
    #expect(Set(calls.prefix(2)) == ["sync \(from.rawValue)", "sync new"])
    #expect(calls.dropFirst(2).first?.hasPrefix("append log/") == true)
    #expect(calls.last?.hasPrefix("syncdata log/") == true)
    try transitions.commitMoves()
    #expect(syscalls.calls.filter { $0 == "sync new" }.count == 1)
  }

  private static let table: [(OperatorVerb, JobState, JobState?)] = [
    (.cancel, .new, .dead), (.cancel, .hold, .dead), (.requeue, .done, .new), (.requeue, .dead, .new),
    (.hold, .new, .hold), (.release, .hold, .new),
  ]
  private static let removable: Set<JobState> = [.done, .dead, .hold]

  @Test(
    "a verb does its work in its states and says why not in the others", arguments: OperatorVerb.allCases,
    JobState.allCases)
  func verbs(_ verb: OperatorVerb, _ state: JobState) throws {
    try place(state)
    if verb == .purge, OperatorTests.removable.contains(state) {
      #expect(try perform(verb) == nil)
      #expect(test.states(of: "a") == [])
    } else if let row = OperatorTests.table.first(where: { $0.0 == verb && $0.1 == state }) {
      #expect(try perform(verb) == row.2)
      #expect(test.states(of: "a") == row.2.map { [$0] })
      #expect(try test.job("a", row.2 ?? .new).original == Array(JobFactory.json().utf8))
      #expect(try test.audit().last?["by"]?.string == "anna (uid 1000)")
    } else {
      let error = #expect(throws: SpoolError.self) { try perform(verb) }
      #expect(error?.code == .wrongState && error?.message.contains("in \(state.rawValue)") == true)
      #expect(test.states(of: "a") == [state])
    }
    #expect(test.auditFaults() == [])
  }

  @Test("an id that is none, or is nowhere, is no such job")
  func unknown() {
    for id in ["b", "../a", ""] {
      let error = #expect(throws: SpoolError.self) { try perform(.hold, id) }
      #expect(error?.code == .noSuchJob)
    }
  }

  @Test("cancelling a job does not vouch for a record that nobody here wrote", arguments: [JobState.new, .hold])
  func forged(_ state: JobState) throws {
    var record = JobFactory.record("a", .new, nil)
    record.submittedBy = JobRecord.Submitter(uid: 0, user: "root")
    let job = try JobScanner.scan(Array(JobFactory.json().utf8))
    try test.drop("a", String(decoding: job.completed(with: record), as: UTF8.self), into: state)
    _ = try perform(.cancel)
    let kept = try #require(try test.job("a", .dead).record)
    #expect(kept.outcome == .cancelled && kept.submittedBy?.user != "root")
    #expect(TestSpool.contents("\(test.path)/dead/a.bad") != nil, "what was dropped lies beside it")
  }

  @Test("a cancelled job says by whom")
  func cancelled() throws {
    try place(.new)
    _ = try perform(.cancel)
    let record = try #require(try test.record(of: "a", .dead))
    #expect(record.outcome == .cancelled && record.error?.message.contains("anna") == true)
  }

  @Test("a file that could not be read is not requeued as an empty job")
  func requeueRefused() throws {
    try test.drop("a", "no JSON")
    try Life(test).judge("a", .reject)
    let error = #expect(throws: SpoolError.self) { try perform(.requeue) }
    #expect(error?.code == .wrongState && error?.message.contains("dead/a.bad") == true)
    #expect(test.states(of: "a") == [.dead])
  }

  @Test("a requeued job whose place is taken stays where it is")
  func taken() throws {
    try place(.dead)
    try test.drop("a", "{\"type\":\"twin\"}")
    // Found in new/ first, and that one waits.
    #expect(throws: SpoolError.self) { try perform(.requeue) }
    #expect(test.states(of: "a") == [.new, .dead])
  }

  @Test(
    "a delayed job whose hold meets a full disk waits on, as it was dropped", arguments: ["write", "append"])
  func holdOnFullDisk(_ call: String) throws {
    let text = "{\"type\":\"t\",\"delay\":\"1h\"}\n"
    try test.drop("a", text)
    let full = InterruptedSyscalls(failure: { _, made in made.hasPrefix(call) ? Errno(ENOSPC) : nil })
    let transitions = try test.transitions(full)
    let hands = Operator(
      transitions: transitions, maxJobBytes: 1 << 20, now: JobFactory.later(5), by: "anna (uid 1000)")
    let error = #expect(throws: SpoolError.self) { try hands.perform(.hold, "a") }
    #expect(error?.code == .noSpace)
    #expect(test.states(of: "a") == [.new])
    #expect(test.text("a", .new) == text)
  }
}
