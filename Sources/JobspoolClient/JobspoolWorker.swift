/// The loop of a handler in worker mode: a line of JSON in for each job, lines of progress and one of the end out. The
/// program is started and ended by jobspool; see docs/HANDLERS.md for the lines.
internal import Glibc
internal import JobModel
internal import Synchronization

/// A worker: a long-lived process that takes one job after the other, or several at once.
public enum JobspoolWorker {
  /// Handles jobs until standard input ends and the last of them is answered.
  ///
  /// Jobs that come while others are handled are handled beside them; how many that may be, `concurrency` and `processes`
  /// of the handler file say. What the handler returns is the job's result, as JSON text; a ``JobFailure`` it throws says
  /// how the job fails, and any other error has it tried again.
  public static func run(_ handle: @escaping @Sendable (WorkerJob) async throws -> String?) async {
    let output = WorkerOutput(1)
    await withTaskGroup(of: Void.self) { group in
      for await line in lines() {
        guard let job = WorkerJob(line, output) else {
          output.complain("a line on standard input is no job: \(String(decoding: line.prefix(200), as: UTF8.self))")
          continue
        }
        group.addTask { await answer(job, output, handle) }
      }
    }
  }

  private static func answer(
    _ job: WorkerJob, _ output: WorkerOutput, _ handle: @Sendable (WorkerJob) async throws -> String?
  ) async {
    do {
      let result = try await handle(job)
      if let result, (try? JSONReader.check(Array(result.utf8))) == nil {
        throw JobFailure(code: "bad_result", "the handler's result is no JSON", isFinal: true)
      }
      output.end(of: job.id, result: result)
    } catch let failure as JobFailure {
      output.end(of: job.id, failure: failure)
    } catch {
      output.end(of: job.id, failure: JobFailure(code: "error", "\(error)"))
    }
  }

  /// Lines of standard input, read on a thread of their own, since reading blocks.
  private static func lines() -> AsyncStream<[UInt8]> {
    AsyncStream { continuation in
      let reader = Unmanaged.passRetained(LineReader(continuation)).toOpaque()
      var thread = pthread_t()
      let failure = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<LineReader>.fromOpaque(argument).takeRetainedValue().read()
          return nil
        }, reader)
      precondition(failure == 0, "no thread to read on: \(String(cString: strerror(failure)))")
      pthread_detach(thread)
    }
  }

  private final class LineReader {
    private let continuation: AsyncStream<[UInt8]>.Continuation
    init(_ continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }

    func read() {
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      var line: [UInt8] = []
      while true {
        let got = Glibc.read(0, &buffer, buffer.count)
        if got < 0, errno == EINTR { continue }
        guard got > 0 else { break }
        var rest = buffer[..<got]
        while let newline = rest.firstIndex(of: 0x0A) {
          line += rest[..<newline]
          continuation.yield(line)
          line.removeAll(keepingCapacity: true)
          rest = rest[(newline + 1)...]
        }
        line += rest
      }
      continuation.finish()
    }
  }
}

/// How a job fails.
public struct JobFailure: Error, Sendable {
  public var code: String
  public var message: String
  /// It would fail again: no more attempts.
  public var isFinal: Bool
  /// Try again after just this wait.
  public var retryIn: Duration?

  public init(code: String = "error", _ message: String, isFinal: Bool = false, retryIn: Duration? = nil) {
    self.code = code
    self.message = message
    self.isFinal = isFinal
    self.retryIn = retryIn
  }
}

/// A job a worker was given.
public struct WorkerJob: Sendable {
  public let id: String
  public let type: String
  /// From 1.
  public let attempt: Int
  /// JSON text; `null` when the job has none.
  public let payload: String
  private let output: WorkerOutput

  init?(_ line: [UInt8], _ output: WorkerOutput) {
    guard let value = try? JSONReader.parse(line, rawKeys: ["payload"], slack: JSONReader.ownLevels),
      let id = value["id"]?.string
    else { return nil }
    self.id = id
    self.output = output
    type = value["type"]?.string ?? ""
    attempt = value["attempt"]?.int ?? 1
    payload = if case .raw(let bytes)? = value["payload"] { String(decoding: bytes, as: UTF8.self) } else { "null" }
  }

  /// Tells how far it is; also a sign of life, for handlers with `stalled_after`.
  public func progress(_ percent: Double? = nil, stage: String? = nil, message: String? = nil) {
    output.progress(of: id, percent, stage, message)
  }
}

/// Standard output, a line at a time.
final class WorkerOutput: Sendable {
  private let descriptor: Mutex<Int32>

  init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

  func progress(of id: String, _ percent: Double?, _ stage: String?, _ message: String?) {
    line(id) { writer in
      if let percent {
        writer.key("progress")
        writer.double(percent)
      }
      if let stage {
        writer.key("stage")
        writer.string(stage)
      }
      if let message {
        writer.key("message")
        writer.string(message)
      }
      if percent == nil, stage == nil, message == nil {
        writer.key("heartbeat")
        writer.bool(true)
      }
    }
  }

  func end(of id: String, result: String?) {
    line(id) { writer in
      writer.key("ok")
      writer.bool(true)
      if let result {
        writer.key("result")
        // A line is a line: white space between values may hold none.
        writer.raw(result.utf8.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
      }
    }
  }

  func end(of id: String, failure: JobFailure) {
    line(id) { writer in
      writer.key("ok")
      writer.bool(false)
      writer.key("error")
      writer.beginObject()
      writer.key("code")
      writer.string(failure.code)
      writer.key("message")
      writer.string(failure.message)
      writer.endObject()
      if failure.isFinal {
        writer.key("retry")
        writer.bool(false)
      } else if let wait = failure.retryIn {
        writer.key("retry_in")
        writer.string("\(wait.inMilliseconds)ms")
      }
    }
  }

  func complain(_ message: String) { put(Array("\(message)\n".utf8), 2) }

  private func line(_ id: String, _ body: (inout JSONWriter) -> Void) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    body(&writer)
    writer.endObject()
    let bytes = writer.bytes + [0x0A]
    descriptor.withLock { put(bytes, $0) }
  }

  /// Whoever read us is gone when this fails; then our input ends too, and with it the loop.
  private func put(_ bytes: [UInt8], _ descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let put = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if put < 0, errno == EINTR { continue }
      guard put > 0 else { return }
      rest = rest.dropFirst(put)
    }
  }
}
