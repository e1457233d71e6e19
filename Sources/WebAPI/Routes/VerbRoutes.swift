/// What an operator does to a job: requeue, cancel, hold, release, delete, edit; one at a time, or all that a filter matches. The
/// daemon carries it out and its audit log names the token's subject.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import JobSecrets
internal import JobSubmission
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum VerbRoutes {
  static let all: [Route] =
    [OperatorVerb.requeue, .cancel, .hold, .release].map(verb) + [delete, edit, bulk]

  private static let about: [OperatorVerb: String] = [
    .requeue: "Run a done or dead job again.", .cancel: "Cancel a waiting, held or running job.",
    .hold: "Set a waiting job aside.", .release: "Let a held job wait again.",
  ]

  private static func verb(_ verb: OperatorVerb) -> Route {
    Route(
      .post, "/v1/jobs/{id}/\(verb.rawValue)", .operate,
      Operation(
        "\(verb.rawValue)Job", about[verb] ?? "", parameters: [Operation.jobID],
        answers: [(200, "Done.", [.ref("JobPlace")])], problems: [409, 503])
    ) { call in
      try call.query.expect([])
      let outcome = try await one(verb, call)
      return call.json { writer in
        writer.beginObject()
        writer.key("id")
        writer.string(outcome.job)
        if let state = outcome.state {
          writer.key("state")
          writer.string(state.rawValue)
        }
        writer.endObject()
      }
    }
  }

  private static let delete = Route(
    .delete, "/v1/jobs/{id}", .admin,
    Operation(
      "deleteJob", "Remove a done, dead or held job for good.", parameters: [Operation.jobID],
      answers: [(204, "It is gone.", [])], problems: [409, 503])
  ) { call in
    try call.query.expect([])
    _ = try await one(.purge, call)
    return Response(status: .noContent)
  }

  private static func one(_ verb: OperatorVerb, _ call: Call) async throws -> DaemonDesk.Outcome {
    let id = try call.jobID()
    let outcomes = try await call.state.desk.perform(verb, [id], for: call.identity?.subject ?? "")
    guard var outcome = outcomes.first else { throw Problem.noSuchJob(id) }
    if let failure = outcome.failure { throw failure }
    outcome.job = id
    return outcome
  }

  private static let edit = Route(
    .put, "/v1/jobs/{id}", .admin,
    Operation(
      "editJob", "Replace what the producer wrote, of a job that waits, is held or is dead.",
      parameters: [Operation.jobID], body: [.ref("JobFile")], answers: [(200, "Done.", [.ref("JobPlace")])],
      problems: [409, 413, 503])
  ) { call in
    try call.query.expect([])
    let id = try call.jobID()
    let state = call.state
    let limit = try await state.blocking { state.configuration.settings.maxJobBytes }
    let body = try await call.body(atMost: limit)
    let text = try await state.blocking { () throws -> String in
      let configuration = state.configuration
      do throws(JobProblem) {
        let job = try SubmissionCheck.checked(body, configuration)
        if let own = job.id, own != id { throw JobProblem(.wrongID, "\"id\" must be \(id), or left out", key: "id") }
        // Sealed here, as it goes through a file.
        do throws(SecretProblem) {
          return String(decoding: try Sealer(configuration).sealed(job).bytes, as: UTF8.self)
        } catch {
          throw JobProblem(.cannotOpen, error.message, key: "payload")
        }
      } catch {
        throw Problem(error)
      }
    }
    let outcomes = try await state.desk.ask("edit", for: call.identity?.subject ?? "") { writer in
      writer.key("job")
      writer.string(id)
      writer.key("text")
      writer.string(text)
    }
    if let failure = outcomes.first?.failure { throw failure }
    return call.json { writer in
      writer.beginObject()
      writer.key("id")
      writer.string(id)
      writer.key("state")
      writer.string(outcomes.first?.state?.rawValue ?? "new")
      writer.endObject()
    }
  }

  // MARK: Many

  private static let bulk = Route(
    .post, "/v1/jobs/bulk", .operate,
    Operation(
      "bulkJobs",
      "One verb on all jobs that a filter matches and the verb fits, or that are named; with dry_run only counted.",
      body: [.ref("Bulk")], answers: [(200, "What was matched and done.", [.ref("BulkDone")])], problems: [413, 503])
  ) { call in
    try call.query.expect([])
    let request = try BulkRequest(try await call.body(atMost: 8 << 20))
    guard let identity = call.identity else { throw Problem(.unauthorized, "no_token", "send a token") }
    if request.verb == .purge, identity.role != .admin {
      throw Problem(.forbidden, "forbidden", "only the role admin may delete", key: "do")
    }
    let selection = try await request.jobs(call)
    let ids = selection.ids
    var done = 0
    var refused = selection.refused
    if !request.isDryRun {
      for outcome in try await call.state.desk.perform(request.verb, ids, for: identity.subject) {
        if let failure = outcome.failure { refused.append((outcome.job, failure.detail)) } else { done += 1 }
      }
    }
    return call.json { writer in
      writer.beginObject()
      writer.key("matched")
      writer.int(ids.count)
      writer.key("done")
      writer.int(done)
      writer.key("refused")
      writer.beginArray()
      for (id, detail) in refused.prefix(100) {
        writer.beginObject()
        writer.key("id")
        writer.string(id)
        writer.key("detail")
        writer.string(detail)
        writer.endObject()
      }
      writer.endArray()
      writer.key("sample")
      writer.beginArray()
      for row in selection.sample { row.write(to: &writer) }
      writer.endArray()
      writer.endObject()
    }
  }
}

/// The body of a bulk request.
private struct BulkRequest: Sendable {
  var verb = OperatorVerb.cancel
  var isDryRun = false
  private var ids: [String]?
  private var filter = HistoryQuery()
  private static let most = 100_000

  init(_ body: [UInt8]) throws(Problem) {
    let value: JSONValue
    do throws(JSONReader.Problem) { value = try JSONReader.parse(body) } catch {
      throw Problem(.badRequest, "bad_json", "byte \(error.offset): \(error.message)")
    }
    guard let members = value.members else { throw Problem(.badRequest, "bad_json", "expected an object") }
    for member in members where !["do", "filter", "ids", "dry_run"].contains(member.key) {
      throw .parameter(member.key, "unknown key; known are do, filter, ids, dry_run")
    }
    guard let word = value["do"]?.string, let verb = BulkRequest.verbs[word] else {
      throw .parameter("do", "expected one of \(BulkRequest.verbs.keys.sorted().joined(separator: ", "))")
    }
    self.verb = verb
    if let flag = value["dry_run"] {
      guard let isDryRun = flag.bool else { throw .parameter("dry_run", "expected true or false") }
      self.isDryRun = isDryRun
    }
    guard (value["ids"] == nil) != (value["filter"] == nil) else {
      throw .parameter("filter", "give filter or ids; {} as a filter matches every job")
    }
    if let list = value["ids"] {
      guard let texts = list.array?.map(\.string), !texts.contains(nil) else {
        throw .parameter("ids", "expected a list of ids")
      }
      ids = texts.compactMap { $0 }
    }
    if let object = value["filter"] { filter = try BulkRequest.filter(object) }
  }

  private static let verbs: [String: OperatorVerb] = [
    "requeue": .requeue, "cancel": .cancel, "hold": .hold, "release": .release, "delete": .purge,
  ]

  private static func filter(_ object: JSONValue) throws(Problem) -> HistoryQuery {
    guard let members = object.members else { throw .parameter("filter", "expected an object") }
    var items: [Query.Item] = []
    for member in members {
      let values = member.value.array ?? [member.value]
      for value in values {
        guard let text = value.string else {
          throw .parameter("filter.\(member.key)", "expected a text, or a list of texts")
        }
        items.append(Query.Item(name: member.key, value: text))
      }
    }
    let query = Query(items: items)
    try query.expect(JobListRoutes.filters.map(\.name) + ["meta."])
    return try JobListRoutes.query(query)
  }

  /// What it is about.
  struct Selection: Sendable {
    var ids: [String]
    /// The first few of them as rows.
    var sample: [JobRow]
    /// Only where nothing is to be done: what is done finds out by itself.
    var refused: [(id: String, detail: String)] = []
  }

  func jobs(_ call: Call) async throws -> Selection {
    let verb = verb
    if let ids {
      for id in ids where !JobID.isValid(id) { throw Problem.parameter("ids", "\(id) is no job id") }
      let isDryRun = isDryRun
      return try await call.read { reader -> Selection in
        var found = Selection(ids: ids, sample: [])
        if isDryRun { (found.ids, found.refused) = try BulkRequest.sorted(ids, for: verb, reader.spool) }
        let parents = Parents(reader)
        found.sample = try found.ids.prefix(10).compactMap { id in
          try reader.file(id).map { try reader.row($0, parents) }
        }
        return found
      }
    }
    var query = filter
    query.within = verb.states
    let wanted = query
    let (answer, isComplete) = try await call.state.history { index, status, now in
      var first = wanted
      first.limit = 10
      return (index.ids(wanted, limit: BulkRequest.most, now: now), index.page(first, status: status, now: now).rows)
    }
    guard isComplete else {
      var problem = Problem(.serviceUnavailable, "loading", "the audit log is still being read; try again")
      problem.retryAfter = 2
      throw problem
    }
    return Selection(ids: answer.0, sample: answer.1)
  }

  /// Which of the named jobs the verb fits, and what is to be said of the others.
  private static func sorted(
    _ ids: [String], for verb: OperatorVerb, _ spool: Spool
  ) throws(SpoolError) -> ([String], [(id: String, detail: String)]) {
    var fitting: [String] = []
    var refused: [(id: String, detail: String)] = []
    for id in ids {
      guard let state = try spool.state(of: id) else {
        refused.append((id, Problem.noSuchJob(id).detail))
        continue
      }
      if verb.states.contains(state) { fitting.append(id) } else { refused.append((id, "it is in \(state.rawValue)")) }
    }
    return (fitting, refused)
  }
}
