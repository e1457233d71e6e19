import SpoolTestSupport
import Testing

/// The scheduler against a plain model: an array that is searched. Whatever happens, both pick the same jobs.
@testable import JobModel

@Suite("The agenda")
struct AgendaTests {
  private func at(_ second: Int64) -> WallTime { JobFactory.later(second) }

  @Test("picks by priority, then by time")
  func order() {
    var agenda = Agenda(maxJobs: 100)
    agenda.configure("t", concurrency: 100, broken: nil)
    for (id, priority, second) in [("c", 5, 2), ("a", 5, 1), ("d", 9, 0), ("b", 5, 1), ("z", 0, 3)]
      as [(String, UInt8, Int64)]
    {
      agenda.insert(id, type: "t", priority: priority, due: at(second), now: at(10))
    }
    var picks: [String] = []
    while let pick = agenda.next(now: at(10)) { picks.append(pick.id) }
    #expect(picks.first == "z" && Set(picks[1...2]) == ["a", "b"] && Array(picks[3...]) == ["c", "d"])
    #expect(agenda.running == 5 && agenda.count == 0)
  }

  @Test("waits for what is not due, and says until when")
  func due() {
    var agenda = Agenda(maxJobs: 10)
    agenda.configure("t", concurrency: 10, broken: nil)
    agenda.insert("a", type: "t", priority: 5, due: at(20), now: at(0))
    agenda.insert("b", type: "t", priority: 5, due: at(10), now: at(0))
    #expect(agenda.next(now: at(9)) == nil)
    #expect(agenda.nextDue() == at(10))
    #expect(agenda.types[0].scheduled == 2)
    #expect(agenda.next(now: at(10))?.id == "b")
    #expect(agenda.nextDue() == at(20))
    agenda.remove("a")
    #expect(agenda.nextDue() == nil)
    #expect(agenda.types[0].scheduled == 0 && agenda.types[0].waiting == 0)
  }

  @Test("never lets a type at its limit hold up another")
  func limits() {
    var agenda = Agenda(maxJobs: 3)
    agenda.configure("slow", concurrency: 1, broken: nil)
    agenda.configure("fast", concurrency: 5, broken: nil)
    for n in 0..<3 { agenda.insert("slow-\(n)", type: "slow", priority: 0, due: at(0), now: at(1)) }
    for n in 0..<3 { agenda.insert("fast-\(n)", type: "fast", priority: 9, due: at(0), now: at(1)) }
    let picks = [agenda.next(now: at(1)), agenda.next(now: at(1)), agenda.next(now: at(1))].compactMap { $0 }
    #expect(picks.map { agenda.types[$0.type].name } == ["slow", "fast", "fast"])
    #expect(agenda.next(now: at(1)) == nil, "three run")
    agenda.ended(picks[0].type)
    #expect(agenda.next(now: at(1))?.id.hasPrefix("slow") == true)
  }

  @Test("leaves paused and broken types alone, and picks nothing at all when paused")
  func paused() {
    var agenda = Agenda(maxJobs: 3)
    agenda.configure("t", concurrency: 3, broken: nil)
    agenda.insert("a", type: "t", priority: 5, due: at(0), now: at(0))
    agenda.pause("t", true)
    #expect(agenda.next(now: at(1)) == nil)
    agenda.pause("t", false)
    agenda.markBroken("t", "no such program")
    #expect(agenda.next(now: at(1)) == nil)
    agenda.markBroken("t", nil)
    agenda.isPaused = true
    #expect(agenda.next(now: at(1)) == nil)
    agenda.isPaused = false
    #expect(agenda.next(now: at(1))?.id == "a")
  }

  @Test("hands out what is to be judged beside all limits, in order, once")
  func judging() {
    var agenda = Agenda(maxJobs: 0)
    for n in 0..<5 { agenda.insertForJudgement("bad-\(n)") }
    agenda.remove("bad-1")
    agenda.insertForJudgement("bad-2")
    #expect(agenda.count == 4 && agenda.contains("bad-2") && agenda.waiting("bad-2") == nil)
    var judged: [String] = []
    while let id = agenda.nextForJudgement() { judged.append(id) }
    #expect(judged == ["bad-0", "bad-3", "bad-4", "bad-2"])
    #expect(agenda.count == 0)
    agenda.insertForJudgement("bad-9")
    #expect(agenda.nextForJudgement() == "bad-9")
  }

  // MARK: Against a model

  private struct Model {
    struct Job {
      var type: String
      var priority: UInt8
      var due: WallTime
      var isJudged = false
    }
    var jobs: [String: Job] = [:]
    var running: [String: Int] = [:]
    var concurrency: [String: Int] = [:]
    var paused: Set<String> = []
    var maxJobs = 6

    /// Every job that may be picked now and than which none is better.
    func best(_ now: WallTime) -> (ids: Set<String>, priority: UInt8, due: WallTime)? {
      guard running.values.reduce(0, +) < maxJobs else { return nil }
      let ready = jobs.filter { _, job in
        !job.isJudged && job.due <= now && !paused.contains(job.type)
          && running[job.type, default: 0] < concurrency[job.type, default: 1]
      }
      guard let first = ready.values.min(by: { ($0.priority, $0.due) < ($1.priority, $1.due) }) else { return nil }
      let ids = ready.filter { $0.value.priority == first.priority && $0.value.due == first.due }.keys
      return (Set(ids), first.priority, first.due)
    }
  }

  @Test("agrees with a searched array whatever happens", arguments: 1...12 as ClosedRange<UInt64>)
  func model(_ seed: UInt64) throws {
    var random = SeededRandom(seed)
    var model = Model()
    var agenda = Agenda(maxJobs: model.maxJobs)
    let types = ["a", "b", "c", "d"]
    for (index, type) in types.enumerated() {
      model.concurrency[type] = index + 1
      agenda.configure(type, concurrency: index + 1, broken: nil)
    }
    var now = JobFactory.now
    var runningTypes: [Int] = []
    for step in 0..<6000 {
      let id = "job-\(Int.random(in: 0..<60, using: &random))"
      switch Int.random(in: 0..<20, using: &random) {
      case 0..<6:
        let job = Model.Job(
          type: types[Int.random(in: 0..<4, using: &random)], priority: UInt8.random(in: 0...2, using: &random),
          due: WallTime(microseconds: now.microseconds + Int64.random(in: -5...10, using: &random) * 1_000_000))
        model.jobs[id] = job
        agenda.insert(id, type: job.type, priority: job.priority, due: job.due, now: now)
      case 6:
        model.jobs[id] = Model.Job(type: "", priority: 0, due: now, isJudged: true)
        agenda.insertForJudgement(id)
      case 7, 8:
        #expect(agenda.remove(id) == (model.jobs.removeValue(forKey: id) != nil), "seed \(seed), step \(step)")
      case 9..<14:
        let best = model.best(now)
        let pick = agenda.next(now: now)
        #expect((pick == nil) == (best == nil), "seed \(seed), step \(step): \(String(describing: pick))")
        guard let pick else { break }
        try #require(best?.ids.contains(pick.id) == true, "seed \(seed), step \(step): \(pick.id)")
        let known = model.jobs.removeValue(forKey: pick.id)
        let job = try #require(known)
        #expect(agenda.types[pick.type].name == job.type)
        model.running[job.type, default: 0] += 1
        runningTypes.append(pick.type)
      case 14, 15:
        guard !runningTypes.isEmpty else { break }
        let ended = runningTypes.remove(at: Int.random(in: 0..<runningTypes.count, using: &random))
        model.running[agenda.types[ended].name, default: 0] -= 1
        agenda.ended(ended)
      case 16:
        let type = types[Int.random(in: 0..<4, using: &random)]
        if model.paused.remove(type) == nil { model.paused.insert(type) }
        agenda.pause(type, model.paused.contains(type))
      case 17:
        let judged = agenda.nextForJudgement()
        let waiting = model.jobs.filter(\.value.isJudged).keys
        #expect((judged == nil) == waiting.isEmpty, "seed \(seed), step \(step)")
        if let judged {
          #expect(waiting.contains(judged), "seed \(seed), step \(step): \(judged)")
          model.jobs[judged] = nil
        }
      default: now = now + .seconds(Int64.random(in: 0...3, using: &random))
      }
      guard step.isMultiple(of: 50) else { continue }
      #expect(agenda.count == model.jobs.count, "seed \(seed), step \(step)")
      #expect(Set(agenda.ids) == Set(model.jobs.keys), "seed \(seed), step \(step)")
      #expect(agenda.running == model.running.values.reduce(0, +), "seed \(seed), step \(step)")
      for status in agenda.types {
        let waiting = model.jobs.values.filter { !$0.isJudged && $0.type == status.name }
        #expect(status.waiting == waiting.count, "seed \(seed), step \(step), \(status.name)")
      }
      for (id, job) in model.jobs where !job.isJudged {
        #expect(
          agenda.waiting(id) == .init(id: id, type: job.type, priority: job.priority, due: job.due),
          "seed \(seed), step \(step)")
      }
      if let due = agenda.nextDue() {
        #expect(model.jobs.values.contains { !$0.isJudged && $0.due == due }, "seed \(seed), step \(step)")
      }
    }
  }

  @Test("keeps 100,000 jobs that come and go, and uses its slots again")
  func many() {
    var agenda = Agenda(maxJobs: 1)
    agenda.configure("t", concurrency: 1, broken: nil)
    var random = SeededRandom(3)
    let count = 100_000
    for round in 0..<3 {
      for n in 0..<count {
        agenda.insert(
          "round-\(round)-job-\(n)", type: "t", priority: UInt8.random(in: 0...9, using: &random),
          due: JobFactory.later(Int64.random(in: 0...1000, using: &random)), now: JobFactory.now)
      }
      #expect(agenda.count == count && agenda.types[0].waiting == count)
      var picked = 0
      while let waiting = agenda.next(now: JobFactory.later(2000)) {
        agenda.ended(waiting.type)
        picked += 1
      }
      #expect(picked == count)
      #expect(agenda.count == 0 && agenda.types[0].waiting == 0 && agenda.nextDue() == nil)
    }
    // Three rounds of names fit into one round's slots.
    #expect(agenda.slotCount <= count + 1)
  }
}
