/// Jobs that wait for other jobs: who their parents are is read from the file, how those ended from the spool and the log.
internal import JobModel
internal import SpoolStore

extension Engine {
  /// A job with `after`, seen for the first time or again; its parents that have no file are looked up together later.
  func placeBlocked(_ arrival: BlockedArrival) {
    agenda.insertBlocked(arrival.id, type: arrival.job.type)
    blockedArrivals.append(arrival)
  }

  /// Decides for jobs with `after`, with one look into the log for all that no file answers: as many in a turn as have so
  /// many parents, so that a producer who names thousands of them holds up only his own.
  func resolveBlocked(now: WallTime) throws(SpoolError) {
    guard !blockedArrivals.isEmpty else { return }
    var budget = Limits.parentsPerTurn
    let many = blockedArrivals.prefix { arrival in
      defer { budget -= arrival.job.after.count }
      return budget > 0
    }
    let arrivals = Array(many)
    var states: [String: Flows.ParentState] = [:]
    var unknown = Set<String>()
    var batches = Set<String>()
    for arrival in arrivals {
      for parent in arrival.job.after {
        switch parent {
        case .batch(let name): if !flows.isWatched(batch: name) { batches.insert(name) }
        case .job(let id):
          guard states[id] == nil else { continue }
          let state = try parentState(id)
          states[id] = state
          if state == .unknown { unknown.insert(id) }
        }
      }
    }
    // Members and ends of this very turn have their lines only in memory yet.
    if !unknown.isEmpty || !batches.isEmpty { try transitions.audit.flush() }
    if !unknown.isEmpty {
      for (id, state) in try AuditReader.ends(of: unknown, in: spool, index: index) { states[id] = state }
    }
    let members = try batches.isEmpty ? [:] : AuditReader.members(of: batches, in: spool, index: index)
    blockedArrivals.removeFirst(arrivals.count)
    if !blockedArrivals.isEmpty { turnSoon() }
    for arrival in arrivals { resolve(arrival, states, members, now: now) }
  }

  private func resolve(
    _ arrival: BlockedArrival, _ states: [String: Flows.ParentState],
    _ members: [String: [String: Flows.ParentState]], now: WallTime
  ) {
    let job = arrival.job
    let runsAnyway = job.onParentDead == .run
    var parents = Set<String>()
    var batches = Set<String>()
    for parent in job.after {
      switch parent {
      case .batch(let name): batches.insert(name)
      case .job(let id):
        switch states[id] ?? .unknown {
        case .done: break
        case .dead where runsAnyway: break
        case .dead: return doom(arrival.id, parent: id)
        case .open, .unknown: parents.insert(id)
        }
      }
    }
    guard !parents.isEmpty || !batches.isEmpty else { return free(arrival, now: now) }
    if let cycle = flows.block(
      arrival.id, parents: parents, batches: batches, runsAnyway: runsAnyway, since: arrival.firstSeen)
    {
      condemned[arrival.id] = (
        .rejected, .reject,
        JobError(
          code: "cycle", message: "\"after\": a cycle, \(cycle.joined(separator: " → ")): none of these could ever run",
          details: Array("{\"key\":\"after\"}".utf8))
      )
      return agenda.insertForJudgement(arrival.id)
    }
    waitingFor[arrival.id] = arrival
    for name in batches {
      for (id, state) in members[name] ?? [:] { flows.member(id, of: name, state) }
    }
  }

  private func parentState(_ id: String) throws(SpoolError) -> Flows.ParentState {
    switch try spool.state(of: id) {
    case .done: .done
    case .dead: .dead
    case .new, .cur, .hold: .open
    case nil: .unknown
    }
  }

  private func free(_ arrival: BlockedArrival, now: WallTime) {
    waitingFor[arrival.id] = nil
    enter(
      arrival.id, arrival.job,
      due: max(arrival.job.due(firstSeen: arrival.firstSeen, now: now), min(arrival.firstSeen, now)),
      firstSeen: arrival.firstSeen, now: now)
    turnSoon()
  }

  private func doom(_ id: String, parent: String) {
    waitingFor[id] = nil
    condemned[id] = (
      .failed, .bury,
      JobError(
        code: "parent_dead",
        message: "it waited for \(parent), which is dead; requeue both, or use on_parent_dead \"run\"",
        details: Array("{\"parent\":\"\(parent)\"}".utf8))
    )
    agenda.insertForJudgement(id)
    turnSoon()
  }

  /// A job has come to rest for good: who waited for it?
  func flowRested(_ id: String, batch: String?, isDone: Bool) {
    guard flows.count > 0 else { return }
    act(on: flows.rested(id, batch: batch, isDone: isDone))
  }

  /// Batches are over only when no member can be on its way in.
  func finishBatches() {
    guard flows.count > 0, incoming.isEmpty, slowArrivals.isEmpty, blockedArrivals.isEmpty, !scanning.isFirst,
      !scanning.isUnderWay
    else { return }
    act(on: flows.overBatches())
  }

  private func act(on answers: [Flows.Answer]) {
    let now = effects.now()
    for answer in answers {
      switch answer {
      case .doomed(let id, let parent): doom(id, parent: parent)
      case .free(let id): if let arrival = waitingFor[id] { free(arrival, now: now) }
      }
    }
  }

  /// A parent nobody has seen for a week will not come.
  func buryForsaken() {
    let limit = WallTime(microseconds: effects.now().microseconds - Int64(Limits.unknownParentSeconds) * 1_000_000)
    for (id, parents) in flows.waiting(since: limit) {
      for parent in parents where (try? spool.state(of: parent)) == .some(nil) {
        flows.unblock(id)
        waitingFor[id] = nil
        condemned[id] = (
          .failed, .bury,
          JobError(
            code: "parent_unknown", message: "it waited 7 days for \(parent), which nobody has submitted",
            details: Array("{\"parent\":\"\(parent)\"}".utf8))
        )
        agenda.insertForJudgement(id)
        break
      }
    }
  }
}

/// A job with `after` that was looked at.
struct BlockedArrival {
  var id: String
  var job: Job
  var firstSeen: WallTime
}
