/// The agenda as bytes and back, and a scan against it.
import SpoolTestSupport
import Testing

@testable import JobModel

@Suite("The agenda's checkpoint")
struct AgendaCheckpointTests {
  private let uuid = "019a9000-0000-7abc-9def-0123456789ab"
  private func at(_ second: Int64) -> WallTime { JobFactory.later(second) }

  private func agenda() -> Agenda {
    var agenda = Agenda(maxJobs: 100, seed: 7)
    for type in ["a", "b"] { agenda.configure(type, concurrency: 100) }
    return agenda
  }

  private func copy(
    _ bytes: [UInt8], into agenda: inout Agenda, types: [String?] = ["a", "b"], stale: Set<String> = []
  ) -> Int? {
    bytes.withUnsafeBytes {
      agenda.restore($0, types: types, now: at(10), isStale: { stale.contains($0) }) { _, _ in }
    }
  }

  @Test("keeps name, type, priority, time and keys, and picks come in the same order")
  func roundTrip() {
    var first = agenda()
    first.insert(uuid, type: "b", priority: 3, due: at(1), now: at(10))
    first.insert("plain.name", type: "a", priority: 5, due: at(2), keys: .init(serial: 9, rate: 8), now: at(10))
    first.insert("later", type: "a", priority: 0, due: at(20), firstSeen: at(4), now: at(10))
    var bytes: [UInt8] = []
    #expect(first.write(0..<100, to: &bytes) == 3)
    var second = agenda()
    #expect(copy(bytes, into: &second) == bytes.count)
    #expect(second.count == 3 && second.types.map(\.waiting) == [2, 1] && second.types[0].scheduled == 1)
    let picks = [second.next(now: at(10)), second.next(now: at(10))]
    #expect(picks.map { $0?.id } == [uuid, "plain.name"])
    #expect(picks[1]?.keys == .init(serial: 9, rate: 8) && picks[1]?.isRestored == true)
    #expect(second.next(now: at(10)) == nil)
    let last = second.next(now: at(20))
    #expect(last?.id == "later" && last?.firstSeen == at(4))
  }

  @Test("leaves out what its bytes cannot say: blocked jobs, jobs to be judged, jobs with an end of their own")
  func leftOut() {
    var first = agenda()
    first.insertBlocked("blocked", type: "a")
    first.insertForJudgement("faulty")
    first.insert("expires", type: "a", priority: 5, due: at(1), hasMore: true, now: at(10))
    var bytes: [UInt8] = []
    #expect(first.write(0..<100, to: &bytes) == 0)
    #expect(bytes.isEmpty)
  }

  @Test("passes over types that are not here any more, jobs moved since, and jobs looked at already")
  func passedOver() {
    var first = agenda()
    first.insert("one", type: "a", priority: 5, due: at(1), now: at(10))
    first.insert("two", type: "b", priority: 5, due: at(1), now: at(10))
    first.insert("three", type: "b", priority: 5, due: at(1), now: at(10))
    first.insert("four", type: "b", priority: 5, due: at(1), now: at(10))
    var bytes: [UInt8] = []
    _ = first.write(0..<100, to: &bytes)
    var second = agenda()
    second.insert("four", type: "b", priority: 5, due: at(99), now: at(10))
    #expect(copy(bytes, into: &second, types: [nil, "b"], stale: ["two"]) == bytes.count)
    #expect(Set(second.ids) == ["three", "four"])
    #expect(second.waiting("four")?.due == at(99))
  }

  @Test("is read in pieces of any length, and bytes that are no entries are refused")
  func pieces() {
    var first = agenda()
    for number in 0..<50 { first.insert("job-\(number)", type: "a", priority: 5, due: at(1), now: at(10)) }
    var bytes: [UInt8] = []
    _ = first.write(0..<100, to: &bytes)
    for length in [40, 41, 97] {
      var second = agenda()
      var rest = bytes[...]
      while !rest.isEmpty {
        guard let used = copy(Array(rest.prefix(length)), into: &second), used > 0 else { break }
        rest = rest.dropFirst(used)
      }
      #expect(second.count == 50)
    }
    var second = agenda()
    #expect(copy([UInt8](repeating: 0, count: 64), into: &second) == nil)
    #expect(copy([UInt8](repeating: 200, count: 64), into: &second) == nil)
    #expect(second.count == 0)
  }

  @Test("a scan knows what is there, what came meanwhile, and what has gone")
  func scan() {
    var first = agenda()
    first.insert("stays", type: "a", priority: 5, due: at(1), inode: 11, now: at(10))
    first.insert("goes", type: "a", priority: 5, due: at(1), inode: 12, now: at(10))
    first.insert("replaced", type: "a", priority: 5, due: at(1), inode: 13, now: at(10))
    var bytes: [UInt8] = []
    _ = first.write(0..<100, to: &bytes)
    var agenda = agenda()
    _ = copy(bytes, into: &agenda)
    for _ in 0..<2 {
      agenda.beginScan()
      agenda.insert("comes", type: "a", priority: 5, due: at(1), now: at(10))
      func see(_ id: String, _ inode: UInt64) -> Agenda.Sight {
        Array(id.utf8).withUnsafeBufferPointer { agenda.see($0, inode: inode) }
      }
      #expect(see("stays", 11) == .known)
      #expect(see("replaced", 99) == .changed)
      #expect(see("stranger", 1) == .unknown)
      #expect(agenda.takeUnseen(in: 0..<100) == ["goes"])
    }
    agenda.insert("replaced", type: "a", priority: 5, due: at(1), inode: 99, now: at(10))
    agenda.beginScan()
    #expect(Array("replaced".utf8).withUnsafeBufferPointer { agenda.see($0, inode: 5) } == .known)
  }

  @Test("a scan after one that broke off finds what has gone all the same")
  func brokenOff() {
    var agenda = agenda()
    agenda.insert("stays", type: "a", priority: 5, due: at(1), now: at(10))
    agenda.insert("goes", type: "a", priority: 5, due: at(1), now: at(10))
    func seeStays() { _ = Array("stays".utf8).withUnsafeBufferPointer { agenda.see($0, inode: 1) } }
    agenda.beginScan()
    seeStays()
    agenda.abandonScan()
    agenda.beginScan()
    seeStays()
    #expect(agenda.takeUnseen(in: 0..<1) + agenda.takeUnseen(in: 1..<100) == ["goes"])
    agenda.beginScan()
    #expect(Set(agenda.takeUnseen(in: 0..<100)) == ["stays", "goes"])
  }
}
