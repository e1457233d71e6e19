/// What the audit log knows of schedules: how far each has been dealt with, and its history. Every line about a schedule
/// has its name in `schedule`; a line that answers for a tick has the tick's time in `tick`. The daemon repeats the sum of
/// it when it starts and stops, so that nobody has to read further back than to the last of these lines.
package import JobModel

/// How far a schedule has been dealt with.
package struct ScheduleTrace: Sendable, Equatable {
  /// Every tick up to here is answered for.
  package var mark: WallTime
  /// Expression and zone by which that was so; with another one, the schedule begins anew.
  package var cron: String
  /// Whether it was enabled.
  package var isOn: Bool
  /// The job it made last.
  package var job: String?
  /// The tick of that job, or when it was asked for.
  package var last: WallTime?

  package init(mark: WallTime, cron: String, isOn: Bool, job: String? = nil, last: WallTime? = nil) {
    self.mark = mark
    self.cron = cron
    self.isOn = isOn
    self.job = job
    self.last = last
  }

  /// The text that stands for an expression in its zone.
  package static func cron(_ settings: ScheduleSettings) -> String {
    settings.timezone == "UTC" ? settings.cron.description : "\(settings.cron.description) \(settings.timezone)"
  }

  /// The members of the trace, into an object that has been begun.
  package func write(to writer: inout JSONWriter) {
    writer.key("mark")
    writer.time(mark)
    writer.key("cron")
    writer.string(cron)
    writer.key("enabled")
    writer.bool(isOn)
    if let job {
      writer.key("job")
      writer.string(job)
    }
    if let last {
      writer.key("last")
      writer.time(last)
    }
  }

  fileprivate init?(_ value: JSONValue) {
    guard let mark = value["mark"]?.string.flatMap({ WallTime(rfc3339: $0) }), let cron = value["cron"]?.string else {
      return nil
    }
    self.init(
      mark: mark, cron: cron, isOn: value["enabled"]?.bool ?? true, job: value["job"]?.string,
      last: value["last"]?.string.flatMap { WallTime(rfc3339: $0) })
  }
}

package enum ScheduleTrail {
  /// What is known of each of `names`; those the log does not know are missing in the answer.
  package static func traces(of names: Set<String>, in spool: Spool) throws(SpoolError) -> [String: ScheduleTrace] {
    guard !names.isEmpty else { return [:] }
    var partial: [String: Partial] = [:]
    var open = names
    for file in try AuditFile.list(spool).reversed() where !open.isEmpty {
      let map = try MappedFile(file.name, in: spool)
      map.linesBackwards { line in
        guard let head = AuditLineHead(line) else { return true }
        if head.event == .daemonStarted || head.event == .daemonStopped {
          guard let value = try? JSONReader.parse(Array(line)), let sums = value["schedules"] else { return true }
          for name in open {
            guard let sum = sums[name].flatMap({ ScheduleTrace($0) }) else { continue }
            partial[name, default: Partial()].add(sum)
          }
          open = []
          return false
        }
        guard head.event.isAboutSchedule else { return true }
        if let name = head.job.flatMap(FiringID.schedule), !open.contains(name) { return true }
        guard let value = try? JSONReader.parse(Array(line)), let name = value["schedule"]?.string, open.contains(name)
        else { return true }
        partial[name, default: Partial()].add(head.event, value)
        if partial[name]?.isComplete == true { open.remove(name) }
        return !open.isEmpty
      }
    }
    return partial.compactMapValues(\.trace)
  }

  /// The lines about one schedule, newest first; `body` returns false to stop.
  package static func history(
    of name: String, in spool: Spool, _ body: (AuditEvent, JSONValue) -> Bool
  ) throws(SpoolError) {
    var isGoing = true
    for file in try AuditFile.list(spool).reversed() where isGoing {
      let map = try MappedFile(file.name, in: spool)
      map.linesBackwards { line in
        guard let head = AuditLineHead(line), head.event.isAboutSchedule,
          head.job.flatMap(FiringID.schedule).map({ $0 == name }) ?? true,
          let value = try? JSONReader.parse(Array(line)), value["schedule"]?.string == name
        else { return true }
        isGoing = body(head.event, value)
        return isGoing
      }
    }
  }

  /// What was found so far, newest first: the first word on each question counts.
  private struct Partial {
    var mark: WallTime?
    var cron: String?
    var isOn: Bool?
    var job: String?
    var last: WallTime?

    mutating func add(_ event: AuditEvent, _ value: JSONValue) {
      let time = value["ts"]?.string.flatMap { WallTime(rfc3339: $0) }
      let tick = value["tick"]?.string.flatMap { WallTime(rfc3339: $0) }
      let isSwitch = event == .scheduleEnabled || event == .scheduleDisabled
      mark = mark ?? tick ?? (isSwitch ? time : nil)
      cron = cron ?? value["cron"]?.string
      isOn = isOn ?? (isSwitch ? event == .scheduleEnabled : tick == nil ? nil : true)
      if event == .scheduleFired, job == nil {
        job = value["job"]?.string
        last = tick ?? time
      }
    }

    mutating func add(_ sum: ScheduleTrace) {
      mark = mark ?? sum.mark
      cron = cron ?? sum.cron
      isOn = isOn ?? sum.isOn
      guard job == nil else { return }
      job = sum.job
      last = sum.last
    }

    /// `job` is only a convenience; without the daemon's sums it is not worth reading the whole log for.
    var isComplete: Bool { mark != nil && cron != nil && isOn != nil && job != nil }

    var trace: ScheduleTrace? {
      guard let mark, let cron else { return nil }
      return ScheduleTrace(mark: mark, cron: cron, isOn: isOn ?? true, job: job, last: last)
    }
  }
}

extension AuditEvent {
  /// The line is about a schedule, even where `job` names the firing.
  package var isAboutSchedule: Bool {
    switch self {
    case .scheduleFired, .scheduleMissed, .scheduleSkipped, .scheduleEnabled, .scheduleDisabled: true
    default: false
    }
  }
}
