internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import JobSubmission
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

/// Where `submit` hands its jobs in: what the daemon would refuse is refused here, before anything is written.
struct SubmissionDesk {
  /// Why a job is not taken.
  struct Refusal: Error {
    var message: String
    /// What the command ends with (sysexits.h).
    var exit: Int32
    var code: String

    var failure: Failure { Failure(message, exit: exit) }

    init(message: String, exit: Int32, code: String) {
      self.message = message
      self.exit = exit
      self.code = code
    }

    init(_ error: SpoolError) { self.init(message: error.description, exit: error.code.exit, code: error.code.name) }
  }

  let configuration: Configuration
  let reader: SpoolReader
  private let spool: Spool
  private let intake: Intake
  private let sealer: Sealer
  private var gate = RateGate()

  init(_ spool: Spool, _ configuration: Configuration) {
    self.spool = spool
    self.configuration = configuration
    intake = Intake(spool, minFree: configuration.settings.minFree)
    reader = SpoolReader(spool, configuration: configuration, now: .current)
    sealer = Sealer(configuration)
  }

  static func newID() -> String { JobID.make(at: .current, random: (spool_random(), spool_random())) }

  /// The job as the daemon will read it, or why it will not.
  func checked(_ bytes: [UInt8]) throws(JobProblem) -> Job { try SubmissionCheck.checked(bytes, configuration) }

  /// The job as it is to be written, with its secrets sealed; it counts for the rate of its type from here on.
  mutating func admit(_ job: Job, id: String) throws(Refusal) -> Job {
    try checkPermission(for: job.type)
    let counts = try countsForRate(job, id: id)
    if counts, let refusal = gate.refusal(of: job, reader) {
      throw Refusal(message: refusal.message, exit: 75, code: "rate_limited")
    }
    let sealed = try sealed(job)
    if counts { gate.count(job, id: id, reader) }
    return sealed
  }

  /// One that is there already is answered as a duplicate, and counts for no rate.
  private func countsForRate(_ job: Job, id: String) throws(Refusal) -> Bool {
    guard configuration.handlers[job.type]?.rate?.over == .reject else { return false }
    do throws(SpoolError) { return try spool.state(of: id) == nil } catch { throw Refusal(error) }
  }

  /// What the daemon will say of this user, as far as it can be told here; it decides by the owner of the file.
  func checkPermission(for type: String) throws(Refusal) {
    guard let allow = configuration.handlers[type]?.allow, !allow.isEmpty,
      let owner = try? spool.syscalls.status(spool.descriptor(JobState.cur)).uid
    else { return }
    var accounts = Accounts(daemonUID: owner)
    guard !accounts.maySubmit(geteuid(), allow) else { return }
    let problem = JobProblem.notAllowed(accounts.name(of: geteuid()), type: type, allow: allow)
    throw Refusal(message: problem.message, exit: 77, code: problem.code.rawValue)
  }

  /// Sealing makes it longer, and the limit holds for what is written.
  func sealed(_ job: Job) throws(Refusal) -> Job {
    let sealed: Job
    do throws(SecretProblem) { sealed = try sealer.sealed(job) } catch {
      throw Refusal(message: error.message, exit: 78, code: "not_sealed")
    }
    let limit = configuration.settings.maxJobBytes
    guard sealed.bytes.count <= limit else {
      let message = "sealed, the job has \(sealed.bytes.count) bytes; max_job_bytes allows \(limit)"
      throw Refusal(message: message, exit: 65, code: "too_large")
    }
    return sealed
  }

  func warnUnknown(_ types: Set<String>) {
    let folder = "\(configuration.folder)/handlers"
    guard access(folder, R_OK | X_OK) == 0 else { return }
    for type in types.sorted() where configuration.handlers[type] == nil && configuration.brokenHandlers[type] == nil {
      let near = Spelling.nearest(to: type, among: configuration.handlers.keys).map { "; did you mean \($0)?" } ?? ""
      Console.complain("there is no handler \(folder)/\(type).toml, so the daemon will reject the job\(near)")
    }
  }

  /// Durable in `new/` when it returns.
  func submit(_ job: Job, id: String) throws {
    try intake.submit(Intake.Submission(id: id, bytes: job.bytes))
  }

  /// All of them in one commit, each accepted or refused by itself; the results are in the order of the jobs.
  func submit(
    bulk submissions: [Intake.Submission], progress: (Int) -> Void
  ) throws -> [Result<Void, SpoolError>] {
    submissions.isEmpty ? [] : try intake.submit(bulk: submissions, progress: progress)
  }
}
