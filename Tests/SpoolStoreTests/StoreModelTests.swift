/// The store against a model, under random verbs and a disk that fails: any call may refuse (full, broken), the program may
/// die before any, the power may go. Whatever happens, each accepted job lies in one place with what its producer wrote, an
/// end that was told stays, and the log is whole. The seed is in every message; MODEL_SEEDS says how many there are.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@Suite("The store against a model, under faults")
struct StoreModelTests {
  /// Faults by chance, the same for the same seed.
  private final class Weather: Sendable {
    private struct State {
      var random: SeededRandom
      var isFoul = false
    }
    private let state: Mutex<State>

    init(_ seed: UInt64) { state = Mutex(State(random: SeededRandom(seed &* 7919))) }

    func set(foul: Bool) { state.withLock { $0.isFoul = foul } }

    func failure(_ call: String) -> Errno? {
      state.withLock { state in
        guard state.isFoul, Int.random(in: 0..<25, using: &state.random) == 0 else { return nil }
        return [Errno.noSpace, Errno(EIO), Errno(EDQUOT), Errno(EMFILE)].randomElement(using: &state.random)
      }
    }
  }

  private struct Job {
    var text: String
    /// Its end was told, and nobody requeued it since.
    var end: JobState?
  }

  @Test("no fault loses a job, doubles one, or takes back what was told", arguments: Seeds.all)
  func holds(_ seed: UInt64) throws {
    let test = try TestSpool()
    let weather = Weather(seed)
    var random = SeededRandom(seed)
    var jobs: [String: Job] = [:]
    var number = 0
    for round in 0..<max(4, Seeds.steps / 100) {
      let note = "seed \(seed), round \(round)"
      let cut = Int.random(in: 0..<3, using: &random) == 0 ? Int.random(in: 1...120, using: &random) : nil
      let syscalls = InterruptedSyscalls(cutAt: cut, tearing: Bool.random(using: &random)) { _, call in
        weather.failure(call)
      }
      do {
        let life = try Life(test, syscalls)
        weather.set(foul: true)
        for _ in 0..<Int.random(in: 1...30, using: &random) {
          if syscalls.isDead { break }
          step(life, &jobs, &number, &random)
        }
      } catch let error as SpoolError {
        guard syscalls.isDead else { throw error }
      }
      weather.set(foul: false)
      if syscalls.isDead, Bool.random(using: &random) { syscalls.losePower(test) }
      _ = try Life.recover(test)
      try check(test, jobs, note)
    }
  }

  /// One verb; what it refuses is as if it had not been asked, as far as anybody was told.
  private func step(_ life: Life, _ jobs: inout [String: Job], _ number: inout Int, _ random: inout SeededRandom) {
    let spool = life.spool
    func pick(_ state: JobState) -> String? {
      jobs.keys.sorted().filter { (try? spool.exists($0, in: state)) == true }.randomElement(using: &random)
    }
    do {
      switch Int.random(in: 0..<12, using: &random) {
      case 0..<4:
        number += 1
        let text = "{\"type\":\"demo\",\"payload\":{\"n\":\(number)}}\n"
        try life.submit("job-\(number)", text)
        jobs["job-\(number)"] = Job(text: text)
      case 4..<8:
        guard let id = pick(.new) else { return }
        let transition: Transition =
          [.finish, .finish, .bury, .retry, .release].randomElement(using: &random) ?? .finish
        let large = Int.random(in: 0..<4, using: &random) == 0
        let result = transition == .finish && large ? "\"" + String(repeating: "r", count: 5000) + "\"" : nil
        if try run(id, transition, result, life, &random) {
          jobs[id]?.end = transition == .finish ? .done : transition == .bury ? .dead : nil
        }
      case 8:
        guard let id = pick(.dead) ?? pick(.done), let state = try spool.state(of: id) else { return }
        // Asked for is begun: from here on it may have been done.
        jobs[id]?.end = nil
        try life.transitions.requeue(id, from: state, type: "demo", at: life.now, by: "anna")
        try life.transitions.audit.commit()
      case 9:
        guard let id = pick(.new) else { return }
        try life.transitions.hold(id, type: "demo", at: life.now, by: "anna")
        try life.transitions.audit.commit()
      case 10:
        guard let id = pick(.hold) else { return }
        try life.transitions.unhold(id, type: "demo", at: life.now, by: "anna")
        try life.transitions.audit.commit()
      default: try life.transitions.audit.commit()
      }
    } catch {}
  }

  /// A run whose settle is repeated a few times, as the engine does; true when its end is visible.
  private func run(
    _ id: String, _ transition: Transition, _ result: String?, _ life: Life, _ random: inout SeededRandom
  ) throws -> Bool {
    let claim = try life.begin(id)
    var record = life.taken(claim)
    if transition != .release {
      record.add(JobFactory.attempt(record.attempt + 1, transition == .finish ? .done : .failed))
    }
    Life.finish(&record, transition, result: result)
    let settlement = Settlement(claim, transition, record)
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      do { return try life.settle(settlement) } catch {}
    }
    return false
  }

  private func check(_ test: TestSpool, _ jobs: [String: Job], _ note: String) throws {
    try #require(test.auditFaults() == [], "\(note)")
    try #require(test.names(in: .cur) == [], "\(note)")
    for (id, job) in jobs {
      let states = test.states(of: id)
      // The whole log is read for it: only when it is wanted.
      func events() -> [String] { (try? test.events(of: id)) ?? [] }
      try #require(states.count == 1, "\(note): \(id) is in \(states); \(events())")
      let found = try test.job(id, states[0])
      try #require(String(decoding: found.original, as: UTF8.self) == job.text, "\(note): \(id) has another text")
      if let end = job.end {
        try #require(
          states[0] == end, "\(note): \(id) ended in \(end) and is in \(states[0]); \(events())")
        try #require(
          found.record?.state == end, "\(note): \(id) in \(end) says \(String(describing: found.record?.state))")
      }
      if states[0] == .done || states[0] == .dead { try #require(found.record?.state == states[0], "\(note): \(id)") }
    }
    var fsck = Fsck(try test.open(), now: JobFactory.later(100))
    try fsck.run()
    try #require(fsck.problems.map { "\($0)" } == [], "\(note)")
  }
}
