/// `/v1/types`: the handlers as they stand, and their pause.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum TypeRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/types", .read,
      Operation("listTypes", "Every type: its handler, limits, numbers.", answers: [(200, "They.", [.ref("Types")])])
    ) { call in
      try call.query.expect([])
      let figures = try await call.state.history { index, _, now -> Figures in
        let day = now.wholeSeconds / 86_400
        return Figures(
          week: index.rollup(from: day - 6, to: day), hours: index.hourlyRuns(now: now), pauses: index.pauses)
      }.answer
      let bytes = try await call.read { reader in document(reader, figures) }
      return call.json(.ok, bytes)
    },
    turn("pause", "Start no more jobs of this type (all: of any); running ones go on."),
    turn("resume", "Let them start again."),
  ]

  private static func turn(_ verb: String, _ about: String) -> Route {
    Route(
      .post, "/v1/types/{type}/\(verb)", .operate,
      Operation(
        "\(verb)Type", about, parameters: [.init("type", in: .path, "The type, or `all`.")],
        answers: [(200, "Done.", [.ref("Paused")])], problems: [503])
    ) { call in
      try call.query.expect([])
      let type = call.path("type")
      let isKnown = try await call.read { reader in
        type == "all" || reader.configuration?.handlers[type] != nil
          || reader.configuration?.brokenHandlers[type] != nil
          || reader.status?.types[type] != nil
      }
      guard isKnown, type == "all" || JobType.isValid(type) else {
        throw Problem(.notFound, "no_such_type", "there is no type of that name", key: "type")
      }
      let (desk, subject) = (call.state.desk, call.identity?.subject ?? "")
      if type == "all" {
        _ = try await desk.ask(verb, for: subject) { writer in
          writer.key("all")
          writer.bool(true)
        }
      } else {
        _ = try await desk.ask(verb, "types", about: [type], for: subject)
      }
      return call.json("type", type, "paused", verb == "pause")
    }
  }

  /// What the log says of all types.
  private struct Figures: Sendable {
    var week: Rollup
    var hours: [String: [Double?]]
    var pauses: [String: Pause]
  }

  private static func document(_ reader: SpoolReader, _ figures: Figures) -> [UInt8] {
    let configuration = reader.configuration ?? Configuration()
    let names = Set(configuration.handlers.keys).union(configuration.brokenHandlers.keys)
      .union(reader.status?.types.keys.map { $0 } ?? []).sorted()
    var writer = JSONWriter(reserving: 4096)
    writer.beginObject()
    writer.key("types")
    writer.beginArray()
    for name in names {
      TypeRow(
        name: name, handler: configuration.handlers[name],
        problem: configuration.brokenHandlers[name]?.first?.description,
        status: reader.status?.types[name], numbers: figures.week.types[name], hours: figures.hours[name],
        isPaused: isPaused(name, reader), pause: figures.pauses[name]
      ).write(to: &writer)
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  private static func isPaused(_ type: String, _ reader: SpoolReader) -> Bool {
    // The file, not what the daemon published a moment ago: who has just paused wants to see it.
    reader.spool.hasRoot("ctl/pause.\(type)")
  }
}

/// One type as the list shows it.
private struct TypeRow {
  var name: String
  var handler: HandlerSettings?
  var problem: String?
  var status: DaemonStatus.TypeStatus?
  var numbers: Rollup.OfType?
  var hours: [Double?]?
  var isPaused: Bool
  var pause: Pause?

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("type")
    writer.string(name)
    if let handler { write(handler, &writer) }
    writer.key("running")
    writer.int(status?.running ?? 0)
    writer.key("waiting")
    writer.int(status?.waiting ?? 0)
    writer.key("paused")
    writer.bool(isPaused)
    if isPaused, let pause {
      writer.key("paused_by")
      writer.string(pause.by)
      writer.key("paused_since")
      writer.time(pause.since)
    }
    writer.key("circuit")
    writer.string(status?.circuit.map { $0.until == nil ? "half-open" : "open" } ?? "closed")
    if let problem = problem ?? status?.broken {
      writer.key("problem")
      writer.string(problem)
    }
    writer.key("success_rate")
    if let success = numbers?.success { writer.double(success) } else { writer.null() }
    for (key, share) in [("run_p50_s", 0.5), ("run_p95_s", 0.95)] {
      writer.key(escaping: key)
      if let run = numbers?.run.percentile(share) { writer.double(run.inSeconds) } else { writer.null() }
    }
    writer.key("sparkline")
    writer.beginArray()
    for hour in hours ?? [Double?](repeating: nil, count: 24) {
      if let hour { writer.double(hour) } else { writer.null() }
    }
    writer.endArray()
    writer.endObject()
  }

  private func write(_ handler: HandlerSettings, _ writer: inout JSONWriter) {
    writer.key("mode")
    writer.string(handler.mode.rawValue)
    writer.key("concurrency")
    writer.int(handler.concurrency)
    if let pool = handler.pool {
      writer.key("pool")
      writer.string(pool)
    }
    if let rate = handler.rate {
      writer.key("rate")
      writer.string(rate.rate.text)
    }
    writer.key("file")
    writer.string(handler.file)
    writer.key("timeout_s")
    writer.double(handler.timeout.inSeconds)
    writer.key("max_attempts")
    writer.int(handler.retry.maxAttempts)
  }
}
