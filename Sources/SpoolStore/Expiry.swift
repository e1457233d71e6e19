/// What retention takes away, found by reading the audit log from its oldest end on: each end of a job is looked at once
/// when its age is reached, and then never again, whatever lies in `done/` and `dead/`.
///
/// A line alone purges nothing. The file must be where the line left it, and not have been written since: a job that was
/// requeued and ended again is kept from its last end on, and a file that somebody touched from then on.
package import JobModel

/// A job to be purged, and why.
package struct ExpiredJob: Sendable, Equatable {
  package var id: String
  package var state: JobState
  package var type: String?
  package var reason: String
  /// When it ended, as far as that is known.
  package var endedAt: WallTime?

  package init(id: String, state: JobState, type: String?, reason: String, endedAt: WallTime? = nil) {
    self.id = id
    self.state = state
    self.type = type
    self.reason = reason
    self.endedAt = endedAt
  }
}

/// All ends that reach one age.
package struct AgeSweep: Sendable {
  package let age: Duration
  package private(set) var cursor: LogCursor

  package init(age: Duration, from cursor: LogCursor = LogCursor()) {
    self.age = age
    self.cursor = cursor
  }

  package struct Found: Sendable {
    package var jobs: [ExpiredJob] = []
    /// Jobs that stay, but whose log is old enough to go.
    package var logs: [String] = []
    /// There may be more just now.
    package var goesOn = false
  }

  /// Reads on, until `limit` ends have to go or one is too young. Nothing is removed here: who does that and fails goes
  /// on with the sweep as it was before.
  package mutating func next(
    _ rules: RetentionRules, in spool: Spool, now: WallTime, limit: Int
  ) throws(SpoolError) -> Found {
    let latest = WallTime(microseconds: now.microseconds - age.inMicroseconds)
    var ends: [(id: String, state: JobState, type: String?)] = []
    var logs: [String] = []
    let stop = try cursor.slice(in: spool) { [age] bytes in
      guard ends.count < limit, logs.count < limit else { return false }
      guard let head = AuditLineHead(bytes), let state = head.event.endState, let id = head.job else { return true }
      guard let line = AuditLine(bytes) else { return true }
      guard line.time <= latest else { return false }
      if rules.age(of: line.type, in: state) == age {
        ends.append((id, state, line.type))
      } else if rules.logAge(of: line.type) == age {
        logs.append(id)
      }
      return true
    }
    var found = Found()
    found.logs = logs
    found.goesOn = stop == .more || (stop == .refused && (ends.count >= limit || logs.count >= limit))
    for end in ends where try spool.rests(end.id, in: end.state, writtenBy: latest) {
      let kept = DurationText.format(age)
      found.jobs.append(
        ExpiredJob(
          id: end.id, state: end.state, type: end.type,
          reason: "retention: \(end.state.rawValue) jobs are kept for \(kept)", endedAt: latest))
    }
    return found
  }
}

extension Spool {
  /// The job's file lies in this folder and was not written after `time`.
  func rests(_ id: String, in state: JobState, writtenBy time: WallTime) throws(SpoolError) -> Bool {
    do throws(Errno) {
      let status = try syscalls.status(descriptor(state), JobID.fileName(id))
      return status.kind == .regular && status.modified <= time.microseconds
    } catch {
      if error == .noEntry { return false }
      throw SpoolError(doing: "looking at the job", path: path(of: id, in: state), error)
    }
  }
}
