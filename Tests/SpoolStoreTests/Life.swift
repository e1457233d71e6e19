/// A daemon's life without the daemon: the verbs of the store in the order the engine uses them, for the suites that cut it
/// short and for those that only need a job to be somewhere.
import JobModel
import SpoolStore
import SpoolTestSupport

struct Life {
  let spool: Spool
  let transitions: Transitions
  let now: WallTime

  init(
    _ test: TestSpool, _ syscalls: any SpoolSyscalls = RealSyscalls(), at now: WallTime = JobFactory.now
  ) throws {
    transitions = try test.transitions(syscalls, at: now)
    spool = transitions.spool
    self.now = now
  }

  struct NothingClaimed: Error {}

  func submit(_ id: String, _ json: String) throws {
    try Intake(spool).submit(.init(id: id, bytes: Array(json.utf8)))
  }

  /// Claims it and writes the line; the run counts from here.
  func begin(_ id: String) throws -> Claim {
    guard let claim = try transitions.claim(id, limit: 1 << 20) else { throw NothingClaimed() }
    let record = taken(claim)
    let type = if case .success(let job) = claim.content { job.type } else { "" }
    try transitions.noteClaim(claim, type: type, attempt: record.attempt + 1, at: now)
    try transitions.audit.flush()
    return claim
  }

  func taken(_ claim: borrowing Claim) -> JobRecord {
    JobRecord.taken(from: claim, submitter: nil, node: "node-a")
  }

  /// A whole run that ends as told. Returns false when `publish` found its place taken.
  @discardableResult
  func run(_ id: String, _ transition: Transition, result: String? = nil) throws -> Bool {
    let claim = try begin(id)
    var record = taken(claim)
    if transition != .release {
      let outcome: AttemptOutcome = transition == .finish ? .done : .failed
      record.add(JobFactory.attempt(record.attempt + 1, outcome))
    }
    Life.finish(&record, transition, result: result)
    return try settle(Settlement(claim, transition, record))
  }

  private final class Held {
    var claim: Claim?
    init(_ claim: consuming Claim) { self.claim = consume claim }
  }

  /// The runs of several files that are not ours alone: their copies share a sync, their lines a write and a commit.
  func runTogether(_ ids: [String]) throws {
    var claims: [Held] = []
    var adoptions: [Adoption] = []
    for id in ids {
      guard let claim = try transitions.claim(id, limit: 1 << 20, sharesSync: true) else { throw NothingClaimed() }
      if let adoption = claim.adoption { adoptions.append(adoption) }
      claims.append(Held(claim))
    }
    try transitions.complete(adoptions)
    var settlements: [Settlement] = []
    for held in claims {
      guard let claim = held.claim.take() else { throw NothingClaimed() }
      try transitions.noteClaim(claim, type: "demo", attempt: 1, at: now)
      var record = taken(claim)
      record.add(JobFactory.attempt(1, .done))
      Life.finish(&record, .finish)
      settlements.append(Settlement(claim, .finish, record))
    }
    try transitions.audit.flush()
    for settlement in settlements {
      try transitions.write(settlement)
      try transitions.note(settlement, at: now)
    }
    try transitions.audit.commit()
    for settlement in settlements { _ = try transitions.publish(settlement) }
  }

  /// Claims it only to be settled, as a refused file is.
  @discardableResult
  func judge(_ id: String, _ transition: Transition) throws -> Bool {
    guard let claim = try transitions.claim(id, limit: 1 << 20) else { throw NothingClaimed() }
    var record = taken(claim)
    Life.finish(&record, transition)
    if case .failure(let problem) = claim.content { record.error = problem.error }
    return try settle(Settlement(claim, transition, record))
  }

  func settleTwin(of id: String, first: String?) throws {
    guard let twin = try transitions.claimTwin(id, at: now, limit: 1 << 20) else { throw NothingClaimed() }
    try settle(transitions.judge(twin: twin, first: first, at: now, by: nil))
  }

  @discardableResult
  func settle(_ settlement: Settlement) throws -> Bool {
    try transitions.write(settlement)
    if settlement.needsFileSync { try spool.syscalls.syncData(settlement.fileDescriptor) }
    try transitions.note(settlement, at: now)
    try transitions.audit.commit()
    return try transitions.publish(settlement)
  }

  static func finish(_ record: inout JobRecord, _ transition: Transition, result: String? = nil) {
    record.updatedAt = JobFactory.later(1)
    switch transition {
    case .finish: record.outcome = .done
    case .bury: record.outcome = .failed
    case .reject: record.outcome = .rejected
    case .expire: record.outcome = .expired
    case .cancel: record.outcome = .cancelled
    default: record.outcome = nil
    }
    record.state = record.outcome?.state ?? .new
    record.finishedAt = record.outcome == nil ? nil : JobFactory.later(1)
    record.result = result.map { Array($0.utf8) }
    if transition == .retry {
      record.runAt = JobFactory.later(15)
      record.spent = true
    }
  }

  /// What a start does after a crash.
  @discardableResult
  static func recover(
    _ test: TestSpool, _ syscalls: any SpoolSyscalls = RealSyscalls(), at now: WallTime = JobFactory.later(60),
    policy: RetryPolicy? = RetryPolicy()
  ) throws -> Recovery.Report {
    let transitions = try test.transitions(syscalls, at: now)
    let recovery = Recovery(
      transitions: transitions, maxJobBytes: 1 << 20, now: now, policy: { _ in policy }, random: { 0.5 })
    return try recovery.run()
  }
}

/// What `#require` does, for what cannot be copied.
func won(_ claim: consuming Claim?) throws -> Claim {
  guard let claim else { throw Life.NothingClaimed() }
  return claim
}
