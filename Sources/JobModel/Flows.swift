/// Jobs that wait for other jobs (`after`). A value: it is told who waits for whom and who came to rest, and answers who
/// may go on and who cannot any more. Looking for files and reading the log is the engine's work.
///
/// A batch is over when all its members known at that moment have come to rest; a batch nobody has joined yet waits.
package struct Flows {
  /// What the spool says of a parent when its child is first looked at.
  package enum ParentState: Sendable, Equatable {
    case done, dead, open
    /// No file and no line: perhaps not submitted yet.
    case unknown
  }

  package enum Answer: Sendable, Equatable {
    /// Nothing is in its way (any more).
    case free(String)
    /// A parent is dead, and the job wanted all of them done.
    case doomed(String, parent: String)
  }

  /// Why a job waits, in the words of its `after`.
  package struct Blocked: Sendable, Equatable {
    package var parents: Set<String>
    package var batches: Set<String>
    package var runsAnyway: Bool
    package var since: WallTime
  }

  private struct Batch {
    var open: Set<String> = []
    var isKnown = false
    var dead: String?
    var waiters: Set<String> = []

    mutating func take(_ id: String, _ state: ParentState) {
      isKnown = true
      switch state {
      case .open, .unknown: open.insert(id)
      case .done: open.remove(id)
      case .dead:
        open.remove(id)
        dead = dead ?? id
      }
    }
  }

  private var blocked: [String: Blocked] = [:]
  private var children: [String: Set<String>] = [:]
  private var batches: [String: Batch] = [:]
  /// Batches that somebody was told about since the last look: only these can be over.
  private var touched: Set<String> = []

  package init() {}

  package var count: Int { blocked.count }
  package func reason(_ id: String) -> Blocked? { blocked[id] }
  package func isWatched(batch: String) -> Bool { batches[batch] != nil }

  /// Jobs that wait for parents nobody has seen, since before `time`.
  package func waiting(since time: WallTime) -> [(id: String, parents: Set<String>)] {
    blocked.filter { $0.value.since < time && !$0.value.parents.isEmpty }.map { ($0.key, $0.value.parents) }
  }

  /// Makes a job wait. `parents` are those not known to be done; nil is returned when a cycle would arise, which then
  /// names its members.
  package mutating func block(
    _ id: String, parents: Set<String>, batches names: Set<String>, runsAnyway: Bool, since: WallTime
  ) -> [String]? {
    if let cycle = cycle(from: id, through: parents) { return cycle }
    // Looked at again, it must not take what is known of its batches with it.
    unblock(id, keeping: names)
    blocked[id] = Blocked(parents: parents, batches: names, runsAnyway: runsAnyway, since: since)
    for parent in parents { children[parent, default: []].insert(id) }
    for name in names { batches[name, default: Batch()].waiters.insert(id) }
    return nil
  }

  /// Forgets a waiting job: it was cancelled, held or taken away.
  package mutating func unblock(_ id: String) { unblock(id, keeping: []) }

  private mutating func unblock(_ id: String, keeping names: Set<String>) {
    guard let old = blocked.removeValue(forKey: id) else { return }
    for parent in old.parents {
      children[parent]?.remove(id)
      if children[parent]?.isEmpty == true { children[parent] = nil }
    }
    for name in old.batches where !names.contains(name) {
      batches[name]?.waiters.remove(id)
      if batches[name]?.waiters.isEmpty == true { batches[name] = nil }
    }
  }

  /// A member of a batch somebody waits for, as the log or a look at its file tells it.
  package mutating func member(_ id: String, of batch: String, _ state: ParentState) {
    // In place: a batch may have very many members, and each is told at least twice.
    batches[batch]?.take(id, state)
    if batches[batch] != nil { touched.insert(batch) }
  }

  /// A waiting job has no file any more. A batch it belongs to does not wait for it, but is not done either.
  package mutating func vanished(_ id: String) {
    for (name, batch) in batches where batch.open.contains(id) { member(id, of: name, .dead) }
  }

  /// A job has come to rest for good.
  package mutating func rested(_ id: String, batch: String?, isDone: Bool) -> [Answer] {
    var answers: [Answer] = []
    for child in children[id] ?? [] {
      if !isDone, blocked[child]?.runsAnyway == false {
        answers.append(.doomed(child, parent: id))
        continue
      }
      // In place: a child may have very many parents.
      blocked[child]?.parents.remove(id)
      if let entry = blocked[child], entry.parents.isEmpty, entry.batches.isEmpty { answers.append(.free(child)) }
    }
    children[id] = nil
    if let batch, batches[batch] != nil { member(id, of: batch, isDone ? .done : .dead) }
    for answer in answers { forget(answer) }
    return answers
  }

  /// Batches that are over. To be asked when no arrivals are waiting to be looked at, or a member could be missed.
  package mutating func overBatches() -> [Answer] {
    var answers: [Answer] = []
    guard !touched.isEmpty else { return answers }
    let names = touched
    touched.removeAll(keepingCapacity: true)
    for name in names {
      guard let batch = batches[name], batch.isKnown, batch.open.isEmpty else { continue }
      for waiter in batch.waiters {
        guard var entry = blocked[waiter] else { continue }
        if let dead = batch.dead, !entry.runsAnyway {
          answers.append(.doomed(waiter, parent: dead))
          continue
        }
        entry.batches.remove(name)
        blocked[waiter] = entry
        if entry.parents.isEmpty, entry.batches.isEmpty { answers.append(.free(waiter)) }
      }
      batches[name] = nil
    }
    for answer in answers { forget(answer) }
    return answers
  }

  private mutating func forget(_ answer: Answer) {
    switch answer {
    case .free(let id), .doomed(let id, _): unblock(id)
    }
  }

  /// The way from `id` over its parents back to itself, if there is one.
  private func cycle(from id: String, through parents: Set<String>) -> [String]? {
    // Nobody waits for it, so no way leads back: what a chain costs that is submitted in its order, however long.
    guard children[id] != nil || parents.contains(id) else { return nil }
    /// By whom each was reached.
    var from: [String: String] = [:]
    var open: [String] = []
    for parent in parents {
      from[parent] = id
      open.append(parent)
    }
    while let last = open.popLast() {
      if last == id {
        var way = [id]
        var at = from[id]
        while let step = at, step != id {
          way.append(step)
          at = from[step]
        }
        return [id] + way.reversed()
      }
      for next in blocked[last]?.parents ?? [] where from[next] == nil {
        from[next] = last
        open.append(next)
      }
    }
    return nil
  }
}
