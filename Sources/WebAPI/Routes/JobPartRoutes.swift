/// Parts of one job: its bare result, its log from a place on, its lines in the audit log, and why it does not run.
internal import CSpoolShims
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

enum JobPartRoutes {
  /// Of a log in one answer.
  private static let slice = 1 << 20
  private static let mostLines = 1000

  static let all: [Route] = [
    Route(
      .get, "/v1/jobs/{id}/result", .own,
      Operation(
        "getResult", "The result alone: JSON, or text.", parameters: [Operation.jobID],
        answers: [(200, "It.", [.json("{}"), .text])])
    ) { call in
      try call.query.expect([])
      let (id, identity) = (try call.jobID(), call.identity)
      let (bytes, isText) = try await call.read { reader -> ([UInt8], Bool) in
        let file = try seen(id, reader, identity)
        guard let job = file.job, file.state != .new, file.state != .cur else { throw noResult(id, file.state) }
        let masked = reader.redaction(of: job.type).apply(to: file.bytes)
        guard let place = JSONPointer("/jobspool/result")?.places(in: masked).first else {
          throw noResult(id, file.state)
        }
        // A result that is no JSON is kept as a text.
        if let text = (try? JSONReader.parse(Array(masked[place])))?.string { return (Array(text.utf8), true) }
        return (Array(masked[place]), false)
      }
      return call.respond(
        type: isText ? "text/plain; charset=utf-8" : "application/json", bytes, tag: EntityTag.make(bytes))
    },
    Route(
      .get, "/v1/jobs/{id}/log", .own,
      Operation(
        "getLog", "What its handler wrote to standard error; to follow it, ask again from X-Log-Size on.",
        parameters: [
          Operation.jobID,
          .init("from", "The first byte wanted.", schema: #"{"type":"integer","minimum":0}"#),
        ],
        answers: [(200, "At most 1 MiB of it.", [.text])])
    ) { call in
      try call.query.expect(["from"])
      let (id, identity) = (try call.jobID(), call.identity)
      let from = try call.query.integer("from", in: 0...(1 << 60)) ?? 0
      let (bytes, size) = try await call.read { reader -> ([UInt8], Int) in
        _ = try seen(id, reader, identity)
        return try log(id, from, reader.spool)
      }
      var response = call.respond(type: "text/plain; charset=utf-8", bytes)
      if let name = HTTPField.Name("X-Log-Size") { response.headers[name] = "\(size)" }
      return response
    },
    Route(
      .get, "/v1/jobs/{id}/audit", .own,
      Operation(
        "getAudit", "Its newest lines in the audit log, the oldest of them first.", parameters: [Operation.jobID],
        answers: [(200, "They.", [.ref("AuditLines")])])
    ) { call in
      try call.query.expect([])
      let (id, identity) = (try call.jobID(), call.identity)
      let lines = try await call.read { reader -> [[UInt8]] in
        let file = try seen(id, reader, identity)
        let redaction = reader.redaction(of: file.job?.type ?? "")
        var lines: [[UInt8]] = []
        try AuditIndex(reader.spool).lines(about: [id]) { _, _, line in
          lines.append(redaction.inAuditLine(Array(line)))
          return lines.count < mostLines
        }
        return lines.reversed()
      }
      return call.json { writer in
        writer.beginObject()
        writer.key("lines")
        writer.beginArray()
        for line in lines { writer.raw(line) }
        writer.endArray()
        writer.endObject()
      }
    },
    Route(
      .get, "/v1/jobs/{id}/why", .own,
      Operation(
        "getWhy", "The one reason why it is not running.", parameters: [Operation.jobID],
        answers: [(200, "It.", [.ref("Why")])])
    ) { call in
      try call.query.expect([])
      let (id, identity) = (try call.jobID(), call.identity)
      let reason = try await call.read { reader -> Reason in
        _ = try seen(id, reader, identity)
        return try reader.why(id)
      }
      return call.json { reason.write(to: &$0, id: id) }
    },
  ]

  /// The job's file, if it may be shown: to a producer, another's job is none.
  static func seen(_ id: String, _ reader: SpoolReader, _ identity: Identity?) throws -> JobFile {
    guard let file = try reader.file(id), let identity else { throw Problem.noSuchJob(id) }
    guard identity.role == .producer else { return file }
    guard identity.maySee(try reader.row(file, Parents(reader)).submittedBy) else { throw Problem.noSuchJob(id) }
    return file
  }

  private static func noResult(_ id: String, _ state: JobState) -> Problem {
    Problem(.notFound, "no_result", "the job has no result; it is in \(state.rawValue)", id: id)
  }

  private static func log(_ id: String, _ from: Int, _ spool: Spool) throws -> ([UInt8], Int) {
    let fd = spool_openat(spool.root, "log/jobs/\(id).log", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
    guard fd >= 0 else {
      // It has written nothing.
      if errno == ENOENT { return ([], 0) }
      throw SpoolError(doing: "reading the log", path: spool.logPath(of: id), .current)
    }
    defer { close(fd) }
    do throws(Errno) {
      let size = try spool.syscalls.status(fd).size
      guard from < size else { return ([], size) }
      return (try spool.syscalls.read(fd, count: min(slice, size - from), offset: from), size)
    } catch {
      throw SpoolError(doing: "reading the log", path: spool.logPath(of: id), error)
    }
  }
}

extension Redaction {
  /// An audit line repeats the record, and the `meta` of a submission.
  func inAuditLine(_ line: [UInt8]) -> [UInt8] {
    guard !pointers.isEmpty else { return line }
    let moved = pointers.flatMap { pointer -> [JSONPointer] in
      guard pointer.tokens.first == "jobspool" else { return [pointer] }
      let inside = pointer.tokens.dropFirst().map { "/\($0)" }.joined()
      return ["/record", "/brief"].compactMap { JSONPointer($0 + inside) }
    }
    return Redaction(moved).apply(to: line)
  }
}
