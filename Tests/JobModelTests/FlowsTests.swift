import SpoolTestSupport
import Testing

/// Who waits for whom, told in every order the engine may come upon it.
@testable import JobModel

@Suite("Flows")
struct FlowsTests {
  private let start = JobFactory.later(0)

  private func wait(
    _ id: String, for parents: Set<String> = [], batches: Set<String> = [], in flows: inout Flows, anyway: Bool = false
  ) -> [String]? {
    flows.block(id, parents: parents, batches: batches, runsAnyway: anyway, since: start)
  }

  @Test("a batch is over when the last member known has come to rest, and not before")
  func batch() {
    var flows = Flows()
    #expect(wait("w", batches: ["b"], in: &flows) == nil)
    #expect(flows.overBatches().isEmpty, "nobody has joined it")
    for id in ["1", "2"] { flows.member(id, of: "b", .open) }
    _ = flows.rested("1", batch: "b", isDone: true)
    #expect(flows.overBatches().isEmpty)
    _ = flows.rested("2", batch: "b", isDone: true)
    #expect(flows.overBatches() == [.free("w")])
    #expect(flows.count == 0 && !flows.isWatched(batch: "b"))
  }

  @Test("a waiting job that is looked at again keeps what is known of its batch")
  func again() {
    var flows = Flows()
    _ = wait("w", batches: ["b"], in: &flows)
    for id in ["1", "2"] { flows.member(id, of: "b", .open) }
    _ = wait("w", batches: ["b"], in: &flows)
    _ = flows.rested("1", batch: "b", isDone: true)
    #expect(flows.overBatches().isEmpty, "2 is still open")
    _ = flows.rested("2", batch: "b", isDone: true)
    #expect(flows.overBatches() == [.free("w")])
  }

  @Test("a member that was taken away counts as dead")
  func vanished() {
    var flows = Flows()
    _ = wait("w", batches: ["b"], in: &flows)
    _ = wait("x", batches: ["b"], in: &flows, anyway: true)
    flows.member("1", of: "b", .open)
    flows.vanished("other")
    #expect(flows.overBatches().isEmpty)
    flows.vanished("1")
    let answers = flows.overBatches()
    #expect(answers.count == 2 && answers.contains(.doomed("w", parent: "1")) && answers.contains(.free("x")))
  }

  @Test("a cycle is named, from one to many members, whoever comes last")
  func cycles() {
    var flows = Flows()
    #expect(wait("a", for: ["a"], in: &flows) == ["a", "a"])
    #expect(wait("a", for: ["b", "z"], in: &flows) == nil)
    #expect(wait("b", for: ["c"], in: &flows) == nil)
    #expect(wait("c", for: ["y", "a"], in: &flows) == ["c", "a", "b", "c"])
    #expect(wait("c", for: ["y"], in: &flows) == nil, "without the cycle it may wait")
  }

  @Test("a chain of 20,000 and a batch of 20,000 cost no more than their length", .timeLimit(.minutes(1)))
  func long() {
    var flows = Flows()
    for n in 1...20_000 { _ = wait("\(n)", for: ["\(n - 1)"], in: &flows) }
    _ = wait("w", batches: ["b"], in: &flows)
    for n in 1...20_000 { flows.member("m\(n)", of: "b", .open) }
    for n in 1...20_000 { _ = flows.rested("m\(n)", batch: "b", isDone: true) }
    #expect(flows.overBatches() == [.free("w")])
    var next = [Flows.Answer.free("0")]
    var ran = 0
    while case .free(let id)? = next.first {
      next = flows.rested(id, batch: nil, isDone: true)
      ran += 1
    }
    #expect(ran == 20_001 && flows.count == 0)
  }
}
