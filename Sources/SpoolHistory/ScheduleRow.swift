/// Schedules as a list and a page show them: what the file says, what the daemon makes of it, and the history of runs from
/// the audit log. Without a daemon the same is told from the files and the log.
package import JobModel
internal import SpoolConfig
package import SpoolStore

package struct ScheduleRow: Sendable, Equatable {
  package var name: String
  /// nil when its file does not load; `problem` says why.
  package var settings: ScheduleSettings?
  package var problem: String?
  package var enabled: Bool
  /// All schedules are paused.
  package var paused: Bool
  /// When it fires next; nil when it does not.
  package var next: WallTime?
  package var last: WallTime?
  /// The job it made last.
  package var job: String?
  /// How the newest of its jobs that ended did: an outcome.
  package var lastResult: String?
  package var running: Bool

  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("name")
    writer.string(name)
    if let settings {
      writer.key("cron")
      writer.string(settings.cron.description)
      writer.key("timezone")
      writer.string(settings.timezone)
      writer.key("type")
      writer.string(settings.type)
      writer.key("description")
      writer.string(settings.description)
      writer.key("overlap")
      writer.string(settings.overlap.rawValue)
      writer.key("catch_up")
      writer.string(settings.catchUp.rawValue)
    }
    if let problem {
      writer.key("problem")
      writer.string(problem)
    }
    writer.key("enabled")
    writer.bool(enabled)
    writer.key("paused")
    writer.bool(paused)
    writer.key("running")
    writer.bool(running)
    for (key, time) in [("next", next), ("last", last)] {
      guard let time else { continue }
      writer.key(escaping: key)
      writer.time(time)
    }
    if let job {
      writer.key("job")
      writer.string(job)
    }
    if let lastResult {
      writer.key("last_result")
      writer.string(lastResult)
    }
    writer.endObject()
  }
}

/// One line of a schedule's history.
package struct ScheduleRun: Sendable, Equatable {
  package enum Event: String, Sendable { case fired, skipped, missed }

  package var event: Event
  /// When it was fired, skipped or given up.
  package var at: WallTime
  /// The time it was due; nil for a run somebody asked for.
  package var tick: WallTime?
  /// The firing's id; of a skipped or missed one there is no job.
  package var job: String
  package var by: String
  /// Why it was skipped, missed or late: `overlap`, `down`, `paused`, `disk`, `late`, …
  package var reason: String?
  /// Where its job is now; nil when it was removed, or never was.
  package var state: JobState?
  package var outcome: JobOutcome?
  package var startedAt: WallTime?
  package var finishedAt: WallTime?
  package var error: JobError?

  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("event")
    writer.string(event.rawValue)
    writer.key("at")
    writer.time(at)
    if let tick {
      writer.key("tick")
      writer.time(tick)
    }
    writer.key("job")
    writer.string(job)
    writer.key("by")
    writer.string(by)
    if let reason {
      writer.key("reason")
      writer.string(reason)
    }
    if let state {
      writer.key("state")
      writer.string(state.rawValue)
    }
    if let outcome {
      writer.key("outcome")
      writer.string(outcome.rawValue)
    }
    for (key, time) in [("started_at", startedAt), ("finished_at", finishedAt)] {
      guard let time else { continue }
      writer.key(escaping: key)
      writer.time(time)
    }
    if let error {
      writer.key("error")
      error.write(to: &writer)
    }
    writer.endObject()
  }
}

extension SpoolReader {
  /// All schedules, by name.
  package func schedules() throws(SpoolError) -> [ScheduleRow] {
    guard let configuration else { return [] }
    let names = Set(configuration.schedules.keys).union(configuration.brokenSchedules.keys)
    let traces = status == nil ? try ScheduleTrail.traces(of: names, in: spool) : [:]
    var rows: [ScheduleRow] = []
    for name in names.sorted() { rows.append(try row(name, configuration, traces[name])) }
    return rows
  }

  /// One schedule; nil when there is no such file.
  package func schedule(_ name: String) throws(SpoolError) -> ScheduleRow? {
    guard let configuration, configuration.schedules[name] != nil || configuration.brokenSchedules[name] != nil else {
      return nil
    }
    let trace = status == nil ? try ScheduleTrail.traces(of: [name], in: spool)[name] : nil
    return try row(name, configuration, trace)
  }

  private func row(
    _ name: String, _ configuration: Configuration, _ trace: ScheduleTrace?
  ) throws(SpoolError) -> ScheduleRow {
    let settings = configuration.schedules[name]
    let isOn = (settings?.enabled ?? false) && !spool.hasRoot("ctl/disabled.\(name)")
    var row = ScheduleRow(
      name: name, settings: settings, problem: configuration.brokenSchedules[name]?.first?.description, enabled: isOn,
      paused: status?.schedulesPaused ?? spool.hasRoot("ctl/pause-schedules"), next: nil, last: trace?.last,
      job: trace?.job, lastResult: nil, running: false)
    if let known = status?.schedules[name] {
      (row.next, row.last, row.job) = (known.next, known.last, known.job)
      (row.lastResult, row.running) = (known.lastResult, known.running)
    } else {
      // A schedule that the daemon has not read yet, or no daemon.
      if isOn { row.next = settings.flatMap { ScheduleRule($0).next(after: now)?.start } }
      if let job = row.job { row.lastResult = try file(job)?.record?.outcome?.rawValue }
    }
    return row
  }

  /// The runs of a schedule, newest first.
  package func runs(of name: String, limit: Int) throws(SpoolError) -> [ScheduleRun] {
    var runs: [ScheduleRun] = []
    try ScheduleTrail.history(of: name, in: spool) { event, line in
      if let run = SpoolReader.run(event, line) { runs.append(run) }
      return runs.count < limit
    }
    for index in runs.indices where runs[index].event == .fired {
      guard let file = try file(runs[index].job) else { continue }
      runs[index].state = file.state
      guard let record = file.record else { continue }
      runs[index].outcome = record.outcome
      runs[index].startedAt = record.attempts.first?.startedAt
      runs[index].finishedAt = record.finishedAt
      runs[index].error = record.error
    }
    return runs
  }

  private static func run(_ event: AuditEvent, _ line: JSONValue) -> ScheduleRun? {
    let kind: ScheduleRun.Event
    switch event {
    case .scheduleFired: kind = .fired
    case .scheduleSkipped: kind = .skipped
    case .scheduleMissed: kind = .missed
    default: return nil
    }
    func time(_ key: String) -> WallTime? { line[key]?.string.flatMap { WallTime(rfc3339: $0) } }
    guard let at = time("ts"), let job = line["job"]?.string else { return nil }
    return ScheduleRun(
      event: kind, at: at, tick: time("tick"), job: job, by: line["by"]?.string ?? "", reason: line["reason"]?.string)
  }
}
