/// Lists of jobs. Names come from the folders, the rest from the files; files are opened only until the list is full, when
/// its order allows that: the default order, newest change first, is the order of the files' own times. What has ended
/// last is found at the end of the audit log, without a look at a million files that ended before.
package import JobModel
package import SpoolStore

extension SpoolReader {
  private struct Candidate {
    var id: String
    var state: JobState
    /// Microseconds of the newest change, by the file's times.
    var changed: Int64 = 0
  }

  /// The jobs that match, in the filter's order.
  package func list(_ filter: JobFilter) throws(SpoolError) -> [JobRow] {
    var candidates: [Candidate] = []
    let ended = try newestEnds(filter)
    for state in filter.states where ended == nil || (state != .done && state != .dead) {
      for id in try Scan.ids(in: state, of: spool) { candidates.append(Candidate(id: id, state: state)) }
    }
    let isByFileTime = filter.sort == .updated && filter.limit != nil
    if isByFileTime { order(&candidates, reversed: filter.reversed) }
    let parents = Parents(self)
    let listed = MovedNames(candidates.lazy.map { ($0.id, $0.state) })
    var rows: [JobRow] = []
    for candidate in candidates {
      if isByFileTime {
        if let limit = filter.limit, rows.count >= limit { break }
        if let since = filter.since, !filter.reversed, candidate.changed < since.microseconds { break }
      }
      var file = try file(candidate.id, in: candidate.state)
      if file == nil, let state = try spool.state(of: candidate.id), filter.states.contains(state),
        listed.insert(candidate.id, state)
      {
        // It moved into a folder that had been listed before.
        file = try self.file(candidate.id, in: state)
      }
      guard let file else { continue }
      let row = try row(file, parents)
      if filter.stalled, !isStalled(row) { continue }
      if filter.matches(row) { rows.append(row) }
    }
    if let ended {
      // One that ended between the two looks is shown as it is now.
      let ids = Set(ended.map(\.id))
      rows.removeAll { ids.contains($0.id) }
      rows += ended
    }
    rows.sort { filter.isBefore($0, $1, now: now) }
    if let limit = filter.limit, rows.count > limit { rows.removeLast(rows.count - limit) }
    return rows
  }

  /// What has ended and belongs on the list, when it stands at the end of the log; nil when it takes a look at all files.
  private func newestEnds(_ filter: JobFilter) throws(SpoolError) -> [JobRow]? {
    guard filter.sort == .updated, !filter.reversed, !filter.stalled, let limit = filter.limit, limit > 0,
      filter.states.contains(where: { $0 == .done || $0 == .dead })
    else { return nil }
    let parents = Parents(self)
    var rows: [JobRow] = []
    var seen = Set<String>()
    var failure: SpoolError?
    var isFull = false
    var opened = 0
    let aboutSchedules: [AuditEvent] = [.scheduleFired, .scheduleMissed, .scheduleSkipped]
    for log in try AuditFile.list(spool).reversed() where !isFull {
      let map = try MappedFile(log.name, in: spool)
      map.linesBackwards { line in
        guard let head = AuditLineHead(line), let id = head.job, !aboutSchedules.contains(head.event) else {
          return true
        }
        // Only the newest line tells where it is, and only an end that it has ended.
        guard seen.insert(id).inserted, head.event.settles, head.event != .retried else { return true }
        let state: JobState = head.event == .finished ? .done : .dead
        guard filter.states.contains(state) else { return true }
        opened += 1
        // So few match that the way through the folders is no longer.
        guard opened < 2000 + 20 * limit else { return false }
        do throws(SpoolError) {
          guard let file = try file(id, in: state) else { return true }
          let row = try row(file, parents)
          if let since = filter.since, row.updatedAt < since {
            isFull = true
          } else if filter.matches(row) {
            rows.append(row)
          }
        } catch {
          failure = error
          return false
        }
        isFull = isFull || rows.count >= limit
        return !isFull
      }
      if let failure { throw failure }
      if opened >= 2000 + 20 * limit { return nil }
    }
    // The log may not know what was there before it, or was put there by hand.
    return isFull ? rows : nil
  }

  /// Times from the files, without opening them. A finished job's file was last written when it ended, which a restored
  /// copy keeps; the others changed last when they moved.
  private func order(_ candidates: inout [Candidate], reversed: Bool) {
    for index in candidates.indices {
      let state = candidates[index].state
      guard let status = try? spool.syscalls.status(spool.descriptor(state), JobID.fileName(candidates[index].id))
      else {
        candidates[index].changed = reversed ? .min : .max
        continue
      }
      candidates[index].changed = state == .done || state == .dead ? status.modified : status.changed
    }
    candidates.sort { reversed ? $0.changed < $1.changed : $0.changed > $1.changed }
  }

  /// Running without anybody to run it, or for too long.
  func isStalled(_ row: JobRow) -> Bool {
    guard row.state == .cur else { return false }
    guard hasDaemon else { return true }
    guard let started = row.startedAt, let handler = row.type.flatMap(handler) else { return false }
    return now - started > (handler.stalledAfter ?? handler.timeout)
  }
}

/// Which names a list has seen where; made only once a job moves under it.
private final class MovedNames {
  private var all: Set<String>?
  private let make: () -> Set<String>

  init(_ names: some Sequence<(String, JobState)>) {
    make = { Set(names.map { "\($0.1.rawValue)/\($0.0)" }) }
  }

  /// false when it was there already.
  func insert(_ id: String, _ state: JobState) -> Bool {
    var names = all ?? make()
    let isNew = names.insert("\(state.rawValue)/\(id)").inserted
    all = names
    return isNew
  }
}

/// How many jobs there are.
package struct JobCounts: Sendable, Equatable {
  package var states: [JobState: Int] = [:]
  /// By type, then phase; nil when nobody looked into the files.
  package var types: [String: [JobPhase: Int]]?
  package init() {}

  package func count(_ phase: JobPhase) -> Int? {
    types.map { $0.values.reduce(0) { $0 + ($1[phase] ?? 0) } }
  }
}

extension SpoolReader {
  /// Counts by folder, from names alone.
  package func counts() throws(SpoolError) -> JobCounts {
    var counts = JobCounts()
    for state in JobState.allCases { counts.states[state] = try Scan.ids(in: state, of: spool).count }
    return counts
  }

  /// Counts by type and phase as well, of the jobs that have not ended; opens their files.
  package func countsByType() throws(SpoolError) -> JobCounts {
    var counts = try counts()
    var types: [String: [JobPhase: Int]] = [:]
    let parents = Parents(self)
    for state in [JobState.new, .cur, .hold] {
      for id in try Scan.ids(in: state, of: spool) {
        guard let file = try file(id, in: state) else { continue }
        let row = try row(file, parents)
        types[row.type ?? "", default: [:]][row.phase, default: 0] += 1
      }
    }
    counts.types = types
    return counts
  }
}
