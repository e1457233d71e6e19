/// A plain model of the index: random lives of jobs, written as the daemon would write them, and the answers found by
/// looking at every job.
import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport

struct HistoryModel {
  struct Known {
    var row: JobRow
    var submittedBy: String
    var run: Int64 = 0
  }

  let test: TestSpool
  let spool: Spool
  let now: WallTime
  private(set) var jobs: [String: Known] = [:]

  private static let types = ["mail", "thumb", "import"]
  private static let users = ["anna", "www-data"]

  /// - Parameter days: over how many the jobs are spread, up to `now`.
  init(seed: UInt64, jobs count: Int, days: Int64) throws {
    test = try TestSpool()
    spool = try test.open()
    now = JobFactory.now
    var random = SeededNumbers(seed: seed)
    var lines: [(time: Int64, write: (AuditLog) throws -> Void)] = []
    let begin = now.microseconds - days * 86_400_000_000
    // Also those of jobs that were purged: two lives of one id would run through each other.
    var used = Set<String>()
    for number in 0..<count {
      let id =
        random.chance(3) ? "nightly.2026111\(random.below(10))T03000\(number % 10)Z" : "job-\(random.below(1 << 40))"
      guard used.insert(id).inserted else { continue }
      let came = begin + Int64(random.below(Int(now.microseconds - begin) / 1000)) * 1000
      live(id, came, &random, &lines)
    }
    lines.sort { $0.time < $1.time }
    let log = try AuditLog(spool, node: "node-a", now: WallTime(microseconds: begin))
    for line in lines { try line.write(log) }
    try log.commit()
    for known in jobs.values { try place(known) }
  }

  private mutating func live(
    _ id: String, _ came: Int64, _ random: inout SeededNumbers,
    _ lines: inout [(time: Int64, write: (AuditLog) throws -> Void)]
  ) {
    let type = HistoryModel.types[random.below(3)]
    let user = HistoryModel.users[random.below(2)]
    var row = JobRow(
      id: id, state: .new, phase: .ready, submittedAt: WallTime(microseconds: came),
      updatedAt: WallTime(microseconds: came))
    row.type = type
    row.priority = UInt8(random.below(10))
    row.tags = ["a", "b", "größe"].filter { _ in random.chance(2) }
    row.batch = random.chance(4) ? "batch-\(random.below(3))" : nil
    row.parent = random.chance(5) ? "job-\(random.below(5))" : nil
    // As producers write it, with blanks or without.
    let blank = random.chance(3) ? " " : ""
    row.meta =
      random.chance(2) ? Array("{\"user\":\(blank)\"u\(random.below(9))\",\"n\":\(random.below(9))}".utf8) : nil
    row.submittedBy = .init(uid: 1000, user: user)
    row.due = row.submittedAt
    var known = Known(row: row, submittedBy: user)
    let described = row
    lines.append(
      (
        came,
        { log in
          try log.append(.submitted, at: described.submittedAt, job: id, type: type, to: .new, by: user) { writer in
            writer.key("uid")
            writer.int(1000)
            writer.key("submitted_at")
            writer.time(described.submittedAt)
            if described.priority != 5 {
              writer.key("priority")
              writer.int(described.priority)
            }
            if let batch = described.batch {
              writer.key("batch")
              writer.string(batch)
            }
            if let parent = described.parent {
              writer.key("parent")
              writer.string(parent)
            }
            if !described.tags.isEmpty {
              writer.key("tags")
              writer.value(.array(described.tags.map { .string($0) }))
            }
            if let meta = described.meta {
              writer.key("meta")
              writer.raw(meta)
            }
          }
        }
      ))
    var at = came
    for attempt in 1...(1 + random.below(3)) {
      at += Int64(1 + random.below(50_000_000)) * 1000
      guard random.below(12) > 0, at < now.microseconds else { break }
      let (start, end) = (at, at + Int64(random.below(100_000)) * 1000)
      lines.append((start, { try $0.claimed(id, type, attempt, start) }))
      (known.row.state, known.row.phase, known.row.attempt) = (.cur, .cur, attempt)
      (known.row.updatedAt, known.row.startedAt, known.row.due) = (
        WallTime(microseconds: start), WallTime(microseconds: start), nil
      )
      known.row.error = nil
      guard random.below(15) > 0, end < now.microseconds else { break }
      at = end
      let fate = attempt == 3 ? 2 : random.below(4)
      let error = JobError(code: "exit", message: "exit code \(random.below(4)): order \(random.below(1000)) \"FEHLT\"")
      let event: AuditEvent = fate == 0 ? .retried : fate == 1 ? .buried : random.chance(9) ? .cancelled : .finished
      known.end(event, end, start, error)
      let record = known.record
      lines.append((end, { try $0.ended(event, id, type, attempt, end, run: end - start, record) }))
      if event == .retried { continue }
      if random.chance(6), end + 1000 < now.microseconds {
        lines.append(
          (
            end + 1000,
            {
              try $0.append(
                .requeued, at: WallTime(microseconds: end + 1000), job: id, type: type, from: record.state, to: .new)
            }
          ))
        known.requeue(end + 1000)
      }
      break
    }
    if known.row.state == .new, random.chance(4), at + 2000 < now.microseconds {
      lines.append(
        (
          at + 2000,
          { try $0.append(.held, at: WallTime(microseconds: at + 2000), job: id, type: type, from: .new, to: .hold) }
        ))
      (known.row.state, known.row.phase, known.row.due) = (.hold, .hold, nil)
      known.row.updatedAt = WallTime(microseconds: at + 2000)
    }
    if known.row.state == .done, random.chance(8), at + 3000 < now.microseconds {
      lines.append(
        (at + 3000, { try $0.append(.purged, at: WallTime(microseconds: at + 3000), job: id, type: type, from: .done) })
      )
      return
    }
    if known.row.state == .new, let due = known.row.due, due > now {
      known.row.phase = known.row.attempt > 0 ? .retry : .scheduled
    }
    jobs[id] = known
  }

  private func place(_ known: Known) throws {
    let row = known.row
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("type")
    writer.string(row.type ?? "")
    writer.endObject()
    try test.drop(row.id, bytes: writer.bytes, into: row.state)
  }
}

extension SeededNumbers {
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(limit, 1))) }
  mutating func chance(_ one: Int) -> Bool { below(one) == 0 }
}

extension AuditLog {
  fileprivate func claimed(_ id: String, _ type: String, _ attempt: Int, _ time: Int64) throws {
    try append(.claimed, at: WallTime(microseconds: time), job: id, type: type, from: .new, to: .cur, attempt: attempt)
    {
      $0.key("bytes")
      $0.int(30)
      $0.key("wait_us")
      $0.int(1500)
    }
  }

  fileprivate func ended(
    _ event: AuditEvent, _ id: String, _ type: String, _ attempt: Int, _ time: Int64, run: Int64, _ record: JobRecord
  ) throws {
    try append(
      event, at: WallTime(microseconds: time), job: id, type: type, from: .cur, to: record.state, attempt: attempt
    ) {
      $0.key("run_us")
      $0.int(run)
      $0.key("record")
      record.write(to: &$0)
    }
  }
}

extension HistoryModel.Known {
  fileprivate mutating func end(_ event: AuditEvent, _ end: Int64, _ start: Int64, _ error: JobError) {
    row.updatedAt = WallTime(microseconds: end)
    row.error = event == .finished ? nil : error
    run = (end - start) / 1000
    switch event {
    case .retried:
      (row.state, row.phase, row.startedAt) = (.new, .ready, nil)
      row.due = WallTime(microseconds: end + 15_000_000)
    case .finished: (row.state, row.phase, row.outcome) = (.done, .done, .done)
    case .cancelled: (row.state, row.phase, row.outcome) = (.dead, .dead, .cancelled)
    default: (row.state, row.phase, row.outcome) = (.dead, .dead, .failed)
    }
    if event != .retried { row.finishedAt = row.updatedAt }
  }

  fileprivate mutating func requeue(_ time: Int64) {
    row.updatedAt = WallTime(microseconds: time)
    (row.state, row.phase, row.attempt, row.error, row.outcome) = (.new, .ready, 0, nil, nil)
    (row.due, row.finishedAt, row.startedAt) = (row.updatedAt, nil, nil)
  }

  fileprivate var record: JobRecord {
    var record = JobRecord(
      id: row.id, state: row.state, submittedAt: row.submittedAt, updatedAt: row.updatedAt, node: "node-a")
    record.outcome = row.outcome
    record.submittedBy = row.submittedBy
    record.attempt = row.attempt
    record.error = row.error
    // What a result says is nobody's error.
    record.result = Array("{\"error\":{\"code\":\"no\",\"message\":\"\\\"}{\"}}".utf8)
    record.runAt = row.state == .new ? row.due : nil
    record.finishedAt = row.finishedAt
    return record
  }
}
