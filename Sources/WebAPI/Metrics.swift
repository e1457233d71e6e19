/// The metrics of one moment, as text.
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Metrics: Sendable {
  private var counts = JobCounts()
  private var lifetime = Rollup()
  private var oldest: [JobPhase: WallTime] = [:]
  private var successes: [String: Int64] = [:]
  private var machine = Machine()
  private var hasDaemon = false
  private var alerts = 0
  private var now = WallTime.current

  /// Seconds; each is the end of a bucket of `Histogram`, so nothing is guessed.
  static let buckets: [Double] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000,
    10000,
  ]

  static func now(_ state: WebState) async throws -> Metrics {
    let (read, _) = try await state.history { index, status, now in
      var metrics = Metrics()
      metrics.now = now
      metrics.counts = index.jobCounts(now: metrics.now)
      metrics.oldest = index.oldest(now: metrics.now)
      metrics.successes = index.successes
      metrics.hasDaemon = status != nil
      metrics.alerts = status?.alerts.count ?? 0
      return metrics
    }
    return try await state.blocking {
      var metrics = read
      metrics.lifetime = try state.feed.lifetime()
      metrics.machine = Machine.now(state.spool)
      return metrics
    }
  }

  var text: String {
    var text = ""
    writeGauges(&text)
    writeCounters(&text)
    write(&text, "jobspool_job_run_seconds", "How long attempts ran.", \.run)
    write(&text, "jobspool_job_wait_seconds", "How long jobs that could have run waited for their attempt.", \.wait)
    return text
  }

  private func writeGauges(_ text: inout String) {
    Metrics.head(&text, "jobspool_jobs", "gauge", "Jobs that lie in the spool.")
    for (type, phases) in (counts.types ?? [:]).sorted(by: { $0.key < $1.key }) {
      for phase in JobPhase.allCases {
        guard let count = phases[phase], count > 0 else { continue }
        Metrics.line(&text, "jobspool_jobs", [("state", phase.rawValue), ("type", type)], "\(count)")
      }
    }
    Metrics.head(
      &text, "jobspool_oldest_job_age_seconds", "gauge", "How long the oldest job of each state has been so.")
    for phase in JobPhase.allCases {
      guard let since = oldest[phase] else { continue }
      Metrics.line(
        &text, "jobspool_oldest_job_age_seconds", [("state", phase.rawValue)],
        "\(QueueView.seconds(max(now - since, .zero)))")
    }
    if let free = machine.diskFree {
      Metrics.head(&text, "jobspool_spool_free_bytes", "gauge", "Free space of the file system of the spool.")
      Metrics.line(&text, "jobspool_spool_free_bytes", [], "\(free)")
    }
    Metrics.head(
      &text, "jobspool_schedule_last_success_timestamp_seconds", "gauge",
      "When a job of the schedule last succeeded.")
    for (schedule, time) in successes.sorted(by: { $0.key < $1.key }) {
      Metrics.line(
        &text, "jobspool_schedule_last_success_timestamp_seconds", [("schedule", schedule)], "\(Double(time) / 1e6)")
    }
    Metrics.head(&text, "jobspool_daemon_up", "gauge", "1 while a daemon runs on the spool.")
    Metrics.line(&text, "jobspool_daemon_up", [], hasDaemon ? "1" : "0")
    Metrics.head(&text, "jobspool_alerts", "gauge", "Alerts of the daemon that are not over.")
    Metrics.line(&text, "jobspool_alerts", [], "\(alerts)")
    Metrics.head(&text, "jobspool_build_info", "gauge", "The version, as a label.")
    Metrics.line(&text, "jobspool_build_info", [("version", jobspoolVersion)], "1")
  }

  private func writeCounters(_ text: inout String) {
    let types = lifetime.types.sorted { $0.key < $1.key }
    Metrics.head(&text, "jobspool_jobs_submitted_total", "counter", "Jobs that came in.")
    for (type, numbers) in types {
      Metrics.line(&text, "jobspool_jobs_submitted_total", [("type", type)], "\(numbers.submitted)")
    }
    Metrics.head(&text, "jobspool_jobs_finished_total", "counter", "Jobs that ended, by how.")
    for (type, numbers) in types {
      for outcome in JobOutcome.allCases {
        // done and failed from the beginning: a rate needs a zero to start from.
        guard let count = numbers.ends[outcome] ?? (outcome == .done || outcome == .failed ? 0 : nil) else { continue }
        Metrics.line(
          &text, "jobspool_jobs_finished_total", [("type", type), ("outcome", outcome.rawValue)], "\(count)")
      }
    }
    Metrics.head(
      &text, "jobspool_attempts_retried_total", "counter", "Attempts that failed and were followed by another.")
    for (type, numbers) in types {
      Metrics.line(&text, "jobspool_attempts_retried_total", [("type", type)], "\(numbers.retried)")
    }
  }

  private func write(
    _ text: inout String, _ name: String, _ help: String, _ path: KeyPath<Rollup.OfType, Histogram>
  ) {
    Metrics.head(&text, name, "histogram", help)
    for (type, numbers) in lifetime.types.sorted(by: { $0.key < $1.key }) {
      let histogram = numbers[keyPath: path]
      for bucket in Metrics.buckets {
        let count = histogram.count(upTo: Int64(bucket * 1e6))
        Metrics.line(&text, "\(name)_bucket", [("type", type), ("le", Metrics.number(bucket))], "\(count)")
      }
      Metrics.line(&text, "\(name)_bucket", [("type", type), ("le", "+Inf")], "\(histogram.count)")
      Metrics.line(&text, "\(name)_sum", [("type", type)], "\(Double(histogram.sum) / 1e6)")
      Metrics.line(&text, "\(name)_count", [("type", type)], "\(histogram.count)")
    }
  }

  private static func head(_ text: inout String, _ name: String, _ kind: String, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
  }

  private static func line(_ text: inout String, _ name: String, _ labels: [(String, String)], _ value: String) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",") + "}"
    }
    text += " \(value)\n"
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() ? "\(Int(value))" : "\(value)"
  }

  private static func escaped(_ label: String) -> String {
    var escaped = ""
    for character in label.unicodeScalars {
      switch character {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }
}
