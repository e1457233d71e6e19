/// `GET /v1/queue`: how it stands at this moment.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum QueueRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/queue", .read,
      Operation(
        "getQueue", "Counts, what runs, limits, ages, lifetime totals, the daemon and its alerts.",
        answers: [(200, "The queue.", [.ref("Queue")])])
    ) { call in
      try call.query.expect([])
      let view = try await QueueView.now(call.state)
      return call.json { view.write(to: &$0) }
    }
  ]
}

/// The queue at one moment; also what `job-stats` says.
struct QueueView: Sendable {
  var now = WallTime.current
  var counts = JobCounts()
  var outcomes: [JobOutcome: Int] = [:]
  var active: [JobRow] = []
  var status: DaemonStatus?
  var holder: SpoolLock.Holder?
  var configuration: Configuration?
  var pausedTypes: [String] = []
  /// Who paused what, and since when; of everything under the name `all`.
  var pauses: [String: Pause] = [:]
  var oldest: [JobPhase: WallTime] = [:]
  var lifetime = Rollup.OfType()
  var today = Rollup.OfType()
  /// Ends in the last ten minutes.
  var recentEnds = 0

  private static let mostActive = 200

  static func now(_ state: WebState) async throws -> QueueView {
    let (view, _) = try await state.history { index, status, now in
      var view = QueueView()
      view.now = now
      view.counts = index.jobCounts(now: view.now)
      view.outcomes = index.outcomes
      view.pauses = index.pauses
      var running = HistoryQuery()
      running.places = [.state(.cur)]
      running.limit = mostActive
      running.ascending = true
      view.active = index.page(running, status: status, now: view.now).rows
      view.status = status
      view.oldest = index.oldest(now: view.now)
      let day = view.now.wholeSeconds / 86_400
      view.today = index.rollup(from: day, to: day).total
      view.recentEnds = index.minutes(now: view.now).suffix(10).reduce(0) { $0 + $1.done + $1.dead }
      return view
    }
    return try await view.completed(state)
  }

  /// With what does not come from the index.
  private func completed(_ state: WebState) async throws -> QueueView {
    let view = self
    return try await state.blocking {
      var view = view
      view.holder = SpoolLock.holder(state.spool)
      view.configuration = state.configuration
      view.lifetime = try state.feed.lifetime().total
      // Files named so are what pauses; while a daemon runs it knows which of them count.
      try Scan.names(of: .ctl, in: state.spool) { name in
        if name == "pause" { view.pausedTypes.append("") }
        if name.hasPrefix("pause.") { view.pausedTypes.append(String(name.dropFirst(6))) }
      }
      return view
    }
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writeCounts(to: &writer)
    writer.key("outcomes")
    writer.beginObject()
    for outcome in JobOutcome.allCases where outcome != .done {
      writer.key(escaping: outcome.rawValue)
      writer.int(outcomes[outcome] ?? 0)
    }
    writer.endObject()
    writer.key("paused")
    writer.beginObject()
    writer.key("all")
    writer.bool(status?.paused ?? pausedTypes.contains(""))
    writer.key("types")
    writer.beginArray()
    let paused = status.map { Set($0.types.filter(\.value.paused).keys) } ?? Set(pausedTypes.filter { !$0.isEmpty })
    for type in paused.sorted() { writer.string(type) }
    writer.endArray()
    writer.key("schedules")
    writer.bool(status?.schedulesPaused ?? false)
    writer.key("by")
    writer.beginObject()
    let isAllPaused = status?.paused ?? pausedTypes.contains("")
    for (name, pause) in pauses.sorted(by: { $0.key < $1.key })
    where paused.contains(name) || name == "all" && isAllPaused {
      writer.key(escaping: name)
      writer.beginObject()
      writer.key("by")
      writer.string(pause.by)
      writer.key("since")
      writer.time(pause.since)
      writer.endObject()
    }
    writer.endObject()
    writer.endObject()
    writeActive(to: &writer)
    writeLimits(to: &writer)
    writer.key("oldest")
    writer.beginObject()
    for (phase, key) in [(JobPhase.ready, "ready_s"), (.retry, "retry_s"), (.cur, "cur_s")] {
      guard let since = oldest[phase] else { continue }
      writer.key(escaping: key)
      writer.double(QueueView.seconds(max(now - since, .zero)))
    }
    writer.endObject()
    let waiting = (counts.count(.ready) ?? 0) + (counts.count(.retry) ?? 0)
    if recentEnds > 0 {
      writer.key("drain_s")
      writer.double((Double(waiting) / (Double(recentEnds) / 600)).rounded())
    }
    writeLifetime(to: &writer)
    writeDaemon(to: &writer)
    writer.endObject()
  }

  func writeCounts(to writer: inout JSONWriter) {
    writer.key("counts")
    writer.beginObject()
    writer.key("new")
    writer.int(counts.states[.new] ?? 0)
    for phase in JobPhase.allCases {
      writer.key(escaping: phase.rawValue)
      writer.int(JobState(rawValue: phase.rawValue).map { counts.states[$0] ?? 0 } ?? counts.count(phase) ?? 0)
    }
    writer.endObject()
  }

  func writeActive(to writer: inout JSONWriter) {
    writer.key("active")
    writer.beginArray()
    for row in active {
      writer.beginObject()
      writer.key("id")
      writer.string(row.id)
      writer.key("type")
      writer.string(row.type ?? "")
      writer.key("attempt")
      writer.int(row.attempt)
      let started = row.startedAt ?? row.updatedAt
      writer.key("started_at")
      writer.time(started)
      if let progress = row.progress, !progress.isEmpty {
        writer.key("progress")
        progress.write(to: &writer)
      }
      writer.key("elapsed_s")
      writer.double(QueueView.seconds(max(now - started, .zero)))
      if let meta = row.meta {
        writer.key("meta")
        writer.raw(meta)
      }
      writer.endObject()
    }
    writer.endArray()
  }

  private func writeLimits(to writer: inout JSONWriter) {
    let handlers = configuration?.handlers ?? [:]
    let running = counts.types?.mapValues { $0[.cur] ?? 0 } ?? [:]
    writer.key("limits")
    writer.beginObject()
    writer.key("max_jobs")
    writer.beginObject()
    writer.key("limit")
    writer.int(status?.maxJobs ?? configuration?.settings.maxJobs ?? 0)
    writer.key("used")
    writer.int(counts.states[.cur] ?? 0)
    writer.endObject()
    writer.key("pools")
    writer.beginArray()
    for (name, limit) in (configuration?.settings.pools ?? [:]).sorted(by: { $0.key < $1.key }) {
      let used = handlers.filter { $0.value.pool == name }.reduce(0) { $0 + (running[$1.key] ?? 0) }
      QueueView.write("name", name, limit, used, to: &writer)
    }
    writer.endArray()
    writer.key("types")
    writer.beginArray()
    for (name, handler) in handlers.sorted(by: { $0.key < $1.key }) {
      QueueView.write("type", name, handler.concurrency, running[name] ?? 0, to: &writer)
    }
    writer.endArray()
    writer.endObject()
  }

  private static func write(_ key: StaticString, _ name: String, _ limit: Int, _ used: Int, to writer: inout JSONWriter)
  {
    writer.beginObject()
    writer.key(key)
    writer.string(name)
    writer.key("limit")
    writer.int(limit)
    writer.key("used")
    writer.int(used)
    writer.endObject()
  }

  private func writeLifetime(to writer: inout JSONWriter) {
    writer.key("lifetime")
    writer.beginObject()
    writer.key("submitted")
    writer.int(lifetime.submitted)
    writer.key("done")
    writer.int(lifetime.done)
    writer.key("dead")
    writer.int(lifetime.ended - lifetime.done)
    writer.key("retried")
    writer.int(lifetime.retried)
    writer.key("run_mean_s")
    writer.double(QueueView.seconds(lifetime.run.mean ?? .zero))
    writer.key("wait_mean_s")
    writer.double(QueueView.seconds(lifetime.wait.mean ?? .zero))
    writer.endObject()
  }

  private func writeDaemon(to writer: inout JSONWriter) {
    writer.key("daemon")
    writer.beginObject()
    writer.key("running")
    writer.bool(holder?.program == "jobspoold")
    if let status {
      writer.key("pid")
      writer.int(status.pid)
      writer.key("version")
      writer.string(status.version)
      writer.key("node")
      writer.string(status.node)
      if let started = status.startedAt {
        writer.key("started_at")
        writer.time(started)
      }
      writer.key("mode")
      writer.string(status.mode.rawValue)
    }
    writer.endObject()
    writer.key("alerts")
    writer.beginArray()
    for alert in status?.alerts ?? [] { alert.write(to: &writer) }
    writer.endArray()
  }

  static func seconds(_ duration: Duration) -> Double { Double(duration.inMicroseconds) / 1e6 }
}

extension DaemonStatus.Alert {
  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("code")
    writer.string(code)
    writer.key("message")
    writer.string(message)
    if let at {
      writer.key("since")
      writer.time(at)
    }
    writer.endObject()
  }
}
