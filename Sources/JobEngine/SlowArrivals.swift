/// Names of large files, which take long to read and to check against a schema. They are looked at after all others, so
/// that nobody makes another's job wait by sending many of them; among themselves they keep their order. What a check found
/// is remembered until the job comes to rest: it is asked again at the claim, when its file may be another.
internal import JobModel

struct SlowArrivals {
  private var queue: [String] = []
  private var next = 0
  private var ids: Set<String> = []
  /// The one that is being looked at.
  private(set) var current: String?

  var isEmpty: Bool { ids.isEmpty }
  var count: Int { ids.count }

  /// Whether it waits here; the one that is being looked at does not.
  func contains(_ id: String) -> Bool { ids.contains(id) }

  mutating func add(_ id: String) {
    if ids.insert(id).inserted { queue.append(id) }
  }

  /// When they have their turn although others wait.
  private(set) var due = Duration.zero

  /// The next one; it is `current` until `rest`.
  mutating func take() -> String? {
    guard next < queue.count else { return nil }
    let id = queue[next]
    next += 1
    if next == queue.count {
      queue.removeAll()
      next = 0
    } else if next > 4096 {
      queue.removeFirst(next)
      next = 0
    }
    ids.remove(id)
    current = id
    return id
  }

  mutating func rest(until time: Duration) {
    current = nil
    due = time
  }

  // MARK: Verdicts

  struct Verdict {
    /// Of the job without its record.
    let sha256: String
    let problem: JobProblem?
  }

  private var verdicts: [String: Verdict] = [:]

  func verdict(on id: String, sha256: String) -> Verdict? { verdicts[id].flatMap { $0.sha256 == sha256 ? $0 : nil } }

  mutating func remember(_ problem: JobProblem?, of id: String, sha256: String) {
    guard verdicts.count < Limits.verdictsRemembered || verdicts[id] != nil else { return }
    verdicts[id] = Verdict(sha256: sha256, problem: problem)
  }

  mutating func forgetVerdict(on id: String) {
    if !verdicts.isEmpty { verdicts[id] = nil }
  }

  /// The schemas may be others now.
  mutating func forgetVerdicts() { verdicts.removeAll() }
}
