/// Which notices an event raises, and for whom: pure, so that its table can be tested. Raising them durably is the
/// engine's work, delivering them that of the job each becomes.
package enum NoticeRules {
  /// What the end of an attempt, or of a job that was only judged, is an occasion for.
  ///
  /// - Parameter record: as it is after the transition.
  package static func occasions(_ transition: Transition, _ record: JobRecord) -> [Notice.Occasion] {
    let hasStalled = record.attempts.last?.outcome == .stalled
    switch transition {
    case .finish:
      let hasFailed = record.attempts.dropLast().contains { $0.outcome != .done }
      return hasFailed ? [.done, .recovered] : [.done]
    case .bury: return hasStalled ? [.stalled, .dead] : [.dead]
    case .reject, .expire, .cancel, .refuseTwin: return [.dead]
    case .retry: return hasStalled ? [.stalled, .retried] : [.retried]
    default: return []
    }
  }

  /// What an alert is an occasion for, by its code, and the type it is about.
  package static func occasion(ofAlert code: String) -> (occasion: Notice.Occasion, type: String?)? {
    switch code {
    case "disk", "no_space": return (.disk, nil)
    default: break
    }
    if code.hasPrefix("schedule") { return (.scheduleMissed, nil) }
    guard code.hasPrefix("handler:") else { return nil }
    let type = String(code.dropFirst(8))
    // Notices raise no notices, and nobody could be told that nobody can be told.
    return JobType.isReserved(type) ? nil : (.handlerBroken, type)
  }

  /// The entries that are told.
  ///
  /// A job's own `notify` takes the place of `on` for that job: it is told about on the occasions it names and no
  /// others, by every entry that tells of jobs at all. So an entry for full disks never hears of jobs, and one with an
  /// empty `on` hears only of those that ask.
  ///
  /// - Parameters:
  ///   - type: the type it is about; nil: none, which no `types` excludes.
  ///   - asked: the job's `notify`; nil when it has none.
  package static func entries(
    for occasion: Notice.Occasion, type: String?, asked: [String]? = nil, among entries: [NoticeSettings]
  ) -> [NoticeSettings] {
    // Notices raise no notices.
    if let type, JobType.isReserved(type) { return [] }
    return entries.filter { entry in
      if let type, !entry.types.isEmpty, !entry.types.contains(type) { return false }
      guard let asked, occasion.isAboutJobs else { return entry.on.contains(occasion.rawValue) }
      let tellsOfJobs =
        entry.on.isEmpty || entry.on.contains { Notice.Occasion(rawValue: $0)?.isAboutJobs == true }
      return tellsOfJobs && asked.contains(occasion.rawValue)
    }
  }

  /// Whether a storm of them may be cut short. Who asked to hear of a job, and who counts ends, gets each.
  package static func mayBeHeldBack(_ notice: Notice, asked: [String]?) -> Bool {
    asked == nil && notice.occasion != .done
  }

  /// The one that stands for those that were held back.
  package static func digest(
    _ counts: [Notice.Occasion: Int], since: WallTime, now: WallTime, atMost: Rate
  ) -> Notice {
    let parts = Notice.Occasion.allCases.compactMap { occasion in
      counts[occasion].map { "\($0) \(occasion.rawValue)" }
    }
    let count = counts.values.reduce(0, +)
    let main = Notice.Occasion.allCases.max { counts[$0, default: 0] < counts[$1, default: 0] } ?? .dead
    return Notice(
      main, at: now,
      message: "\(count) more \(count == 1 ? "notice was" : "notices were") held back since \(since.rfc3339) "
        + "(\(parts.joined(separator: ", "))): at most \(atMost.words) are sent here", code: Notice.heldBack)
  }

  /// When a job will have missed its `sla`: counted from its submission, or from the time its producer set for it; of one
  /// that was requeued, from then. nil: never, because nobody knows when that was (a file of an older version).
  ///
  /// - Parameter firstSeen: when it came into `new/`.
  package static func deadline(_ job: Job, firstSeen: WallTime, sla: Duration) -> WallTime? {
    let submitted = job.record?.submittedAt ?? firstSeen
    if let record = job.record {
      if record.outcome != nil { return firstSeen + sla }
      if let requeued = record.requeuedAt { return requeued + sla }
      if record.attempts.count > record.attempt { return nil }
    }
    switch job.start {
    case .now: return submitted + sla
    case .at(let time): return max(time, submitted) + sla
    case .after(let delay): return submitted + delay + sla
    }
  }

  /// One sentence for people.
  package static func message(_ occasion: Notice.Occasion, _ job: Notice.Subject, sla: Duration? = nil) -> String {
    let name = job.type.isEmpty ? job.id : "\(job.type) \(job.id)"
    let attempts = job.attempt == 1 ? "1 attempt" : "\(job.attempt) attempts"
    let error = job.error.map { ": \(Notice.cut($0.message))" } ?? ""
    switch occasion {
    case .done: return "\(name) is done"
    case .recovered: return "\(name) is done after attempts that failed"
    case .dead:
      switch job.outcome {
      case .failed where job.attempt > 0: return "\(name) is dead after \(attempts)\(error)"
      case .failed, nil: return "\(name) is dead\(error)"
      case let outcome?: return "\(name) is dead (\(outcome.rawValue))\(error)"
      }
    case .retried: return "\(name) failed and is tried again\(error)"
    case .stalled: return "\(name) stalled\(error)"
    case .sla:
      let limit = sla.map { " within \(DurationText.format($0))" } ?? " in time"
      return "\(name) was not finished\(limit)"
    case .scheduleMissed, .handlerBroken, .disk: return name
    }
  }
}
