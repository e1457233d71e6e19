/// A row of the index as everybody else sees it.
package import JobModel

/// What runs, by id.
struct Progress {
  private var running: [String: DaemonStatus.Running] = [:]

  init(_ status: DaemonStatus?) {
    for job in status?.running ?? [] { running[job.id] = job }
  }

  subscript(id: String) -> DaemonStatus.Running? { running[id] }
}

/// Whether waiting jobs wait for others. One answer's worth: batches are looked through once, when the first job asks.
final class Blocked {
  private let index: HistoryIndex
  private var openBatches: [String: Bool]?

  init(_ index: HistoryIndex) { self.index = index }

  func isBlocked(_ row: Int) -> Bool {
    guard index.rows[row].pointee.has(HistoryRow.Flag.hasParents), let wait = index.parents[UInt32(row)] else {
      return false
    }
    return wait.after.contains { parent in
      switch parent {
      case .job(let id):
        guard let parent = index.find(id) else { return true }
        let standing = index.rows[parent].pointee.standing
        return standing != .done && !(standing.hasEnded && wait.evenIfDead)
      case .batch(let name): return isOpen(name)
      }
    }
  }

  /// A batch that nobody has seen yet is waited for too.
  private func isOpen(_ name: String) -> Bool {
    if openBatches == nil {
      var found: [String: Bool] = [:]
      for chunk in index.rows.summaries.indices {
        for row in index.rows.chunk(chunk) where row.batchLength > 0 && row.standing != .gone {
          let batch = index.rows.arena.string(row.kin, Int(row.batchLength))
          if !row.standing.hasEnded || found[batch] == nil { found[batch] = !row.standing.hasEnded }
        }
      }
      openBatches = found
    }
    return openBatches?[name] ?? true
  }
}

extension HistoryIndex {
  func phase(_ row: Int, _ blocked: Blocked, now: Int64) -> JobPhase {
    let place = rows[row].pointee
    guard place.standing == .new else { return JobPhase(rawValue: (place.standing.state ?? .new).rawValue) ?? .ready }
    if place.attempt == 0, blocked.isBlocked(row) { return .blocked }
    return place.due <= now ? .ready : place.attempt > 0 ? .retry : .scheduled
  }

  func jobRow(_ row: Int, _ blocked: Blocked, _ progress: Progress, now: Int64) -> JobRow {
    let place = rows[row].pointee
    let state = place.standing.state ?? .new
    var result = JobRow(
      id: rows.arena.string(place.id, Int(place.idLength)), state: state, phase: phase(row, blocked, now: now),
      submittedAt: WallTime(microseconds: place.submitted), updatedAt: WallTime(microseconds: place.updated))
    result.outcome = place.standing.outcome
    result.type = place.type == 0 ? nil : types.string(UInt32(place.type))
    result.priority = place.priority
    result.attempt = Int(place.attempt)
    result.submittedBy = submitter(place.submitter)
    if place.tags != 0 {
      result.tags = (try? JSONReader.parse(Array(tags.bytes(place.tags))))?.array?.compactMap(\.string) ?? []
    }
    if place.metaLength > 0 { result.meta = Array(rows.arena.bytes(place.meta, Int(place.metaLength))) }
    if place.batchLength > 0 { result.batch = rows.arena.string(place.kin, Int(place.batchLength)) }
    if place.parentLength > 0 {
      result.parent = String(
        decoding: rows.arena.bytes(place.kin, Int(place.batchLength) + Int(place.parentLength)).dropFirst(
          Int(place.batchLength)),
        as: UTF8.self)
    }
    if place.error != 0 { result.error = error(place.error) }
    switch place.standing {
    case .new:
      result.due = WallTime(microseconds: place.due)
      result.after = parents[UInt32(row)]?.after ?? []
    case .cur:
      result.startedAt = result.updatedAt
      if place.has(HistoryRow.Flag.waited) { result.wait = .milliseconds(Int64(place.wait)) }
      if let running = progress[result.id] {
        result.attempt = running.attempt
        result.startedAt = running.startedAt ?? result.startedAt
        result.progress = running.progress.isEmpty ? nil : running.progress
      }
    case .hold, .gone: break
    default:
      result.finishedAt = result.updatedAt
      if place.attempt > 0 {
        result.run = .milliseconds(Int64(place.run))
        result.startedAt = WallTime(microseconds: place.updated - Int64(place.run) * 1000)
      }
      if place.has(HistoryRow.Flag.waited) { result.wait = .milliseconds(Int64(place.wait)) }
    }
    return result
  }

  /// How long the job waited for its last attempt though it could have run, which only the log says.
  package func wait(of id: String) -> Duration? {
    guard let row = find(id), rows[row].pointee.has(HistoryRow.Flag.waited) else { return nil }
    return .milliseconds(Int64(rows[row].pointee.wait))
  }

  private func submitter(_ number: UInt32) -> JobRecord.Submitter? {
    guard number != 0 else { return nil }
    let parts = submitters.string(number).split(separator: "\0", omittingEmptySubsequences: false)
    guard parts.count == 3 else { return nil }
    return JobRecord.Submitter(
      uid: UInt32(parts[0]) ?? 0, user: String(parts[1]), subject: parts[2].isEmpty ? nil : String(parts[2]))
  }

  func error(_ number: UInt32) -> JobError? {
    let parts = errors.string(number).split(separator: "\0", maxSplits: 2, omittingEmptySubsequences: false)
    return parts.count == 3 ? JobError(code: String(parts[1]), message: String(parts[2])) : nil
  }

  /// How many jobs there are by state and phase; by type too.
  package func jobCounts(now: WallTime) -> JobCounts {
    var result = JobCounts()
    var byType: [String: [JobPhase: Int]] = [:]
    for state in JobState.allCases { result.states[state] = 0 }
    for (slot, count) in counts.enumerated() where count > 0 {
      guard let standing = Standing(rawValue: UInt8(slot & 15)), let state = standing.state else { continue }
      result.states[state, default: 0] += count
      guard standing != .new, let phase = JobPhase(rawValue: state.rawValue) else { continue }
      byType[types.string(UInt32(slot >> 4)), default: [:]][phase, default: 0] += count
    }
    let blocked = Blocked(self)
    eachWaiting { row in
      byType[types.string(UInt32(rows[row].pointee.type)), default: [:]][
        phase(row, blocked, now: now.microseconds), default: 0] += 1
    }
    result.types = byType
    return result
  }

  /// Dead jobs by how they ended.
  package var outcomes: [JobOutcome: Int] {
    var outcomes: [JobOutcome: Int] = [:]
    for (slot, count) in counts.enumerated() where count > 0 {
      if let outcome = Standing(rawValue: UInt8(slot & 15))?.outcome, outcome != .done {
        outcomes[outcome, default: 0] += count
      }
    }
    return outcomes
  }

  func eachWaiting(_ body: (Int) -> Void) { each(RowFilter.waiting, body) }

  /// Every row of these standings.
  func each(_ mask: UInt16, _ body: (Int) -> Void) {
    for index in rows.summaries.indices where rows.summaries[index].holds(mask) {
      let base = index << RowTable.bits
      for (offset, row) in rows.chunk(index).enumerated() where mask & row.standing.mask != 0 { body(base + offset) }
    }
  }
}
