/// Races as they are: threads with a spool of their own each, released together; the kernel decides who wins.
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@Suite("Races")
struct RaceTests {
  private static let threads = 8

  @Test("of eight submitters of one id exactly one is told yes, and its bytes are in new")
  func submitters() throws {
    for round in 0..<25 {
      let test = try TestSpool()
      let answers = race { number in
        do {
          let json = JobFactory.json(payload: "\(number)")
          try Intake(try test.open()).submit(.init(id: "a", bytes: Array(json.utf8)))
          return "yes"
        } catch let error as SpoolError { return error.code.name } catch { return "\(error)" }
      }
      let winners = answers.indices.filter { answers[$0] == "yes" }
      #expect(winners.count == 1, "round \(round): \(answers)")
      #expect(answers.count { $0 == "exists" } == RaceTests.threads - 1, "round \(round): \(answers)")
      let payload = String(decoding: try test.job("a", .new).payloadBytes, as: UTF8.self)
      #expect(payload == winners.first.map { "\($0)" })
      #expect(test.names(in: .tmp) == [])
    }
  }

  @Test("of eight bulk submitters each id is accepted once")
  func bulkSubmitters() throws {
    let test = try TestSpool()
    let ids = (0..<40).map { "job-\($0)" }
    let answers = race { _ in
      let submissions = ids.map { Intake.Submission(id: $0, bytes: Array(JobFactory.json().utf8)) }
      guard let results = try? Intake(try test.open()).submit(bulk: submissions) else { return "threw" }
      return results.map { result in
        if case .success = result { "1" } else { "0" }
      }.joined()
    }
    for (index, id) in ids.enumerated() {
      let accepted = answers.count { Array($0)[index] == "1" }
      #expect(accepted == 1, "\(id) was accepted \(accepted) times")
    }
    #expect(test.names(in: .new).count == ids.count)
  }

  @Test("of eight claimers of one file exactly one has it, and the others get nil")
  func claimers() throws {
    for round in 0..<25 {
      let test = try TestSpool()
      try test.drop("a", JobFactory.json())
      let answers = race { number in
        do {
          let transitions = try test.transitions(node: "node-\(number)")
          guard let claim = try transitions.claim("a", limit: 1 << 20) else { return "nil" }
          return claim.id
        } catch { return "\(error)" }
      }
      #expect(answers.filter { $0 == "a" }.count == 1, "round \(round): \(answers)")
      #expect(answers.filter { $0 == "nil" }.count == RaceTests.threads - 1, "round \(round): \(answers)")
      #expect(test.states(of: "a") == [.cur])
    }
  }

  @Test("of a claimer and an operator who holds the job only one gets it")
  func claimAgainstHold() throws {
    for round in 0..<25 {
      let test = try TestSpool()
      try test.drop("a", JobFactory.json())
      let answers = race { number in
        do {
          let transitions = try test.transitions(node: "node-\(number)")
          if number.isMultiple(of: 2) {
            guard let claim = try transitions.claim("a", limit: 1 << 20) else { return "nil" }
            return "cur " + claim.id
          }
          try transitions.hold("a", type: nil, at: JobFactory.now, by: "anna")
          return "hold a"
        } catch let error as SpoolError { return error.code.name } catch { return "\(error)" }
      }
      let winners = answers.filter { $0.hasSuffix(" a") }
      #expect(winners.count == 1, "round \(round): \(answers)")
      #expect(winners.first == test.states(of: "a").first.map { "\($0) a" })
    }
  }

  /// Runs `body` on all threads at once; their answers in the order of their numbers.
  private func race(_ body: @escaping @Sendable (Int) -> String) -> [String] {
    let start = Start(count: RaceTests.threads, body: body)
    var threads: [pthread_t] = []
    for _ in 0..<RaceTests.threads {
      var thread = pthread_t()
      let made = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
          return nil
        }, Unmanaged.passRetained(start).toOpaque())
      #expect(made == 0)
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    return start.answers
  }

  /// Holds every thread until the last has come.
  private final class Start: Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> String
    private let arrived = Atomic<Int>(0)
    private let said: Mutex<[String]>

    init(count: Int, body: @escaping @Sendable (Int) -> String) {
      self.count = count
      self.body = body
      said = Mutex(Array(repeating: "", count: count))
    }

    var answers: [String] { said.withLock { $0 } }

    func run() {
      let number = arrived.add(1, ordering: .acquiringAndReleasing).oldValue
      while arrived.load(ordering: .acquiring) < count { sched_yield() }
      let answer = body(number)
      said.withLock { $0[number] = answer }
    }
  }
}
