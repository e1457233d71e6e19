/// `GET /v1/jobs/{id}/file`: what the producer wrote, without the daemon's record: what an editor begins with.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolHistory

enum JobFileRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/jobs/{id}/file", .own,
      Operation(
        "getFile", "What its producer wrote, as it is, with what `redact` and `encrypt` name masked.",
        parameters: [Operation.jobID], answers: [(200, "It.", [.json("{}")])], problems: [409])
    ) { call in
      try call.query.expect([])
      let (id, identity) = (try call.jobID(), call.identity)
      let bytes = try await call.read { reader -> [UInt8] in
        let file = try JobPartRoutes.seen(id, reader, identity)
        guard let job = file.job, !job.isBare else {
          throw Problem(
            .conflict, "no_job", "what was written is no job; it lies in dead/\(id).bad and is mended there", id: id)
        }
        return reader.redaction(of: job.type).apply(to: job.original)
      }
      return call.respond(type: "application/json", bytes, tag: EntityTag.make(bytes))
    }
  ]
}
