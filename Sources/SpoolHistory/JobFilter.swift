/// Which jobs a list shows, and in what order.
package import JobModel

package struct JobFilter: Sendable, Equatable {
  /// Something a state filter may name.
  package enum Place: Sendable, Equatable {
    case state(JobState)
    case phase(JobPhase)
    case outcome(JobOutcome)

    /// nil for a word that names none. `running` and `waiting` are understood, because people say so.
    package init?(_ word: String) {
      switch word {
      case "running": self = .state(.cur)
      case "waiting": self = .state(.new)
      default:
        if let state = JobState(rawValue: word) {
          self = .state(state)
        } else if let phase = JobPhase(rawValue: word) {
          self = .phase(phase)
        } else if let outcome = JobOutcome(rawValue: word) {
          self = .outcome(outcome)
        } else {
          return nil
        }
      }
    }

    package static var words: [String] {
      var words = JobState.allCases.map(\.rawValue)
      words += JobPhase.allCases.map(\.rawValue).filter { !words.contains($0) }
      words += JobOutcome.allCases.map(\.rawValue).filter { !words.contains($0) }
      return words
    }

    var state: JobState {
      switch self {
      case .state(let state): state
      case .phase(let phase): JobState(rawValue: phase.rawValue) ?? .new
      case .outcome(let outcome): outcome.state
      }
    }
  }

  package enum Sort: String, Sendable, CaseIterable {
    /// Newest first, for all times.
    case updated, submitted, finished
    /// Most urgent first.
    case priority
    case state
    /// Longest first.
    case duration
  }

  /// Any of these; every state when empty.
  package var places: [Place] = []
  package var types: [String] = []
  /// All of these.
  package var tags: [String] = []
  /// By the time of the last change.
  package var since: WallTime?
  package var until: WallTime?
  /// In id, tags, meta or error, whatever the case.
  package var text: String?
  /// Running without a daemon, silent for longer than the handler's `stalled_after`, or past its `timeout`.
  package var stalled = false
  package var batch: String?
  package var sort = Sort.updated
  package var reversed = false
  /// nil: all.
  package var limit: Int?

  package init() {}

  var states: [JobState] {
    if stalled { return [.cur] }
    guard !places.isEmpty else { return JobState.allCases }
    return JobState.allCases.filter { state in places.contains { $0.state == state } }
  }

  func matches(_ row: JobRow) -> Bool {
    if !places.isEmpty {
      let matched = places.contains { place in
        switch place {
        case .state(let state): row.state == state
        case .phase(let phase): row.phase == phase
        case .outcome(let outcome): row.outcome == outcome
        }
      }
      guard matched else { return false }
    }
    if !types.isEmpty {
      guard let type = row.type, types.contains(type) else { return false }
    }
    guard tags.allSatisfy(row.tags.contains) else { return false }
    if let since, row.updatedAt < since { return false }
    if let until, row.updatedAt > until { return false }
    if let batch, row.batch != batch { return false }
    if let text, !contains(text.lowercased(), row) { return false }
    return true
  }

  private func contains(_ text: String, _ row: JobRow) -> Bool {
    func has(_ field: String) -> Bool { field.lowercased().utf8.holds(text.utf8) }
    if has(row.id) || row.tags.contains(where: has) { return true }
    if let meta = row.meta, has(String(decoding: meta, as: UTF8.self)) { return true }
    return row.error.map { has($0.code) || has($0.message) } ?? false
  }

  func isBefore(_ left: JobRow, _ right: JobRow, now: WallTime) -> Bool {
    let rank: (JobState) -> Int = { JobState.allCases.firstIndex(of: $0) ?? 0 }
    let order: Bool? =
      switch sort {
      case .updated: JobFilter.decide(right.updatedAt, left.updatedAt)
      case .submitted: JobFilter.decide(right.submittedAt, left.submittedAt)
      case .finished:
        JobFilter.decide(right.finishedAt?.microseconds ?? 0, left.finishedAt?.microseconds ?? 0)
      case .priority: JobFilter.decide(left.priority, right.priority)
      case .state: JobFilter.decide(rank(left.state), rank(right.state))
      case .duration: JobFilter.decide(right.duration(now: now) ?? .zero, left.duration(now: now) ?? .zero)
      }
    if let order { return order != reversed }
    // Equal: the newest first, then by id, so that two lists of the same jobs look the same.
    return JobFilter.decide(right.updatedAt, left.updatedAt) ?? (left.id < right.id)
  }

  private static func decide<Value: Comparable>(_ left: Value, _ right: Value) -> Bool? {
    left == right ? nil : left < right
  }
}

extension String.UTF8View {
  /// Whether `other` stands somewhere in it.
  fileprivate func holds(_ other: String.UTF8View) -> Bool {
    guard let first = other.first else { return true }
    var rest = self[...]
    while let start = rest.firstIndex(of: first) {
      if rest[start...].starts(with: other) { return true }
      rest = rest[rest.index(after: start)...]
    }
    return false
  }
}
