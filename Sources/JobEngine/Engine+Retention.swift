/// The janitor for what has ended: rollups of days that are over, then jobs, logs and audit files past their time. It begins
/// with every rescan and works in slices between the loop's rounds, each a few milliseconds at most, so that claims never
/// wait for it, whatever there is to do. One line says what a whole run did.
internal import JobModel
internal import Logging
internal import SpoolStore

/// A run of the janitor, and what it remembers between runs.
struct Housekeeping {
  enum Stage: Equatable {
    case rollups
    /// The sweep of this index.
    case ages(Int)
    case counts(Int)
    case walk, files
  }

  /// nil: no run is under way.
  var stage: Stage?
  var rules: RetentionRules?
  var state: RetentionState?
  /// As it was last written.
  var written: [UInt8] = []
  /// The day up to which rollups are complete.
  var rolledBefore = ""
  var missing: [RollupFile] = []
  var counting: (file: RollupFile, reader: LogFileReader, count: RollupCount)?
  var walk: FolderWalk?
  /// When to walk next; the log tells nearly everything.
  var walksAt = Duration.zero
  var tally = Tally()

  struct Tally {
    var done = 0
    var dead = 0
    var logs = 0
    var files = 0
    var rollups = 0

    var text: String? {
      let parts = [
        (done, "purged %n finished jobs"), (dead, "purged %n dead jobs"), (logs, "removed %n job logs"),
        (files, "removed %n audit files"), (rollups, "wrote %n rollups"),
      ]
      let said = parts.filter { $0.0 > 0 }.map { $0.1.replacing("%n", with: "\($0.0)") }
      return said.isEmpty ? nil : said.joined(separator: ", ")
    }
  }
}

extension Engine {
  /// Begins a run, if none is under way.
  func keepHouse() {
    guard housekeeping.stage == nil, drain == .no else { return }
    prepareRules()
    housekeeping.stage = .rollups
    housekeeping.tally = .init()
    loop.after(.zero) { [unowned self] in keepHouseOn() }
  }

  /// A slice of the run; the next follows after what else there is to do.
  private func keepHouseOn() {
    guard let stage = housekeeping.stage, drain == .no, !isAdrift else {
      housekeeping.stage = nil
      return
    }
    do throws(SpoolError) {
      if try !work(on: stage) { housekeeping.stage = next(after: stage) }
    } catch {
      // Tried again with the next rescan, from where it was.
      housekeeping.stage = nil
      housekeeping.counting = nil
      housekeeping.walk = nil
      return troubled(error)
    }
    if housekeeping.stage == nil {
      finishRun()
    } else {
      loop.after(.milliseconds(Limits.retentionPauseMilliseconds)) { [unowned self] in keepHouseOn() }
    }
  }

  private func next(after stage: Housekeeping.Stage) -> Housekeeping.Stage? {
    let state = housekeeping.state
    switch stage {
    case .rollups: return .ages(0)
    case .ages(let index) where index + 1 < state?.ages.count ?? 0: return .ages(index + 1)
    case .ages: return .counts(0)
    case .counts(let index) where index + 1 < state?.counts.count ?? 0: return .counts(index + 1)
    case .counts: return .walk
    case .walk: return .files
    case .files: return nil
    }
  }

  /// true: there is more of it.
  private func work(on stage: Housekeeping.Stage) throws(SpoolError) -> Bool {
    switch stage {
    case .rollups: try rollUp()
    case .ages(let index): try sweepAge(index)
    case .counts(let index): try sweepCount(index)
    case .walk: try walkOn()
    case .files: try retireFile()
    }
  }

  /// New rules begin at the log's beginning: an age that was passed for one type may be another's now.
  private func prepareRules() {
    let rules = RetentionRules(global: settings.daemon.retain, handlers: settings.handlers.mapValues(\.retain))
    guard rules != housekeeping.rules else { return }
    let isFirst = housekeeping.rules == nil
    let state = RetentionState(rules, in: spool)
    housekeeping.rules = rules
    housekeeping.state = state
    housekeeping.walk = nil
    if !isFirst || state.isNew {
      housekeeping.walksAt = .zero
    } else {
      housekeeping.walksAt = EventLoop.now + .seconds(Limits.retentionWalkSeconds)
    }
  }

  private func finishRun() {
    do throws(SpoolError) {
      if let rules = housekeeping.rules, let state = housekeeping.state {
        let json = state.json(rules)
        if json != housekeeping.written {
          try state.write(json, in: spool)
          housekeeping.written = json
        }
      }
    } catch {
      troubled(error)
    }
    if let text = housekeeping.tally.text { logger.notice("retention: \(text)") }
  }

  // MARK: Jobs

  private func sweepAge(_ index: Int) throws(SpoolError) -> Bool {
    guard let rules = housekeeping.rules, let sweeps = housekeeping.state?.ages, index < sweeps.count else {
      return false
    }
    var sweep = sweeps[index]
    let found = try sweep.next(rules, in: spool, now: effects.now(), limit: Limits.purgesPerTurn)
    try purge(found.jobs)
    try removeLogs(found.logs)
    housekeeping.state?.ages[index] = sweep
    return found.goesOn
  }

  private func sweepCount(_ index: Int) throws(SpoolError) -> Bool {
    guard let rules = housekeeping.rules, let sweeps = housekeeping.state?.counts, index < sweeps.count else {
      return false
    }
    var sweep = sweeps[index]
    let found = try sweep.next(rules, in: spool, limit: Limits.purgesPerTurn)
    try purge(found.jobs)
    housekeeping.state?.counts[index] = sweep
    return found.goesOn
  }

  private func walkOn() throws(SpoolError) -> Bool {
    guard let rules = housekeeping.rules else { return false }
    if housekeeping.walk == nil {
      guard EventLoop.now >= housekeeping.walksAt else { return false }
      housekeeping.walk = try FolderWalk(spool, rules, now: effects.now())
      housekeeping.walksAt = EventLoop.now + .seconds(Limits.retentionWalkSeconds)
    }
    guard let found = try housekeeping.walk?.next(limit: Limits.purgesPerTurn) else { return false }
    try purge(found.jobs)
    try removeLogs(found.logs)
    if !found.goesOn { housekeeping.walk = nil }
    return found.goesOn
  }

  private func purge(_ jobs: [ExpiredJob]) throws(SpoolError) {
    // A dead job whose twin runs just now goes when that has ended; its log is in use.
    let jobs = jobs.filter { occupied[$0.id] == nil }
    guard !jobs.isEmpty else { return }
    try transitions.purge(jobs, at: effects.now())
    let done = jobs.count { $0.state == .done }
    housekeeping.tally.done += done
    housekeeping.tally.dead += jobs.count - done
    status.touch()
  }

  private func removeLogs(_ ids: [String]) throws(SpoolError) {
    for id in ids where occupied[id] == nil {
      if try transitions.removeLog(of: id) { housekeeping.tally.logs += 1 }
    }
  }

  // MARK: The log itself

  /// Removes the oldest audit file that is past its time; the newest of each node stays, whatever its age.
  private func retireFile() throws(SpoolError) -> Bool {
    guard let rules = housekeeping.rules else { return false }
    let now = effects.now()
    // A day's last line is a day younger than its first.
    let newest = WallTime(
      microseconds: max(0, now.microseconds - rules.auditAge.inMicroseconds - 86_400_000_000)
    ).day
    let files = try AuditFile.list(spool)
    for file in files where file.day <= newest {
      guard files.contains(where: { $0.node == file.node && $0.day > file.day }) else { continue }
      // Its numbers must be kept; rollups come first in every run.
      guard RollupFile(file).read(spool) != nil else { continue }
      try transitions.audit.retire(file, at: now)
      housekeeping.tally.files += 1
      return true
    }
    return false
  }

  // MARK: Rollups

  /// Counts a slice of a day that is over.
  private func rollUp() throws(SpoolError) -> Bool {
    if var counting = housekeeping.counting {
      let stop = try counting.reader.slice(in: spool, bytes: 1 << 16) { line in
        counting.count.take(line)
        return true
      }
      guard stop == .end else {
        housekeeping.counting = counting
        return true
      }
      try counting.file.write(counting.count.rollup, in: spool)
      housekeeping.tally.rollups += 1
      housekeeping.counting = nil
      return !housekeeping.missing.isEmpty
    }
    if let file = housekeeping.missing.popLast() {
      let name = AuditFile.name(node: file.node, day: file.day)
      housekeeping.counting = (file, LogFileReader(name), RollupCount())
      return true
    }
    // Lines of the last moments of a day may still be on their way.
    let today = (effects.now() + .seconds(-10)).day
    guard today != housekeeping.rolledBefore else { return false }
    housekeeping.missing = try RollupFile.missing(spool, before: today).reversed()
    housekeeping.rolledBefore = today
    return !housekeeping.missing.isEmpty
  }
}
