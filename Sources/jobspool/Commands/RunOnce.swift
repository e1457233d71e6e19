/// `handlers run-once`: one attempt of a job, here and now, by the daemon's own rules, without any spool file being touched.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobHandlers
internal import JobModel
internal import JobSecrets
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct RunOnce: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Try a handler: run one job from a file, outside the queue.",
    discussion: """
      The handler runs as it would in the daemon: its environment, limits, time-out and output rules. Nothing is stored, \
      and nothing is tried again. Prints the result; 0 when it would be done, 1 otherwise.

        echo '{"type":"echo","payload":1}' | jobspool handlers run-once -
      """)

  @Argument(help: "A job as JSON, or - for standard input.")
  var file: String

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    let bytes = try Input.read(file == "-" ? nil : file)
    var job = try JobScanner.scan(bytes)
    let configuration = reader.configuration ?? Configuration()
    if let problem = configuration.brokenHandlers[job.type]?.first { throw Failure(problem.description, exit: 78) }
    guard let handler = configuration.handlers[job.type] else {
      throw Failure("there is no handler \(configuration.folder)/handlers/\(job.type).toml", exit: 78)
    }
    guard handler.mode == .exec else {
      throw Failure("\(handler.file): only handlers in exec mode can be run once", exit: 64)
    }
    job = try opened(job, handler, configuration)
    let id = job.id ?? JobID.make(at: reader.now, random: (spool_random(), spool_random()))
    let log = try TemporaryLog()
    let maxAttempts = job.retryPolicy(handler.retry).maxAttempts
    let request = AttemptRequest(
      id: id, attempt: 1, maxAttempts: maxAttempts, handler: handler,
      input: job.handlerInput(id: id, attempt: 1, maxAttempts: maxAttempts, submittedAt: reader.now),
      jobPath: file == "-" ? "/dev/stdin" : absolute(file), spoolPath: reader.spool.path,
      node: configuration.settings.node ?? Operations.hostName, logPath: log.path,
      timeout: job.timeout ?? handler.timeout, stalledAfter: handler.stalledAfter,
      token: String(spool_random(), radix: 36) + String(spool_random(), radix: 36))
    let started = ContinuousClock.now
    let end = try attempt(request)
    try report(end, job, handler, ran: ContinuousClock.now - started, log: log.text)
  }

  /// Sealed fields open for those who may read the key.
  private func opened(_ job: Job, _ handler: HandlerSettings, _ configuration: Configuration) throws(Failure) -> Job {
    let pointers = handler.encrypt.compactMap(JSONPointer.init)
    guard let range = job.payload, !pointers.isEmpty else { return job }
    let payload = Array(job.bytes[range])
    guard JSONPointer.holdsSealed(pointers, in: payload) else { return job }
    do throws(SecretProblem) {
      let path = DataKey.file(
        in: configuration.folder, environment: Console.environment(DataKey.environmentVariable))
      let secrets = Secrets(try DataKey.load(path), [job.type: pointers])
      return job.replacing(payload: try secrets.opened(payload, type: job.type) ?? payload)
    } catch {
      throw Failure(
        "the job has sealed fields: \(error.message). Only who may read the key can open them; give the fields in clear "
          + "instead", exit: 78)
    }
  }

  private func absolute(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private func attempt(_ request: AttemptRequest) throws -> AttemptEnd {
    var end: AttemptEnd?
    var problem: StartProblem?
    do {
      let loop = try EventLoop()
      let runner = try ExecRunner(loop: loop, ownsProcess: true)
      for signal in [SIGINT, SIGTERM] {
        try loop.onSignal(signal) { runner.stop(request.id, reason: .cancelled) }
      }
      try runner.start(request) { event in
        switch event {
        case .progress(let update): RunOnce.remark(update)
        case .log(let line): Console.remark("\(Console.plain(line.level)): \(Console.plain(line.message))")
        case .ended(let ended):
          end = ended
          loop.stop()
        case .notStarted(let reason):
          problem = reason
          loop.stop()
        }
      }
      try loop.run()
      if let problem { throw problem }
    } catch let problem as StartProblem {
      throw Failure(problem.message, exit: problem.kind == .busy ? 75 : 78)
    } catch let failure as EventLoop.Failure {
      throw Failure("\(failure)", exit: 71)
    }
    guard let end else { throw Failure("the attempt ended without a word", exit: 71) }
    return end
  }

  private static func remark(_ update: ProgressUpdate) {
    let words = [update.percent.map { "\(Int($0)) %" }, update.stage, update.message].compactMap { $0 }
    if !words.isEmpty { Console.remark(Console.plain(words.joined(separator: ", "))) }
  }

  private func report(
    _ end: AttemptEnd, _ job: Job, _ handler: HandlerSettings, ran: Duration, log: [UInt8]
  ) throws {
    let verdict = Verdict.of(
      ending: end.ending, error: end.error, stopReason: end.stopReason, permanent: end.permanent, retryIn: end.retryIn,
      attempt: 1, policy: job.retryPolicy(handler.retry), random: 0.5)
    let word =
      switch verdict {
      case .finish: "done"
      case .retry(let wait): "tried again after \(Age.text(wait))"
      case .bury: "dead"
      }
    if options.json {
      json(end, verdict, ran, log)
    } else {
      if !log.isEmpty { Console.errors(log) }
      if let result = end.result { Console.write(result + [0x0A]) }
      let error = end.error.map { ": \($0.message)" } ?? ""
      Console.remark("\(describe(end.ending)) after \(Age.text(ran)): it would be \(word)\(Console.plain(error))")
    }
    if verdict != .finish { throw Failure.silent(1) }
  }

  private func describe(_ ending: HandlerEnding) -> String {
    switch ending {
    case .exited(let code): "exit code \(code)"
    case .signalled(let signal): "signal \(signal)"
    case .crashed: "gone"
    }
  }

  private func json(_ end: AttemptEnd, _ verdict: Verdict, _ ran: Duration, _ log: [UInt8]) {
    Console.json { writer in
      writer.beginObject()
      writer.key("verdict")
      switch verdict {
      case .finish: writer.string("finish")
      case .retry: writer.string("retry")
      case .bury: writer.string("bury")
      }
      switch end.ending {
      case .exited(let code):
        writer.key("exit")
        writer.int(code)
      case .signalled(let signal):
        writer.key("signal")
        writer.int(signal)
      case .crashed: break
      }
      writer.key("run_ms")
      writer.double(Double(ran.inMicroseconds) / 1000)
      if let result = end.result {
        writer.key("result")
        writer.raw(result)
      }
      if let error = end.error {
        writer.key("error")
        error.write(to: &writer)
      }
      writer.key("log")
      writer.string(String(decoding: log, as: UTF8.self))
      writer.endObject()
    }
  }
}

/// A file for what the handler says on standard error; gone with the value.
private final class TemporaryLog {
  let path: String

  init() throws {
    let folder = Console.environment("TMPDIR") ?? "/tmp"
    var template = Array("\(folder)/jobspool-XXXXXX".utf8CString)
    let fd = mkstemp(&template)
    guard fd >= 0 else {
      throw Failure("cannot make a file in \(folder): \(String(cString: strerror(errno)))", exit: 71)
    }
    close(fd)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { unlink(path) }

  /// Without the line that the log begins an attempt with.
  var text: [UInt8] {
    guard let bytes = try? Input.read(path) else { return [] }
    guard bytes.starts(with: "--- ".utf8), let end = bytes.firstIndex(of: 0x0A) else { return bytes }
    return Array(bytes[(end + 1)...])
  }
}
