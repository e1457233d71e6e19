/// What a running daemon says of itself: `status.json`, read. Keys added by a later version are passed over, missing ones
/// get the value that claims least.
package import JobModel
package import SpoolStore

package struct DaemonStatus: Sendable, Equatable {
  package enum Mode: String, Sendable {
    case running, draining
    case lowDisk = "low_disk"
  }

  /// One type as the daemon runs it.
  package struct TypeStatus: Sendable, Equatable {
    package var concurrency: Int?
    package var running: Int
    package var waiting: Int
    package var scheduled: Int
    package var paused: Bool
    /// Why it cannot run, such as a handler file that does not load.
    package var broken: String?
    /// It failed on end, and rests.
    package var circuit: Circuit?
    package var rate: RateStatus?
  }

  package struct Circuit: Sendable, Equatable {
    package var failures: Int
    /// nil: one job is being tried.
    package var until: WallTime?
  }

  package struct RateStatus: Sendable, Equatable {
    package var rate: Rate
    /// Some of the values without room, and until when.
    package var full: [UInt64: WallTime] = [:]
  }

  /// A job whose handler runs.
  package struct Running: Sendable, Equatable {
    package var id: String
    package var type: String
    package var attempt: Int
    package var startedAt: WallTime?
    package var progress: JobRecord.Progress
  }

  /// One schedule as the daemon carries it out.
  package struct ScheduleStatus: Sendable, Equatable {
    package var enabled: Bool
    package var next: WallTime?
    package var last: WallTime?
    /// The job it made last.
    package var job: String?
    /// How the newest of its jobs that ended did: an outcome.
    package var lastResult: String?
    package var running: Bool
  }

  /// What needs attention now; it goes when it is over.
  package struct Alert: Sendable, Equatable {
    package var at: WallTime?
    /// The kind, and after a colon what it is about: `circuit:mail`.
    package var code: String
    package var message: String
  }

  package var version: String
  package var pid: Int
  package var node: String
  package var startedAt: WallTime?
  package var updatedAt: WallTime?
  package var mode: Mode
  package var paused: Bool
  package var maxJobs: Int?
  package var runningCount: Int
  package var waiting: Int
  package var types: [String: TypeStatus]
  package var running: [Running]
  package var schedulesPaused: Bool
  package var schedules: [String: ScheduleStatus]
  package var alerts: [Alert]

  /// nil when the text is no status.
  package init?(_ json: [UInt8]) {
    guard let value = try? JSONReader.parse(json), value.members != nil else { return nil }
    func time(_ value: JSONValue?) -> WallTime? { value?.string.flatMap { WallTime(rfc3339: $0) } }
    version = value["version"]?.string ?? ""
    pid = value["pid"]?.int ?? 0
    node = value["node"]?.string ?? ""
    startedAt = time(value["started_at"])
    updatedAt = time(value["updated_at"])
    mode = value["state"]?.string.flatMap(Mode.init(rawValue:)) ?? .running
    paused = value["paused"]?.bool ?? false
    maxJobs = value["max_jobs"]?.int
    waiting = value["waiting"]?.int ?? 0
    types = [:]
    for member in value["types"]?.members ?? [] {
      types[member.key] = TypeStatus(
        concurrency: member.value["concurrency"]?.int, running: member.value["running"]?.int ?? 0,
        waiting: member.value["waiting"]?.int ?? 0, scheduled: member.value["scheduled"]?.int ?? 0,
        paused: member.value["paused"]?.bool ?? false, broken: member.value["broken"]?.string,
        circuit: member.value["circuit"].map { Circuit(failures: $0["failures"]?.int ?? 0, until: time($0["until"])) },
        rate: member.value["rate"].flatMap { RateStatus($0) })
    }
    running = []
    for element in value["running"]?.array ?? [] {
      guard let id = element["id"]?.string else { continue }
      running.append(
        Running(
          id: id, type: element["type"]?.string ?? "", attempt: element["attempt"]?.int ?? 1,
          startedAt: time(element["started_at"]),
          progress: JobRecord.Progress(
            percent: element["percent"]?.double, stage: element["stage"]?.string,
            message: element["message"]?.string)))
    }
    schedulesPaused = value["schedules_paused"]?.bool ?? false
    schedules = [:]
    for member in value["schedules"]?.members ?? [] {
      schedules[member.key] = ScheduleStatus(
        enabled: member.value["enabled"]?.bool ?? false, next: time(member.value["next"]),
        last: time(member.value["last"]), job: member.value["job"]?.string,
        lastResult: member.value["last_result"]?.string, running: member.value["running"]?.bool ?? false)
    }
    alerts = (value["alerts"]?.array ?? []).compactMap { element in
      guard let message = element["message"]?.string else { return nil }
      return Alert(at: time(element["at"]), code: element["code"]?.string ?? "", message: message)
    }
    runningCount = value["running_count"]?.int ?? running.count
  }
}

extension DaemonStatus.RateStatus {
  init?(_ value: JSONValue) {
    guard let limit = value["limit"]?.int, let per = value["per"]?.string.flatMap(DurationText.parse) else {
      return nil
    }
    rate = Rate(limit: limit, per: per)
    for member in value["full"]?.members ?? [] {
      guard let key = UInt64(member.key, radix: 16), let until = member.value.string.flatMap(WallTime.init(rfc3339:))
      else { continue }
      full[key] = until
    }
  }
}

extension DaemonStatus {
  /// Reads `status.json`; nil when it is not there, not readable, or says nothing: it is a convenience, never needed.
  package static func read(_ spool: Spool) -> DaemonStatus? {
    guard let bytes = spool.readRoot("status.json", limit: 16 << 20) else { return nil }
    return DaemonStatus(bytes)
  }
}
