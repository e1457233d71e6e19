/// The agenda with all its limits against a plain model that searches arrays: types, pools, the sum, values that exclude
/// each other, rates, pauses, other jobs, time, and a checkpoint in between. The seed is in every message; MODEL_SEEDS
/// says how many there are.
import SpoolTestSupport
import Testing

@testable import JobModel

@Suite("The agenda and its limits against a model")
struct AgendaModelTests {
  private struct Job {
    var type: String
    var priority: UInt8
    var due: WallTime
    var keys: Agenda.Keys
    var isBlocked = false
  }

  private struct TypeRule {
    var concurrency: Int
    var pool: String?
    var rate: Rate?
    var isSerial = false
    var isBeside = false
    var isPaused = false
  }

  private struct Model {
    var jobs: [String: Job] = [:]
    var types: [String: TypeRule] = [:]
    var pools = ["p": 3]
    var maxJobs = 5
    var isPaused = false
    var running: [(pick: Agenda.Pick, type: String)] = []
    /// Values held, also after the end, until the job has come to rest.
    var resting: [(type: String, value: UInt64)] = []
    var starts: [String: [UInt64: [WallTime]]] = [:]

    func mayStart(_ job: Job, _ now: WallTime) -> Bool {
      guard let rule = types[job.type], !job.isBlocked, job.due <= now, !rule.isPaused else { return false }
      let beside = Set(types.filter(\.value.isBeside).keys)
      if !rule.isBeside, isPaused || running.count(where: { !beside.contains($0.type) }) >= maxJobs { return false }
      if running.count(where: { $0.type == job.type }) >= rule.concurrency { return false }
      if let pool = rule.pool, running.count(where: { types[$0.type]?.pool == pool }) >= pools[pool, default: 0] {
        return false
      }
      if let serial = job.keys.serial, resting.contains(where: { $0.type == job.type && $0.value == serial }) {
        return false
      }
      if let rate = rule.rate, let key = job.keys.rate {
        let counted = starts[job.type, default: [:]][key, default: []].count { $0 + rate.per > now }
        if counted >= rate.limit { return false }
      }
      return true
    }

    /// Ids of which one has to be picked now.
    func best(_ now: WallTime) -> Set<String> {
      let ready = jobs.filter { mayStart($0.value, now) }
      guard let first = ready.values.min(by: { ($0.priority, $0.due) < ($1.priority, $1.due) }) else { return [] }
      return Set(ready.filter { $0.value.priority == first.priority && $0.value.due == first.due }.keys)
    }
  }

  private static let names = ["a", "b", "c", "d", "e"]

  private func configure(_ agenda: inout Agenda, _ model: Model) {
    agenda.setPools(model.pools)
    for name in AgendaModelTests.names {
      guard let rule = model.types[name] else { continue }
      agenda.configure(
        name, concurrency: rule.concurrency, pool: rule.pool, rate: rule.rate, isBeside: rule.isBeside)
      agenda.pause(name, rule.isPaused)
    }
    agenda.isPaused = model.isPaused
  }

  @Test("picks what the model picks, at any time and under every limit", arguments: Seeds.all)
  func agrees(_ seed: UInt64) throws {
    var random = SeededRandom(seed)
    var model = Model()
    for (index, name) in AgendaModelTests.names.enumerated() {
      var rule = TypeRule(concurrency: Int.random(in: 1...4, using: &random))
      if Bool.random(using: &random) { rule.pool = "p" }
      rule.isSerial = Bool.random(using: &random)
      if Bool.random(using: &random) {
        rule.rate = Rate(
          limit: Int.random(in: 1...3, using: &random), per: .seconds(Int64.random(in: 1...20, using: &random)))
      }
      rule.isBeside = index == 4
      model.types[name] = rule
    }
    model.maxJobs = Int.random(in: 1...6, using: &random)
    var agenda = Agenda(maxJobs: model.maxJobs, seed: seed)
    configure(&agenda, model)
    var now = JobFactory.now
    for step in 0..<Seeds.steps {
      let note = "seed \(seed), step \(step)"
      switch Int.random(in: 0..<26, using: &random) {
      case 0..<7: submit(&agenda, &model, now, &random)
      case 7:
        let id = "j\(Int.random(in: 0..<40, using: &random))"
        #expect(agenda.remove(id) == (model.jobs.removeValue(forKey: id) != nil), "\(note)")
      case 8..<16: try pick(&agenda, &model, now, &random, note)
      case 16..<19: end(&agenda, &model, now, &random)
      case 19:
        guard let name = AgendaModelTests.names.randomElement(using: &random) else { break }
        model.types[name]?.isPaused.toggle()
        agenda.pause(name, model.types[name]?.isPaused ?? false)
      case 20:
        model.isPaused = Int.random(in: 0..<3, using: &random) == 0
        agenda.isPaused = model.isPaused
      case 21:
        guard let name = AgendaModelTests.names.randomElement(using: &random) else { break }
        model.types[name]?.concurrency = Int.random(in: 0...4, using: &random)
        model.pools["p"] = Int.random(in: 1...4, using: &random)
        configure(&agenda, model)
      case 22 where model.running.isEmpty && model.resting.isEmpty:
        agenda = try restarted(agenda, model, now, note)
      default: now = now + .milliseconds(Int64.random(in: 0...3000, using: &random))
      }
      guard step.isMultiple(of: 25) else { continue }
      #expect(Set(agenda.ids) == Set(model.jobs.keys), "\(note)")
      for status in agenda.types {
        #expect(status.waiting == model.jobs.values.count { $0.type == status.name }, "\(note), \(status.name)")
        #expect(status.running == model.running.count { $0.type == status.name }, "\(note), \(status.name)")
      }
    }
  }

  private func submit(_ agenda: inout Agenda, _ model: inout Model, _ now: WallTime, _ random: inout SeededRandom) {
    let id = "j\(Int.random(in: 0..<40, using: &random))"
    guard let type = AgendaModelTests.names.randomElement(using: &random), let rule = model.types[type] else { return }
    var keys = Agenda.Keys.none
    if rule.isSerial { keys.serial = UInt64.random(in: 0...2, using: &random) }
    if rule.rate != nil { keys.rate = UInt64.random(in: 0...2, using: &random) }
    var job = Job(
      type: type, priority: UInt8.random(in: 0...2, using: &random),
      due: WallTime(microseconds: now.microseconds + Int64.random(in: -5_000...10_000, using: &random) * 1000),
      keys: keys)
    job.isBlocked = Int.random(in: 0..<8, using: &random) == 0
    model.jobs[id] = job
    if job.isBlocked { return agenda.insertBlocked(id, type: type) }
    agenda.insert(id, type: type, priority: job.priority, due: job.due, keys: keys, now: now)
  }

  private func pick(
    _ agenda: inout Agenda, _ model: inout Model, _ now: WallTime, _ random: inout SeededRandom, _ note: String
  ) throws {
    let best = model.best(now)
    guard let pick = agenda.next(now: now) else {
      try #require(best.isEmpty, "\(note): nothing is picked, one of \(best) should be")
      // Until the time it names nothing changes by itself.
      let due = agenda.nextDue() ?? now + .seconds(100)
      try #require(due > now, "\(note): it asks to be asked again at once")
      let before = WallTime(microseconds: Int64.random(in: now.microseconds..<due.microseconds, using: &random))
      try #require(model.best(before).isEmpty, "\(note): \(model.best(before)) before \(due.rfc3339) would be missed")
      return
    }
    try #require(best.contains(pick.id), "\(note): \(pick.id) is picked, one of \(best) should be")
    let taken = model.jobs.removeValue(forKey: pick.id)
    let job = try #require(taken)
    try #require(pick.keys == job.keys && agenda.types[pick.type].name == job.type, "\(note)")
    guard Int.random(in: 0..<10, using: &random) > 0 else {
      // Nothing of it ran.
      agenda.ended(pick.type)
      agenda.takeBack(pick)
      if let value = pick.keys.serial { agenda.rested(pick.type, serial: value) }
      return
    }
    model.running.append((pick, job.type))
    if let value = job.keys.serial { model.resting.append((job.type, value)) }
    if let key = job.keys.rate { model.starts[job.type, default: [:]][key, default: []].append(now) }
  }

  private func end(_ agenda: inout Agenda, _ model: inout Model, _ now: WallTime, _ random: inout SeededRandom) {
    if Bool.random(using: &random), !model.running.isEmpty {
      let ended = model.running.remove(at: Int.random(in: 0..<model.running.count, using: &random))
      agenda.ended(ended.pick.type)
      agenda.learn(ended.pick.type, succeeded: true, isTried: ended.pick.isTried, now: now)
    } else if let place = model.resting.indices.first(where: { place in
      let held = model.resting[place]
      return !model.running.contains { $0.type == held.type && $0.pick.keys.serial == held.value }
    }) {
      let rested = model.resting.remove(at: place)
      agenda.rested(agenda.number(of: rested.type), serial: rested.value)
    }
  }

  /// As after a restart: from a checkpoint, what it leaves out looked at anew, the starts told from the log.
  private func restarted(_ old: Agenda, _ model: Model, _ now: WallTime, _ note: String) throws -> Agenda {
    var bytes: [UInt8] = []
    _ = old.write(0..<old.slotLimit, to: &bytes)
    var agenda = Agenda(maxJobs: model.maxJobs, seed: 1)
    configure(&agenda, model)
    let read = bytes.withUnsafeBytes { agenda.restore($0, types: old.types.map(\.name), now: now) { _, _ in } }
    try #require(read == bytes.count, "\(note)")
    for (id, job) in model.jobs where !agenda.contains(id) {
      try #require(job.isBlocked, "\(note): \(id) is not in the checkpoint")
      agenda.insertBlocked(id, type: job.type)
    }
    for (type, keys) in model.starts {
      for (key, times) in keys { for time in times { agenda.countStart(type, key: key, at: time) } }
    }
    return agenda
  }
}
