/// `GET /v1/jobs/{id}`: one job in full, with what a handler's `redact` and `encrypt` name masked.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

enum JobRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/jobs/{id}", .own,
      Operation(
        "getJob", "One job in full.", parameters: [Operation.jobID], answers: [(200, "The job.", [.ref("Job")])])
    ) { call in
      try call.query.expect([])
      let id = try call.jobID()
      let identity = call.identity
      var query = HistoryQuery()
      query.parents = [id]
      query.limit = 100
      let ofThis = query
      let (children, wait) = try await call.state.history { index, status, now in
        (index.page(ofThis, status: status, now: now), index.wait(of: id))
      }.answer
      let bytes = try await call.read { reader -> [UInt8] in
        guard let file = try reader.file(id) else { throw Problem.noSuchJob(id) }
        var row = try reader.row(file, Parents(reader))
        if row.state != .new, row.state != .hold { row.wait = wait }
        // To a producer, another's job is none.
        guard identity?.maySee(row.submittedBy) == true else { throw Problem.noSuchJob(id) }
        return JobDetail(reader, file, row, children: children).bytes
      }
      return call.respond(type: "application/json", bytes, tag: EntityTag.make(bytes))
    }
  ]
}
