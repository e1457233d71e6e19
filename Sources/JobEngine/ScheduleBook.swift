/// What the engine knows of its schedules between two looks: how far each has been dealt with, which of its jobs have not
/// ended, and when to look again. What is due is `ScheduleRule`'s to say; doing it is in `Engine+Schedules.swift`.
internal import JobModel
internal import SpoolStore

struct ScheduleState {
  var settings: ScheduleSettings
  var rule: ScheduleRule
  /// Expression and zone, as the log remembers them.
  var cron: String
  /// Every tick up to here is answered for.
  var mark: WallTime
  /// The first firing after `mark`.
  var next: Firing?
  /// nil: the log has not been told yet.
  var isOn: Bool?
  /// Its jobs that wait or run.
  var open: Set<String> = []
  /// The job it made last, and for what time.
  var job: String?
  var last: WallTime?
  /// How the newest of its jobs that ended did.
  var result: String?
  /// Made-up firings wait for the end of an earlier one; looked at again then, or at this time.
  var deferredUntil: WallTime?
  /// Why a firing could not be made in time, if that is known.
  var delay: Delay?

  enum Delay: String { case down, paused, disk, late }

  init(_ settings: ScheduleSettings, mark: WallTime) {
    self.settings = settings
    self.mark = mark
    rule = ScheduleRule(settings)
    cron = ScheduleTrace.cron(settings)
    next = rule.next(after: mark)
  }

  mutating func advance(to tick: WallTime) {
    mark = tick
    next = rule.next(after: tick)
  }

  var trace: ScheduleTrace { ScheduleTrace(mark: mark, cron: cron, isOn: isOn ?? true, job: job, last: last) }

  /// When it has to be looked at; nil: never, as things are.
  var due: WallTime? {
    guard isOn == true, let next else { return nil }
    return max(next.start, deferredUntil ?? next.start)
  }
}

struct ScheduleBook {
  var states: [String: ScheduleState] = [:]
  /// Schedules whose file does not load now: remembered until it does.
  var traces: [String: ScheduleTrace] = [:]
  var isPaused = false
  /// Names with a file `ctl/disabled.NAME` that counts.
  var disabled: Set<String> = []
  /// The switches have been read, so the log may be told.
  var knowsSwitches = false
  /// After a failure nothing is tried before this (monotonic).
  var retryAt: Duration?
  private(set) var due: WallTime?
  /// A clock before this has been corrected (see `Limits.clockSetBackSeconds`).
  private(set) var earliest: WallTime?

  /// Has to be called after any change of the states.
  mutating func plan() {
    due = nil
    earliest = nil
    for state in states.values where state.isOn == true {
      if let next = state.due { due = min(due ?? next, next) }
      let back = WallTime(seconds: state.mark.wholeSeconds - Int64(Limits.clockSetBackSeconds))
      earliest = max(earliest ?? back, back)
    }
  }

  func isDue(_ now: WallTime) -> Bool {
    guard let due, !isPaused else { return false }
    return now >= due || now < (earliest ?? now)
  }

  /// The schedule a job belongs to.
  func owner(of id: String) -> String? {
    guard !states.isEmpty, let name = FiringID.schedule(of: id), states[name] != nil else { return nil }
    return name
  }

  /// For the lines that sum up what is known.
  func write(to writer: inout JSONWriter) {
    guard !states.isEmpty || !traces.isEmpty else { return }
    let all = traces.merging(states.mapValues(\.trace)) { $1 }
    writer.key("schedules")
    writer.beginObject()
    for (name, trace) in all.sorted(by: { $0.key < $1.key }) {
      writer.key(escaping: name)
      writer.beginObject()
      trace.write(to: &writer)
      writer.endObject()
    }
    writer.endObject()
  }
}
