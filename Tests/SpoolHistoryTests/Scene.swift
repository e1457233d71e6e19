/// A spool with jobs in every state, played with the store's own verbs and real times, and a reader over it.
import JobModel
import SpoolConfig
import SpoolHistory
import SpoolStore
import SpoolTestSupport

import var Glibc.CLOCK_REALTIME
import func Glibc.clock_gettime
import struct Glibc.timespec

final class Scene {
  let test: TestSpool
  let spool: Spool
  let transitions: Transitions
  private var lock: SpoolLock?

  init() throws {
    test = try TestSpool()
    spool = try test.open()
    transitions = try test.transitions(at: Scene.now)
  }

  static var now: WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  static let plain = Array("{\"type\":\"echo\"}".utf8)

  struct NothingClaimed: Error {}

  func reader(at now: WallTime = Scene.now) -> SpoolReader {
    let configuration = Configuration.load(spool: test.path, config: nil, system: "/nonexistent")
    return SpoolReader(spool, configuration: configuration, now: now)
  }

  func handler(_ type: String, _ more: String = "") throws {
    try TestSpool.write(Array("command = [\"/bin/cat\"]\n\(more)\n".utf8), to: "\(test.path)/handlers/\(type).toml")
  }

  func submit(_ id: String, _ json: String = "{\"type\":\"echo\"}") throws {
    try Intake(spool).submit(.init(id: id, bytes: Array(json.utf8)))
    try transitions.audit.append(.submitted, at: Scene.now, job: id, type: "echo", to: .new)
  }

  func claim(_ id: String, at time: WallTime = Scene.now) throws -> Claim {
    guard let claim = try transitions.claim(id, limit: 1 << 20) else { throw NothingClaimed() }
    let type = if case .success(let job) = claim.content { job.type } else { "" }
    try transitions.noteClaim(claim, type: type, attempt: 1, at: time)
    try transitions.audit.flush()
    return claim
  }

  /// One run of `seconds` from `start` on, or up to now: an end that lies ahead would look like a clock set back.
  func run(
    _ id: String, _ transition: Transition, from start: WallTime? = nil, seconds: Int64 = 1,
    _ change: (inout JobRecord) -> Void = { _ in }
  ) throws {
    let start = start ?? WallTime(microseconds: Scene.now.microseconds - seconds * 1_000_000)
    let claim = try claim(id, at: start)
    let end = WallTime(microseconds: start.microseconds + seconds * 1_000_000)
    var record = JobRecord.taken(from: claim, submitter: nil, node: "node-a")
    let outcome: AttemptOutcome = transition == .finish ? .done : .failed
    record.add(JobRecord.Attempt(n: record.attempt + 1, startedAt: start, endedAt: end, outcome: outcome))
    record.updatedAt = end
    switch transition {
    case .finish: (record.state, record.outcome, record.finishedAt) = (.done, .done, end)
    case .retry: record.state = .new
    default: (record.state, record.outcome, record.finishedAt) = (.dead, .failed, end)
    }
    if transition != .finish { record.error = JobError(code: "exit", message: "exit code 1: no luck") }
    change(&record)
    let settlement = Settlement(claim, transition, record)
    try transitions.write(settlement)
    try transitions.note(settlement, at: end)
    try transitions.audit.commit()
    _ = try transitions.publish(settlement)
  }

  /// As if a daemon held the spool and had published this.
  func pretendDaemon(_ status: String) throws {
    lock = try SpoolLock(spool, node: "node-a", program: "jobspoold")
    try TestSpool.write(Array(status.utf8), to: "\(test.path)/status.json")
  }
}
