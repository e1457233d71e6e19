internal import HTTPTypes
/// `/v1/schedules`: what runs when, how the last runs went, and running one now.
internal import Hummingbird
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

enum ScheduleRoutes {
  private static let name = Operation.Parameter("name", in: .path, "The schedule.")
  private static let mostRuns = 100
  private static let longestWait = Duration.seconds(300)

  static let all: [Route] = [
    Route(
      .get, "/v1/schedules", .read,
      Operation("listSchedules", "All schedules, by name.", answers: [(200, "They.", [.ref("Schedules")])])
    ) { call in
      try call.query.expect([])
      let (rows, isPaused) = try await call.read { reader -> ([ScheduleRow], Bool) in
        let rows = try reader.schedules()
        return (rows, reader.status?.schedulesPaused ?? reader.spool.hasRoot("ctl/pause-schedules"))
      }
      return call.json { writer in
        writer.beginObject()
        writer.key("schedules")
        writer.beginArray()
        for row in rows { write(row, payload: nil, &writer) }
        writer.endArray()
        writer.key("total")
        writer.int(rows.count)
        writer.key("enabled")
        writer.int(rows.count { $0.enabled })
        writer.key("running")
        writer.int(rows.count { $0.running })
        writer.key("paused")
        writer.bool(isPaused)
        writer.endObject()
      }
    },
    Route(
      .get, "/v1/schedules/{name}", .read,
      Operation("getSchedule", "One schedule.", parameters: [name], answers: [(200, "It.", [.ref("Schedule")])])
    ) { call in
      try call.query.expect([])
      let name = call.path("name")
      let (row, payload) = try await call.read { reader -> (ScheduleRow, [UInt8]?) in
        let row = try known(name, reader)
        guard let settings = row.settings else { return (row, nil) }
        // Masked as in a job of its type.
        let job = Array("{\"payload\":".utf8) + settings.payload + [UInt8(ascii: "}")]
        let masked = reader.redaction(of: settings.type).apply(to: job)
        return (row, JSONPointer("/payload")?.places(in: masked).first.map { Array(masked[$0]) })
      }
      return call.json { write(row, payload: payload ?? Array("null".utf8), &$0) }
    },
    Route(
      .get, "/v1/schedules/{name}/runs", .read,
      Operation("listRuns", "Its newest runs.", parameters: [name], answers: [(200, "They.", [.ref("Runs")])])
    ) { call in
      try call.query.expect([])
      let name = call.path("name")
      let bytes = try await call.read { reader -> [UInt8] in
        _ = try known(name, reader)
        var writer = JSONWriter(reserving: 4096)
        writer.beginObject()
        writer.key("runs")
        writer.beginArray()
        for run in try reader.runs(of: name, limit: mostRuns) { try write(run, reader, &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
      }
      return call.json(.ok, bytes)
    },
    Route(
      .post, "/v1/schedules/{name}/run", .operate,
      Operation(
        "runSchedule", "Make its job now, outside its times.",
        parameters: [name, .init("wait", "Answer when it has ended, at most after so long, such as `30s`.")],
        answers: [(200, "It has ended.", [.ref("Run")]), (202, "It was made.", [.ref("Run")])], problems: [409, 503])
    ) { call in
      try call.query.expect(["wait"])
      let name = call.path("name")
      var wait: Duration?
      if let text = try call.query.one("wait") {
        guard let duration = DurationText.parse(text), duration > .zero, duration <= longestWait else {
          throw Problem.parameter("wait", "expected a duration up to 5m, such as 30s")
        }
        wait = duration
      }
      _ = try await call.read { reader in try known(name, reader) }
      let outcomes = try await call.state.desk.ask(
        "run-schedule", about: [name], for: call.identity?.subject ?? "")
      guard let outcome = outcomes.first else { throw Problem(.conflict, "refused", "the daemon made no job") }
      if let failure = outcome.failure { throw failure }
      return try await answer(outcome.job, wait, call)
    },
    turn("enable", "Let it fire again; what it missed is not made up for."),
    turn("disable", "Stop it from firing; running it by hand still works."),
  ]

  private static func turn(_ verb: String, _ about: String) -> Route {
    Route(
      .post, "/v1/schedules/{name}/\(verb)", .operate,
      Operation(
        "\(verb)Schedule", about, parameters: [name], answers: [(200, "Done.", [.ref("Enabled")])],
        problems: [409, 503])
    ) { call in
      try call.query.expect([])
      let name = call.path("name")
      let row = try await call.read { reader in try known(name, reader) }
      if verb == "enable", let settings = row.settings, !settings.enabled {
        throw Problem(.conflict, "disabled_in_file", "its file says enabled = false; take that line away")
      }
      _ = try await call.state.desk.ask(verb, about: [name], for: call.identity?.subject ?? "")
      return call.json("name", name, "enabled", verb == "enable")
    }
  }

  private static func known(_ name: String, _ reader: SpoolReader) throws -> ScheduleRow {
    guard let row = try reader.schedule(name) else {
      throw Problem(.notFound, "no_such_schedule", "there is no schedule of that name", key: "name")
    }
    return row
  }

  /// The job, once it has ended or the wait is over.
  private static func answer(_ id: String, _ wait: Duration?, _ call: Call) async throws -> Response {
    let deadline = wait.map { ContinuousClock.now + $0 }
    var pause = Duration.milliseconds(10)
    while let deadline, ContinuousClock.now < deadline {
      let bytes = try await call.read { reader -> [UInt8]? in
        guard let file = try reader.file(id), file.state == .done || file.state == .dead else { return nil }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("id")
        writer.string(id)
        writer.key("state")
        writer.string(file.state.rawValue)
        try writeEnd(file, reader, &writer)
        writer.endObject()
        return writer.bytes
      }
      if let bytes { return call.json(.ok, bytes) }
      try await Task.sleep(for: min(pause, deadline - ContinuousClock.now))
      pause = min(pause * 2, .milliseconds(250))
    }
    var response = call.json(.accepted) { writer in
      writer.beginObject()
      writer.key("id")
      writer.string(id)
      writer.endObject()
    }
    response.headers[.location] = "/v1/jobs/\(id)"
    return response
  }

  private static func writeEnd(_ file: JobFile, _ reader: SpoolReader, _ writer: inout JSONWriter) throws {
    guard let record = file.record else { return }
    if let outcome = record.outcome {
      writer.key("outcome")
      writer.string(outcome.rawValue)
    }
    if let result = record.result {
      writer.key("result")
      writer.raw(result)
    }
    if let error = record.error {
      writer.key("error")
      error.write(to: &writer)
    }
  }

  private static func write(_ run: ScheduleRun, _ reader: SpoolReader, _ writer: inout JSONWriter) throws {
    writer.beginObject()
    writer.key("id")
    writer.string(run.job)
    for (key, time) in [("tick", run.tick), ("started_at", run.startedAt), ("finished_at", run.finishedAt)] {
      guard let time else { continue }
      writer.key(escaping: key)
      writer.time(time)
    }
    writer.key("state")
    // What was skipped or missed made no job; one whose file has gone was purged.
    writer.string(run.event == .fired ? run.state?.rawValue ?? "purged" : run.event.rawValue)
    if let file = try reader.file(run.job) {
      try writeEnd(file, reader, &writer)
    } else if let reason = run.reason {
      writer.key("outcome")
      writer.string(reason)
    }
    writer.endObject()
  }

  private static func write(_ row: ScheduleRow, payload: [UInt8]?, _ writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("name")
    writer.string(row.name)
    if let settings = row.settings {
      for (key, text) in [
        ("description", settings.description), ("cron", settings.cron.description), ("timezone", settings.timezone),
        ("type", settings.type), ("overlap", settings.overlap.rawValue), ("catch_up", settings.catchUp.rawValue),
      ] {
        writer.key(escaping: key)
        writer.string(text)
      }
    }
    if let problem = row.problem {
      writer.key("problem")
      writer.string(problem)
    }
    writer.key("enabled")
    writer.bool(row.enabled)
    for (key, time) in [("next_at", row.next), ("last_at", row.last)] {
      writer.key(escaping: key)
      if let time { writer.time(time) } else { writer.null() }
    }
    writer.key("last_result")
    if row.running {
      writer.string("running")
    } else if let last = row.lastResult {
      writer.string(last)
    } else {
      writer.null()
    }
    writer.key("last_job")
    if let job = row.job { writer.string(job) } else { writer.null() }
    writer.key("running")
    writer.bool(row.running)
    if let payload {
      writer.key("payload")
      writer.raw(payload)
    }
    writer.endObject()
  }
}
