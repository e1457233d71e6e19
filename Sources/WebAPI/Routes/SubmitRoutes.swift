/// `POST /v1/jobs`: one job, an array of them, or JSON lines. 202 is said when they are durable, never before.
internal import CSpoolShims
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import JobSecrets
internal import JobSubmission
internal import NIOConcurrencyHelpers
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum SubmitRoutes {
  /// Bytes of a body with many jobs; a single one is bounded by max_job_bytes.
  static let largestBody = 64 << 20

  static let all: [Route] = [
    Route(
      .post, "/v1/jobs", .submit,
      Operation(
        "submitJobs", "Submit a job, or many in one commit.",
        parameters: [
          .init(
            "Idempotency-Key", in: .header,
            "Makes the id from type and key, so that sending a job twice makes one. For a single job.",
            schema: #"{"type":"string","minLength":1,"maxLength":512}"#)
        ],
        body: [
          .json(
            ##"{"oneOf":[{"$ref":"#/components/schemas/JobFile"},{"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/JobFile"}}]}"##
          ),
          .init("application/jsonl", #"{"type":"string"}"#),
        ],
        answers: [
          (
            202, "Accepted, and durable.",
            [
              .json(
                ##"{"oneOf":[{"$ref":"#/components/schemas/Accepted"},{"$ref":"#/components/schemas/AcceptedMany"}]}"##)
            ]
          )
        ], problems: [409, 413, 503])
    ) { call in
      try call.query.expect([])
      let body = try await call.body(atMost: largestBody)
      let state = call.state
      let subject = call.identity?.subject ?? ""
      let key = try idempotencyKey(call.request)
      let lines = isLines(call.request)
      let read = try await state.blocking { () -> Reading in
        let configuration = state.configuration
        return try Reading(body, lines: lines, key: key, subject: subject, configuration, state)
      }
      return read.isMany ? try await many(call, read) : try await single(call, read)
    }
  ]

  private static func idempotencyKey(_ request: Request) throws(Problem) -> String? {
    let values = request.headers[values: HTTPField.Name("Idempotency-Key") ?? .location]
    guard let key = values.first else { return nil }
    guard values.count == 1, !key.isEmpty, key.utf8.count <= 512 else {
      throw .parameter("Idempotency-Key", "expected one key of 1 to 512 bytes")
    }
    return key
  }

  private static func isLines(_ request: Request) -> Bool {
    let type = (request.headers[.contentType] ?? "").prefix { $0 != ";" }.lowercased().filter { $0 != " " }
    return ["application/jsonl", "application/x-ndjson", "application/x-jsonlines"].contains(type)
  }

  private static func single(_ call: Call, _ read: Reading) async throws -> Response {
    guard let element = read.elements.first else {
      throw Problem(.badRequest, "empty", "the body is empty; expected a job such as {\"type\":\"echo\"}")
    }
    switch element {
    case .failure(let problem): throw problem
    case .success(let job):
      let results = try await call.state.submissions.submit([job], to: read.intake)
      if case .failure(let error)? = results.first { throw problem(error, id: job.id) }
      var response = call.json(.accepted) { writer in
        writer.beginObject()
        writer.key("id")
        writer.string(job.id)
        writer.endObject()
      }
      response.headers[.location] = "/v1/jobs/\(job.id)"
      return response
    }
  }

  private static func many(_ call: Call, _ read: Reading) async throws -> Response {
    guard !read.elements.isEmpty else { throw Problem(.badRequest, "empty", "there is no job in the body") }
    let jobs = read.elements.compactMap { try? $0.get() }
    var results = try await call.state.submissions.submit(jobs, to: read.intake)[...]
    let outcomes = read.elements.map { element -> Result<String, Problem> in
      switch element {
      case .failure(let problem): return .failure(problem)
      case .success(let job):
        if case .failure(let error)? = results.popFirst() { return .failure(problem(error, id: job.id)) }
        return .success(job.id)
      }
    }
    let accepted = outcomes.count { if case .success = $0 { true } else { false } }
    guard accepted > 0 else {
      var problem = Problem(.badRequest, "none_accepted", "none of the \(outcomes.count) jobs is acceptable")
      problem.parts = outcomes.prefix(100).compactMap { if case .failure(let problem) = $0 { problem } else { nil } }
      throw problem
    }
    return call.json(.accepted) { writer in
      writer.beginObject()
      writer.key("jobs")
      writer.beginArray()
      for outcome in outcomes {
        switch outcome {
        case .failure(let problem): problem.write(to: &writer)
        case .success(let id):
          writer.beginObject()
          writer.key("id")
          writer.string(id)
          writer.endObject()
        }
      }
      writer.endArray()
      writer.key("accepted")
      writer.int(accepted)
      writer.key("refused")
      writer.int(outcomes.count - accepted)
      writer.endObject()
    }
  }

  /// Why one job was not taken; other trouble of ours is no single job's.
  private static func problem(_ error: SpoolError, id: String) -> Problem {
    var problem = Problem(error) ?? Problem(.serviceUnavailable, "not_written", "the job could not be written")
    if error.code == .exists { problem.id = id }
    return problem
  }
}

extension SubmitRoutes {
  /// A body taken apart: a submission or a problem for each job in it.
  struct Reading: Sendable {
    var isMany: Bool
    var elements: [Result<Intake.Submission, Problem>] = []
    let intake: Intake

    init(
      _ body: [UInt8], lines: Bool, key: String?, subject: String, _ configuration: Configuration, _ state: WebState
    ) throws {
      intake = Intake(state.spool, minFree: configuration.settings.minFree)
      let maker = Maker(
        configuration: configuration, sealer: Sealer(configuration), subject: subject, key: key, state: state)
      let first = body.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
      isMany = lines || first == UInt8(ascii: "[")
      guard isMany else {
        elements = [maker.submission(body)]
        return
      }
      guard key == nil else {
        throw Problem.parameter("Idempotency-Key", "goes with a single job; give each of many an id of its own")
      }
      if lines {
        for line in body.split(separator: 0x0A) where line.contains(where: { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }) {
          elements.append(maker.submission(Array(line)))
        }
      } else {
        for range in try Reading.ranges(body) { elements.append(maker.submission(Array(body[range]))) }
      }
    }

    /// Where the elements of the array lie.
    private static func ranges(_ body: [UInt8]) throws -> [Range<Int>] {
      var ranges: [Range<Int>] = []
      do throws(JSONReader.Problem) {
        try body.withUnsafeBufferPointer { buffer throws(JSONReader.Problem) in
          var reader = JSONReader(buffer)
          try reader.begin()
          try reader.array { reader throws(JSONReader.Problem) in ranges.append(try reader.skip()) }
          try reader.end()
        }
      } catch {
        throw Problem(.badRequest, "bad_json", "the array is no JSON: byte \(error.offset): \(error.message)")
      }
      return ranges
    }
  }

  /// From the text of a job to what is written of it.
  struct Maker {
    let configuration: Configuration
    let sealer: Sealer
    let subject: String
    let key: String?
    let state: WebState

    func submission(_ text: [UInt8]) -> Result<Intake.Submission, Problem> {
      do throws(JobProblem) {
        let job = try SubmissionCheck.checked(text, configuration)
        return try ready(job)
      } catch {
        return .failure(Problem(error))
      }
    }

    private func ready(_ job: Job) throws(JobProblem) -> Result<Intake.Submission, Problem> {
      // Where the handlers may not be read, the daemon judges.
      if configuration.handlers[job.type] == nil, configuration.brokenHandlers[job.type] == nil,
        access("\(configuration.folder)/handlers", R_OK | X_OK) == 0
      {
        let near = Spelling.nearest(to: job.type, among: configuration.handlers.keys).map {
          "; did you mean \"\($0)\"?"
        }
        throw JobProblem(.unknownType, "there is no handler for the type \"\(job.type)\"\(near ?? "")", key: "type")
      }
      if let allow = configuration.handlers[job.type]?.allow, !Accounts.maySubmit(subject: subject, allow) {
        throw .notAllowed("web:\(subject)", type: job.type, allow: allow)
      }
      var id = job.id
      if let key {
        guard id == nil else {
          return .failure(.parameter("Idempotency-Key", "give an id in the job or the header, not both"))
        }
        id = UniqueID.make(type: job.type, key: key)
      }
      let sealed: Job
      do throws(SecretProblem) { sealed = try sealer.sealed(job) } catch {
        var problem = Problem(.serviceUnavailable, "not_sealed", error.message, key: "payload")
        problem.retryAfter = 30
        return .failure(problem)
      }
      let limit = configuration.settings.maxJobBytes
      guard sealed.bytes.count <= limit else {
        throw JobProblem(.tooLarge, "sealed, the job has \(sealed.bytes.count) bytes; max_job_bytes allows \(limit)")
      }
      var record = JSONWriter()
      record.beginObject()
      record.key("submitted_by")
      record.beginObject()
      record.key("subject")
      record.string(subject)
      record.endObject()
      record.endObject()
      let bytes = Array(sealed.bytes[..<sealed.head]) + sealed.ending(record: record.bytes)
      let made = id ?? JobID.make(at: .current, random: (spool_random(), spool_random()))
      if let problem = overRate(job, id: made) { return .failure(problem) }
      return .success(Intake.Submission(id: made, bytes: bytes))
    }
  }
}

extension SubmitRoutes.Maker {
  /// Counted before it is written, so that many at once do not slip through together; what comes to nothing the daemon does
  /// not tell of, and it is forgotten after a moment.
  private func overRate(_ job: Job, id: String) -> Problem? {
    guard configuration.handlers[job.type]?.rate?.over == .reject else { return nil }
    let reader = state.reader()
    return state.rates.withLockedValue { gate in
      guard let refusal = gate.refusal(of: job, reader) else {
        gate.count(job, id: id, reader)
        return nil
      }
      // Sent again, it is no further submission: whoever takes it in says that the id exists.
      if gate.hasCounted(job, id: id, reader) || (try? state.spool.state(of: id)) != nil { return nil }
      var problem = Problem(.tooManyRequests, "rate_limited", refusal.message, key: "limit")
      problem.retryAfter = max(1, Int((refusal.until - reader.now).inSeconds.rounded(.up)))
      return problem
    }
  }
}

extension Problem {
  /// A job that is not acceptable.
  init(_ problem: JobProblem) {
    let status: HTTPResponse.Status =
      switch problem.code {
      case .tooLarge: .contentTooLarge
      case .notAllowed: .forbidden
      default: .badRequest
      }
    // A pointer into the payload is named as people write it: payload.userId.
    let key = problem.key.map { $0.hasPrefix("/") ? $0.dropFirst().split(separator: "/").joined(separator: ".") : $0 }
    self.init(status, problem.code.rawValue, problem.description, key: key)
  }
}
