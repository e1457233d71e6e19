/// A spool, as a program sees it that submits jobs and asks what became of them. It needs no daemon: what was accepted is on
/// the disk for good, and runs when there is one.
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSchema
internal import JobSecrets
internal import SpoolConfig
internal import SpoolStore

/// An open spool.
///
/// Use one for the whole program, from as many tasks as you like: those that submit at the same moment share one sync.
public final class Jobspool: Sendable {
  /// The absolute path of the spool.
  public let path: String

  private let spool: Spool
  private let configuration: Configuration
  private let queue: SubmitQueue

  /// Opens the spool at `path`. The configuration is read once: a program that runs for months and is to know of new
  /// schemas opens it anew.
  ///
  /// - Parameter config: the configuration file, when it is neither in the spool nor `/etc/jobspool/jobspool.toml`.
  /// - Throws: ``JobspoolError/Code/noSpool``, ``JobspoolError/Code/denied``, ``JobspoolError/Code/configuration``.
  public init(_ path: String, config: String? = nil) throws(JobspoolError) {
    do throws(SpoolError) { spool = try Spool(path) } catch { throw JobspoolError(error) }
    self.path = spool.path
    configuration = Configuration.load(spool: spool.path, config: config)
    if let error = configuration.settingsErrors.first { throw JobspoolError(.configuration, error.description) }
    queue = SubmitQueue(Intake(spool, minFree: configuration.settings.minFree))
  }

  deinit { queue.close() }

  // MARK: Submitting

  /// Submits a job and returns its id. When it returns, the job survives a power cut.
  ///
  /// - Throws: ``JobspoolError/Code/exists`` when the id has a job; ``JobspoolError/Code/badJob`` with what to mend;
  ///   ``JobspoolError/Code/noSpace``; ``JobspoolError/Code/denied``.
  @discardableResult
  public func submit(_ job: NewJob) async throws(JobspoolError) -> String {
    let submission = try prepare(job)
    let result = await withCheckedContinuation { continuation in
      queue.add([(submission, { @Sendable in continuation.resume(returning: $0) })])
    }
    do throws(SpoolError) { try result.get() } catch { throw JobspoolError(error) }
    return submission.id
  }

  /// Submits many with one durable step. Each is accepted or refused by itself: the answers come in order.
  public func submit(_ jobs: [NewJob]) async -> [Result<String, JobspoolError>] {
    var results: [Result<String, JobspoolError>] = []
    var submissions: [(place: Int, submission: Intake.Submission)] = []
    for job in jobs {
      do throws(JobspoolError) {
        let submission = try prepare(job)
        submissions.append((results.count, submission))
        results.append(.success(submission.id))
      } catch {
        results.append(.failure(error))
      }
    }
    guard !submissions.isEmpty else { return results }
    let stream = AsyncStream<(Int, SpoolError?)> { continuation in
      let answers = Answers(submissions.count, continuation)
      queue.add(submissions.map { entry in (entry.submission, { answers.add(entry.place, $0) }) })
    }
    for await (place, error) in stream {
      if let error { results[place] = .failure(JobspoolError(error)) }
    }
    return results
  }

  /// Counts the answers, which come on the queue's thread one after the other.
  private final class Answers: @unchecked Sendable {
    private var open: Int
    private let continuation: AsyncStream<(Int, SpoolError?)>.Continuation

    init(_ open: Int, _ continuation: AsyncStream<(Int, SpoolError?)>.Continuation) {
      self.open = open
      self.continuation = continuation
    }

    func add(_ place: Int, _ result: Result<Void, SpoolError>) {
      open -= 1
      if case .failure(let error) = result { continuation.yield((place, error)) }
      if open == 0 { continuation.finish() }
    }
  }

  /// Checks the job as the daemon will, and seals what is secret in it.
  private func prepare(_ new: NewJob) throws(JobspoolError) -> Intake.Submission {
    let text = try new.text()
    var job: Job
    do throws(JobProblem) {
      job = try JobScanner.scan(text)
      guard !JobType.isReserved(job.type) else {
        throw JobProblem(.reservedType, "types beginning with jobspool. are reserved", key: "type")
      }
      if let problem = configuration.schemas[job.type]?.problem(with: job) { throw problem }
    } catch {
      throw JobspoolError(error)
    }
    job = try sealed(job)
    let limit = configuration.settings.maxJobBytes
    guard job.bytes.count <= limit else {
      throw JobspoolError(.badJob, "the job has \(job.bytes.count) bytes; max_job_bytes allows \(limit)")
    }
    return Intake.Submission(
      id: job.id ?? JobID.make(at: Jobspool.now, random: (spool_random(), spool_random())), bytes: job.bytes)
  }

  private static var now: WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  /// Nothing falls back to clear text: where a key is published, a type whose handler cannot be read is refused.
  private func sealed(_ job: Job) throws(JobspoolError) -> Job {
    guard let handler = configuration.handlers[job.type] else {
      let folder = "\(configuration.folder)/handlers"
      let isReadable = access(folder, R_OK | X_OK) == 0 && configuration.brokenHandlers[job.type] == nil
      guard isReadable || access(DataKey.publicFile(in: configuration.folder), F_OK) != 0 else {
        throw JobspoolError(
          .configuration,
          "what of a \(job.type) has to be sealed is not known: \(folder)/\(job.type).toml cannot be read")
      }
      return job
    }
    let pointers = handler.encrypt.compactMap(JSONPointer.init)
    guard let range = job.payload, !pointers.isEmpty else { return job }
    let payload = Array(job.bytes[range])
    guard !JSONPointer.unsealed(pointers, in: payload).isEmpty else { return job }
    do throws(SecretProblem) {
      let key = try DataPublicKey.load(DataKey.publicFile(in: configuration.folder))
      return job.replacing(payload: try key.seal(payload, pointers, type: job.type))
    } catch {
      throw JobspoolError(
        .configuration, "\(job.type) has secrets (encrypt), and they cannot be sealed: \(error.message)")
    }
  }

  // MARK: Asking

  /// Where the job is; nil when it is nowhere, or its file is no longer kept.
  public func place(of id: String) throws(JobspoolError) -> JobPlace? {
    guard JobID.isValid(id) else { throw JobspoolError(.badJob, "\(id) is no id: expected \(JobID.expected)") }
    do throws(SpoolError) { return try spool.state(of: id).flatMap { JobPlace(rawValue: $0.rawValue) } } catch {
      throw JobspoolError(error)
    }
  }

  /// How the job ended; nil while it has not.
  public func end(of id: String) throws(JobspoolError) -> JobEnd? {
    guard let place = try place(of: id), place == .done || place == .dead else { return nil }
    do throws(SpoolError) {
      let state: JobState = place == .done ? .done : .dead
      guard let bytes = try spool.read(id, in: state, limit: 128 << 20) else { return nil }
      let job: Job
      do throws(JobProblem) { job = try JobScanner.scan(bytes) } catch {
        throw SpoolError(
          .damaged, "the record of \(id) cannot be read (\(error.description)); 'jobspool fsck' tells more")
      }
      guard let record = job.record, let outcome = record.outcome else { return nil }
      return JobEnd(
        outcome: outcome.rawValue, result: record.result.map { String(decoding: $0, as: UTF8.self) },
        errorCode: record.error?.code, errorMessage: record.error?.message, attempts: record.attempt)
    } catch {
      throw JobspoolError(error)
    }
  }

  /// Waits for the job to end and returns how.
  ///
  /// - Throws: ``JobspoolError/Code/noSuchJob`` when it is in no folder, ``JobspoolError/Code/timeout``, or
  ///   `CancellationError` when the task is cancelled.
  public func wait(for id: String, timeout: Duration? = nil) async throws -> JobEnd {
    let clock = ContinuousClock()
    let deadline = timeout.map { clock.now + $0 }
    var pause = Duration.milliseconds(1)
    var missing = 0
    while true {
      if let end = try end(of: id) { return end }
      // Between two looks a job can jump from a folder not yet looked at into one already passed.
      missing = try place(of: id) == nil ? missing + 1 : 0
      if missing == 3 { throw JobspoolError(.noSuchJob, "no job \(id) in \(path)") }
      if let deadline, clock.now >= deadline {
        throw JobspoolError(.timeout, "\(id) had not ended when the time was over")
      }
      try await Task.sleep(for: deadline.map { min(pause, $0 - clock.now) } ?? pause)
      pause = min(pause * 2, .milliseconds(200))
    }
  }
}
