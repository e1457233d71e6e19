/// `status.json`: what the daemon publishes about itself, replaced whole when something changed, at most five times a
/// second, never when idle. Readers that find it stale look at `lock`.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

struct StatusFile {
  struct Alert {
    var message: String
    var since: WallTime
  }

  private(set) var alerts: [String: Alert] = [:]
  private var isDirty = true
  private var written = Duration.zero
  /// Why it could not be written; said once.
  var failure: Errno?

  mutating func touch() { isDirty = true }

  /// false when the same thing has been said already.
  mutating func alert(_ code: String, _ message: String, at now: WallTime) -> Bool {
    if alerts[code]?.message == message { return false }
    alerts[code] = Alert(message: message, since: now)
    isDirty = true
    return true
  }

  mutating func clear(_ code: String) -> Bool {
    guard alerts.removeValue(forKey: code) != nil else { return false }
    isDirty = true
    return true
  }

  /// It could not be written: in a second again, also when nothing changes, or what it says stays wrong.
  mutating func failed(now: Duration) {
    isDirty = true
    written = now + .milliseconds(790)
  }

  /// Whether it has to be written, and if not yet, in how long.
  mutating func isDue(now: Duration) -> (write: Bool, in: Duration?) {
    guard isDirty else { return (false, nil) }
    let next = written + .milliseconds(200)
    guard now >= next else { return (false, next - now) }
    isDirty = false
    written = now
    return (true, nil)
  }
}

extension Engine {
  func publishStatus() {
    let (write, wait) = status.isDue(now: EventLoop.now)
    if let wait, !statusIsScheduled {
      statusIsScheduled = true
      loop.after(wait) { [unowned self] in statusIsScheduled = false }
    }
    guard write else { return }
    news?(
      .counts(running: running.count, waiting: agenda.count, state: statusWord, alerts: status.alerts.count))
    let bytes = statusJSON()
    do throws(Errno) {
      let fd = try spool.syscalls.open(
        spool.root, ".status.json", flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o644)
      defer { spool.syscalls.close(fd) }
      try spool.syscalls.write(fd, bytes, offset: 0)
      try spool.syscalls.rename(spool.root, ".status.json", to: spool.root, "status.json", replacing: true)
    } catch {
      // Only a view: nothing waits for it.
      if status.failure != error { logger.warning("cannot write status.json: \(error.message)") }
      status.failure = error
      status.failed(now: EventLoop.now)
      loop.after(.seconds(1)) {}
      return
    }
    status.failure = nil
  }

  private var statusWord: String { drain != .no ? "draining" : isAdrift || isLowOnDisk ? "low_disk" : "running" }

  private func statusJSON() -> [UInt8] {
    var writer = JSONWriter(reserving: 2048)
    writer.beginObject()
    writer.key("version")
    writer.string(jobspoolVersion)
    writer.key("pid")
    writer.int(getpid())
    writer.key("node")
    writer.string(node)
    writer.key("started_at")
    writer.time(startedAt)
    writer.key("updated_at")
    writer.time(effects.now())
    writer.key("state")
    writer.string(statusWord)
    writer.key("paused")
    writer.bool(isPaused)
    writer.key("max_jobs")
    writer.int(agenda.maxJobs)
    writer.key("running_count")
    writer.int(running.count)
    writer.key("waiting")
    writer.int(agenda.count)
    writer.key("types")
    writer.beginObject()
    for type in agenda.types.sorted(by: { $0.name < $1.name }) {
      writer.key(escaping: type.name)
      writer.beginObject()
      writer.key("concurrency")
      writer.int(type.concurrency)
      writer.key("running")
      writer.int(type.running)
      writer.key("waiting")
      writer.int(type.waiting)
      writer.key("scheduled")
      writer.int(type.scheduled)
      writer.key("paused")
      writer.bool(type.isPaused)
      if case .open(let until) = type.circuit.phase { writeCircuit(type.circuit.failures, until, to: &writer) }
      if type.circuit.phase == .halfOpen { writeCircuit(type.circuit.failures, nil, to: &writer) }
      writeRate(of: type.name, to: &writer)
      if let broken = type.broken {
        writer.key("broken")
        writer.string(broken)
      }
      writer.endObject()
    }
    writer.endObject()
    writer.key("running")
    writer.beginArray()
    for attempt in running.values.sorted(by: { ($0.startedAt, $0.id) < ($1.startedAt, $1.id) }) {
      writer.beginObject()
      writer.key("id")
      writer.string(attempt.id)
      writer.key("type")
      writer.string(attempt.job.type)
      writer.key("attempt")
      writer.int(attempt.number)
      writer.key("started_at")
      writer.time(attempt.startedAt)
      // Who lists silent jobs needs it; without a bound for silence nobody does, and heartbeats write nothing.
      if attempt.handler.stalledAfter != nil, let lastSign = attempt.lastSign {
        writer.key("sign_at")
        writer.time(lastSign)
      }
      if let percent = attempt.progress.percent {
        writer.key("percent")
        writer.double(percent)
      }
      if let stage = attempt.progress.stage {
        writer.key("stage")
        writer.string(stage)
      }
      if let message = attempt.progress.message {
        writer.key("message")
        writer.string(message)
      }
      writer.endObject()
    }
    writer.endArray()
    writeSchedules(to: &writer)
    writer.key("alerts")
    writer.beginArray()
    for (code, alert) in status.alerts.sorted(by: { ($0.value.since, $0.key) < ($1.value.since, $1.key) }) {
      writer.beginObject()
      writer.key("at")
      writer.time(alert.since)
      writer.key("code")
      writer.string(code)
      writer.key("message")
      writer.string(alert.message)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes + [0x0A]
  }
}
