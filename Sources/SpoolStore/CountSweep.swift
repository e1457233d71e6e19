/// Retention by count, from the audit log: a window over its lines whose end is the end of the log and whose beginning
/// moves on when there are more ends in it than may be kept. What leaves the folder in another way is subtracted when its
/// line is seen (purged, requeued), or when the window's beginning reaches its end line and finds no file (`rm`, `mv`).
package import JobModel

package struct CountSweep: Sendable {
  package let bound: RetentionRules.Bound
  /// The beginning of the window.
  package private(set) var cursor: LogCursor
  private var newest: LogCursor
  /// Ends in the window whose files are thought to be there.
  package private(set) var count = 0
  /// Ends in the window that have left, and were subtracted.
  private var departed: [String: Int] = [:]
  /// Jobs purged by this window, whose lines are yet to be seen.
  private var purged: Set<String> = []

  package init(_ bound: RetentionRules.Bound, from cursor: LogCursor = LogCursor()) {
    self.bound = bound
    self.cursor = cursor
    newest = cursor
  }

  package struct Found: Sendable {
    package var jobs: [ExpiredJob] = []
    package var goesOn = false
  }

  /// Reads on, and finds at most `limit` jobs that are too many. As for `AgeSweep`, a caller who cannot remove them goes
  /// on with the window as it was.
  package mutating func next(_ rules: RetentionRules, in spool: Spool, limit: Int) throws(SpoolError) -> Found {
    if try readNewest(rules, in: spool) { return Found(goesOn: true) }
    // Entries of what has left go with the lines they stand for; a window that is never too full would keep them.
    guard count > bound.most || departed.count > 4096 else { return Found() }
    return try moveOn(rules, in: spool, limit: limit)
  }

  /// Takes in a slice at the end; true: there is more.
  private mutating func readNewest(_ rules: RetentionRules, in spool: Spool) throws(SpoolError) -> Bool {
    var cursor = newest
    var changes: [(id: String, event: AuditEvent, from: JobState?)] = []
    let stop = try cursor.slice(in: spool) { bytes in
      guard let head = AuditLineHead(bytes), let id = head.job,
        head.event.endState != nil || head.event == .purged || head.event == .requeued,
        let line = AuditLine(bytes), rules.isBounded(line.type, by: bound)
      else { return true }
      changes.append((id, head.event, head.event.endState == nil ? line.from : nil))
      return true
    }
    newest = cursor
    for change in changes {
      if let state = change.event.endState {
        if state == bound.state { count += 1 }
      } else if change.from == bound.state, purged.remove(change.id) == nil {
        count -= 1
        departed[change.id, default: 0] += 1
      }
    }
    return stop == .more
  }

  private mutating func moveOn(_ rules: RetentionRules, in spool: Spool, limit: Int) throws(SpoolError) -> Found {
    var ends: [(id: String, time: WallTime, type: String?)] = []
    var left = departed
    var remaining = count
    let stop = try cursor.slice(in: spool) { bytes in
      guard let head = AuditLineHead(bytes), head.event.endState == bound.state, let id = head.job,
        let line = AuditLine(bytes), rules.isBounded(line.type, by: bound)
      else { return true }
      if let times = left[id] {
        left[id] = times > 1 ? times - 1 : nil
        return true
      }
      guard remaining > bound.most, ends.count < limit else { return false }
      remaining -= 1
      ends.append((id, line.time, line.type))
      return true
    }
    departed = left
    count = remaining
    var found = Found()
    found.goesOn = stop == .more || count > bound.most
    for end in ends {
      // The line is written after the file, in the same moment; a later write was another end of the same id.
      guard try spool.rests(end.id, in: bound.state, writtenBy: end.time + .seconds(1)) else { continue }
      purged.insert(end.id)
      let whose = bound.type.map { " of \($0)" } ?? ""
      found.jobs.append(
        ExpiredJob(
          id: end.id, state: bound.state, type: end.type,
          reason: "retention: at most \(bound.most) \(bound.state.rawValue) jobs\(whose) are kept",
          endedAt: end.time))
    }
    return found
  }
}
