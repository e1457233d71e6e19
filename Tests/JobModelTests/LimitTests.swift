/// Rates, resting types and values that exclude each other: what lets a job start and when, by a clock that the test
/// sets, also back.
import SpoolTestSupport
import Testing

@testable import JobModel

@Suite("Limits")
struct LimitTests {
  private func at(_ second: Int64) -> WallTime { JobFactory.later(second) }

  // MARK: Rates

  @Test("ten an hour: the eleventh waits for the first to be an hour old, another value does not")
  func slides() {
    var window = RateWindow(Rate(limit: 10, per: .seconds(3600)))
    for n in 0..<10 {
      #expect(window.next(7, now: at(Int64(n) * 60)) == nil)
      window.count(7, at: at(Int64(n) * 60))
    }
    #expect(window.next(7, now: at(600)) == at(3600) && window.next(8, now: at(600)) == nil)
    #expect(window.next(7, now: at(3600)) == nil)
    window.count(7, at: at(3600))
    #expect(window.next(7, now: at(3601)) == at(3660), "then the second decides")
    let full = window.refusing(10, now: at(3601))
    #expect(full.map(\.key) == [7] && full.map(\.until) == [at(3660)])
    #expect(window.refusing(10, now: at(3660)).isEmpty)
  }

  @Test("never more than the limit in any interval", arguments: 1...20 as ClosedRange<UInt64>)
  func exact(_ seed: UInt64) {
    var random = SeededRandom(seed)
    let limit = Int.random(in: 1...5, using: &random)
    let per: Int64 = 10
    var window = RateWindow(Rate(limit: limit, per: .seconds(per)))
    var taken: [Int64] = []
    for second in 0..<300 as Range<Int64> where Bool.random(using: &random) {
      guard window.next(1, now: at(second)) == nil else {
        #expect(taken.count { $0 > second - per } == limit, "seed \(seed): refused with room at \(second)")
        continue
      }
      window.count(1, at: at(second))
      if Int.random(in: 0..<10, using: &random) == 0 {
        window.takeBack(1, at: at(second))
      } else {
        taken.append(second)
      }
    }
    for second in taken {
      #expect(taken.count { $0 >= second && $0 < second + per } <= limit, "seed \(seed)")
    }
  }

  @Test("a clock set back by a day holds nobody up for more than the interval")
  func rateClock() {
    var window = RateWindow(Rate(limit: 2, per: .seconds(60)))
    window.count(1, at: at(86_400))
    window.count(1, at: at(86_410))
    window.clockSetBack(to: at(0))
    #expect(window.next(1, now: at(0)) == at(60) && window.next(1, now: at(60)) == nil)
  }

  // MARK: A type that rests

  private func failing() -> CircuitBreaker {
    var circuit = CircuitBreaker()
    for _ in 0..<CircuitBreaker.threshold { circuit.failed(isTried: false, now: at(0)) }
    return circuit
  }

  @Test("after 20 failures in a row a type rests a second, then one job is tried")
  func rests() {
    var circuit = failing()
    #expect(circuit.phase == .open(until: at(1)) && !circuit.allowsStart(now: at(0)))
    #expect(circuit.allowsStart(now: at(1)))
    let isTried = circuit.started()
    #expect(isTried && circuit.phase == .halfOpen && !circuit.allowsStart(now: at(100)))
    circuit.failed(isTried: true, now: at(2))
    #expect(circuit.phase == .open(until: at(4)), "each failure doubles the rest")
    _ = circuit.started()
    circuit.succeeded()
    #expect(circuit.phase == .closed && circuit.failures == 0)
    let isAnother = circuit.started()
    #expect(!isAnother)
  }

  @Test("only the end of the job that is tried decides; handed back, another is tried")
  func tried() {
    var agenda = Agenda(maxJobs: 30)
    agenda.configure("t", concurrency: 30)
    for n in 0..<25 { agenda.insert("j\(n)", type: "t", priority: 5, due: at(0), now: at(0)) }
    let early = (0..<22).compactMap { _ in agenda.next(now: at(0)) }
    for pick in early[..<20] {
      agenda.ended(pick.type)
      agenda.learn(pick.type, succeeded: false, isTried: pick.isTried, now: at(0))
    }
    #expect(agenda.next(now: at(0)) == nil && agenda.nextDue() == at(1))
    let tried = agenda.next(now: at(1))
    #expect(tried?.isTried == true && agenda.next(now: at(1)) == nil)
    // Two that had begun before: one is handed back, one fails. Neither says anything about the one that is tried.
    agenda.ended(0)
    agenda.learn(0, succeeded: nil, isTried: early[20].isTried, now: at(1))
    agenda.ended(0)
    agenda.learn(0, succeeded: false, isTried: early[21].isTried, now: at(1))
    #expect(agenda.types[0].circuit.phase == .halfOpen && agenda.next(now: at(50)) == nil)
    // Now that one is handed back: the type is neither stuck nor open.
    agenda.ended(0)
    agenda.learn(0, succeeded: nil, isTried: true, now: at(50))
    let second = agenda.next(now: at(50))
    #expect(second?.isTried == true && agenda.next(now: at(50)) == nil)
    agenda.ended(0)
    agenda.learn(0, succeeded: true, isTried: true, now: at(51))
    #expect(agenda.next(now: at(51))?.isTried == false)
  }

  @Test("a rest that is over while something else holds the type up wakes nobody")
  func noSpin() {
    var agenda = Agenda(maxJobs: 2)
    agenda.configure("t", concurrency: 2)
    agenda.insert("j", type: "t", priority: 5, due: at(0), now: at(0))
    for _ in 0..<CircuitBreaker.threshold { agenda.learn(0, succeeded: false, isTried: false, now: at(0)) }
    agenda.pause("t", true)
    #expect(agenda.next(now: at(0)) == nil && agenda.nextDue() == at(1))
    #expect(agenda.next(now: at(1)) == nil && agenda.nextDue() == nil)
    agenda.pause("t", false)
    #expect(agenda.next(now: at(2))?.id == "j")
  }

  @Test("a clock set back by a day lets a type rest no longer than it was to")
  func circuitClock() {
    var circuit = CircuitBreaker()
    for _ in 0..<CircuitBreaker.threshold { circuit.failed(isTried: false, now: at(86_400)) }
    circuit.clockSetBack(to: at(0))
    #expect(circuit.phase == .open(until: at(1)))
  }

  // MARK: Many that wait for one value

  private func rated(_ limit: Int, per: Int64 = 60) -> Agenda {
    var agenda = Agenda(maxJobs: 1_000_000)
    agenda.configure("t", concurrency: 1_000_000, rate: Rate(limit: limit, per: .seconds(per)))
    return agenda
  }

  /// `count` jobs that are due, of which one may start in a minute.
  private func onePerMinute(_ count: Int) -> Agenda {
    var agenda = rated(1)
    for n in 0..<count {
      agenda.insert("j\(n)", type: "t", priority: 5, due: at(Int64(n)), keys: .init(rate: 9), now: at(10))
    }
    return agenda
  }

  private func picks(_ agenda: inout Agenda, now: WallTime) -> [String] {
    var ids: [String] = []
    while let pick = agenda.next(now: now) { ids.append(pick.id) }
    return ids
  }

  @Test("20,000 jobs that wait for one rate: a start moves one of them, not all")
  func many() {
    var agenda = rated(3)
    for n in 0..<20_000 {
      agenda.insert("j\(n)", type: "t", priority: 5, due: at(Int64(n)), keys: .init(rate: 9), now: at(20_000))
    }
    #expect(picks(&agenda, now: at(20_000)) == ["j0", "j1", "j2"])
    for round in 1...50 as ClosedRange<Int64> {
      let now = at(20_000 + round * 60)
      #expect(agenda.nextDue() == now)
      #expect(picks(&agenda, now: at(20_000 + round * 60 - 1)).isEmpty)
      var started: [String] = []
      while let pick = agenda.next(now: now) {
        started.append(pick.id)
        #expect(agenda.lineLength(0) <= 1, "\(agenda.lineLength(0)) jobs went back into the line")
      }
      #expect(started == (0..<3 as Range<Int64>).map { "j\(round * 3 + $0)" })
    }
    #expect(agenda.types[0].waiting == 20_000 - 51 * 3 && agenda.types[0].scheduled == 0)
  }

  @Test("a start that was none is not counted, whenever that turns out")
  func takenBack() throws {
    var agenda = onePerMinute(2)
    let first = agenda.next(now: at(10))
    let pick = try #require(first)
    #expect(agenda.next(now: at(11)) == nil)
    agenda.ended(pick.type)
    agenda.takeBack(pick)
    #expect(agenda.next(now: at(12))?.id == "j1")
    #expect(agenda.next(now: at(13)) == nil)
  }

  @Test("a start counts from when it was made, which is later than it was picked")
  func startedLater() throws {
    var agenda = onePerMinute(3)
    let first = agenda.next(now: at(10))
    agenda.started(try #require(first), at: at(15))
    #expect(agenda.next(now: at(70)) == nil)
    #expect(agenda.nextDue() == at(75))
    let second = agenda.next(now: at(75))
    #expect(second?.id == "j1")
    // Its claim came to nothing: no start moves into its place.
    agenda.takeBack(try #require(second))
    agenda.started(try #require(second), at: at(80))
    #expect(agenda.next(now: at(81))?.id == "j2")
  }

  @Test("who leaves the line lets the next of its rate in: cancelled, or held up by its serial value")
  func handsOn() {
    var agenda = rated(1)
    for n in 0..<4 { agenda.insert("j\(n)", type: "t", priority: 5, due: at(0), keys: .init(rate: 9), now: at(0)) }
    agenda.insert("other", type: "t", priority: 5, due: at(0), keys: .init(rate: 8), now: at(0))
    let first = picks(&agenda, now: at(0))
    #expect(first.count == 2 && first.contains("other"))
    // The limit of jobs keeps the one that was let in from starting; it is cancelled there.
    agenda.maxJobs = 2
    #expect(agenda.next(now: at(60)) == nil && agenda.lineLength(0) == 1)
    let waiting = ["j0", "j1", "j2", "j3"].filter { agenda.contains($0) }
    let inLine = waiting.first { agenda.isInLine($0) }
    let isGone = agenda.remove(inLine ?? "")
    #expect(isGone)
    agenda.maxJobs = 10
    #expect(picks(&agenda, now: at(60)).count == 1)

    var serial = Agenda(maxJobs: 10)
    serial.configure("t", concurrency: 10, rate: Rate(limit: 2, per: .seconds(60)))
    serial.insert("a1", type: "t", priority: 5, due: at(0), keys: .init(serial: 1, rate: 9), now: at(0))
    serial.insert("x", type: "t", priority: 5, due: at(1), keys: .init(serial: 3, rate: 9), now: at(1))
    #expect(picks(&serial, now: at(1)) == ["a1", "x"])
    serial.rested(0, serial: 1)
    serial.insert("a2", type: "t", priority: 5, due: at(2), keys: .init(serial: 1, rate: 9), now: at(3))
    serial.insert("b1", type: "t", priority: 5, due: at(3), keys: .init(serial: 2, rate: 9), now: at(3))
    serial.insert("c1", type: "t", priority: 5, due: at(4), keys: .init(serial: 1, rate: 8), now: at(4))
    #expect(picks(&serial, now: at(4)) == ["c1"])
    // a2 is let in first, and waits for c1 from then on; b1 must not wait with it.
    #expect(picks(&serial, now: at(61)) == ["b1"])
    serial.rested(0, serial: 1)
    #expect(picks(&serial, now: at(61)) == ["a2"])
  }

  @Test("who leaves the line lets the next of its serial value in: held up by its rate, or cancelled")
  func handsOnSerial() {
    var agenda = rated(1)
    for (id, rate) in [("a", 9), ("b", 9), ("c", 8), ("d", 7)] as [(String, UInt64)] {
      agenda.insert(id, type: "t", priority: 5, due: at(0), keys: .init(serial: 1, rate: rate), now: at(0))
    }
    let first = picks(&agenda, now: at(0))
    #expect(first.count == 1)
    agenda.rested(0, serial: 1)
    // Of those that are left, one of a and b has to wait for its rate; the others of the value must not wait with it.
    var started = first
    for _ in 0..<2 {
      started += picks(&agenda, now: at(1))
      agenda.rested(0, serial: 1)
    }
    #expect(started.count == 3 && started.contains("c") && started.contains("d"))

    for id in ["x", "y", "z"] {
      agenda.insert(id, type: "t", priority: 5, due: at(2), keys: .init(serial: 2), now: at(2))
    }
    #expect(picks(&agenda, now: at(2)).count == 1)
    agenda.rested(0, serial: 2)
    let letIn = ["x", "y", "z"].first { agenda.isInLine($0) }
    let isGone = agenda.remove(letIn ?? "")
    #expect(isGone)
    #expect(picks(&agenda, now: at(2)).count == 1)
  }

  @Test("no job is lost whatever comes, goes and is set back", arguments: 1...10 as ClosedRange<UInt64>)
  func model(_ seed: UInt64) {
    var random = SeededRandom(seed)
    var agenda = Agenda(maxJobs: 4)
    agenda.configure("t", concurrency: 3, rate: Rate(limit: 2, per: .seconds(10)))
    var waiting: Set<String> = []
    var running: [(type: Int, keys: Agenda.Keys)] = []
    var second: Int64 = 0
    for step in 0..<3000 {
      let id = "j\(Int.random(in: 0..<40, using: &random))"
      switch Int.random(in: 0..<12, using: &random) {
      case 0..<4:
        let keys = Agenda.Keys(
          serial: Bool.random(using: &random) ? UInt64.random(in: 1...3, using: &random) : nil,
          rate: UInt64.random(in: 1...3, using: &random))
        agenda.insert(id, type: "t", priority: 5, due: at(second), keys: keys, now: at(second))
        waiting.insert(id)
      case 4:
        #expect(agenda.remove(id) == (waiting.remove(id) != nil), "seed \(seed), step \(step)")
      case 5..<8:
        guard let pick = agenda.next(now: at(second)) else { break }
        #expect(waiting.remove(pick.id) != nil, "seed \(seed), step \(step)")
        running.append((pick.type, pick.keys))
      case 8, 9:
        guard let end = running.popLast() else { break }
        agenda.ended(end.type)
        if let value = end.keys.serial { agenda.rested(end.type, serial: value) }
      case 10 where step.isMultiple(of: 7):
        second -= 1000
        agenda.clockSetBack(to: at(second))
      default: second += Int64.random(in: 0...4, using: &random)
      }
      #expect(agenda.count == waiting.count, "seed \(seed), step \(step)")
    }
    for end in running {
      agenda.ended(end.type)
      if let value = end.keys.serial { agenda.rested(end.type, serial: value) }
    }
    // Everything left starts within as many intervals as there are jobs.
    for _ in 0..<60 {
      second += 10
      while let pick = agenda.next(now: at(second)) {
        #expect(waiting.remove(pick.id) != nil)
        agenda.ended(pick.type)
        if let value = pick.keys.serial { agenda.rested(pick.type, serial: value) }
      }
    }
    #expect(waiting.isEmpty && agenda.count == 0 && agenda.types[0].waiting == 0, "seed \(seed): \(waiting) stayed")
  }

  // MARK: Due times

  private struct Row {
    var what: String
    var json: String
    var runAt: Int64?
    var updatedAt: Int64 = 0
    var isSpent = false
    var firstSeen: Int64 = 0
    var now: Int64
    var due: Int64
  }

  @Test("a wait lasts no longer than it was meant to, whatever the clock does; a time that was named stays")
  func due() throws {
    let day: Int64 = 86_400
    let rows = [
      Row(what: "retry", json: "", runAt: 60, isSpent: true, now: 5, due: 60),
      Row(what: "retry, clock set back a day", json: "", runAt: 60, isSpent: true, now: -day, due: -day + 60),
      Row(what: "retry, clock set forward", json: "", runAt: 60, isSpent: true, now: day, due: 60),
      Row(what: "released, clock set back", json: "", runAt: 0, isSpent: true, now: -day, due: -day),
      Row(what: "requeued, clock set back", json: "", isSpent: true, now: -day, due: -day),
      Row(what: "delay", json: ",\"delay\":\"90s\"", now: 5, due: 90),
      Row(what: "delay, clock set back", json: ",\"delay\":\"90s\"", now: -day, due: -day + 90),
      Row(what: "no time, clock set back", json: "", now: -day, due: -day),
      Row(what: "run_at", json: ",\"run_at\":\"\(at(day).rfc3339)\"", now: -day, due: day),
    ]
    for row in rows {
      var job = try JobScanner.scan(Array("{\"type\":\"t\"\(row.json)}".utf8))
      if row.isSpent {
        var record = JobFactory.record("j", .new)
        record.updatedAt = at(row.updatedAt)
        record.runAt = row.runAt.map { at($0) }
        record.spent = true
        job.record = record
      }
      #expect(job.due(firstSeen: at(row.firstSeen), now: at(row.now)) == at(row.due), "\(row.what)")
    }
  }

  @Test("deadlines that did not come to pass leave nothing behind")
  func deadlines() {
    var deadlines = Deadlines<Int>()
    for n in 0..<100_000 {
      deadlines.set(n, at(Int64(n) + 86_400))
      if n >= 10 { deadlines.remove(n - 10) }
    }
    #expect(deadlines.count == 10 && deadlines.entries < 2000)
    var taken: [Int] = []
    while let n = deadlines.take(now: .latest) { taken.append(n) }
    #expect(taken == Array(99_990..<100_000))
  }
}
