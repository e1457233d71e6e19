/// What a start does with the jobs a dead daemon left in `cur/`, before anything is claimed. The surviving handlers have
/// been ended already. What the audit log says last about a job decides:
///
///     an end (finished, retried, buried …)   it was durable: complete the record, make the rename
///     claimed                                the run counts, as crashed: retry or bury by the usual rule
///     claimed as a twin                      judge it again
///     anything else, or nothing              it never started: back to new, uncounted
///
/// A record in the file that the log does not bear out was torn, or its end was never durable: the file is cut back to
/// what the producer wrote and the last durable record. Everything here may be cut short by another crash and repeated.
internal import Glibc
package import JobModel

package struct Recovery {
  package let transitions: Transitions
  package let maxJobBytes: Int
  package let now: WallTime
  /// The retry rule of a type; nil when its handler is unknown or does not load.
  package let policy: (String) -> RetryPolicy?
  /// A number in 0..<1.
  package let random: () -> Double

  package init(
    transitions: Transitions, maxJobBytes: Int, now: WallTime, policy: @escaping (String) -> RetryPolicy?,
    random: @escaping () -> Double
  ) {
    self.transitions = transitions
    self.maxJobBytes = maxJobBytes
    self.now = now
    self.policy = policy
    self.random = random
  }

  /// What was done, for the log line.
  package struct Report: Sendable, Equatable {
    package var completed = 0
    package var crashed = 0
    package var returned = 0
    package var twins = 0
    package var repaired = 0
    package init() {}
    package var isEmpty: Bool { self == Report() }
  }

  package func run() throws(SpoolError) -> Report {
    var report = Report()
    var settlements: [Settlement] = []
    let ids = try Scan.ids(in: .cur, of: transitions.spool)
    let traces = try AuditReader.traces(of: Set(ids), in: transitions.spool)
    for id in ids.sorted() {
      let trace = traces[id]
      if let claimed = trace?.claim {
        if claimed["twin_of"]?.string != nil {
          try recoverTwin(id, claimed, &settlements, &report)
        } else if let trace {
          try recoverCrashed(id, claimed, trace, &settlements, &report)
        }
      } else if let trace, trace.last.settles {
        try complete(id, trace, &report)
      } else {
        try giveBack(id, &report)
      }
    }
    try settle(settlements)
    return report
  }

  // MARK: After a power cut

  /// Ends that are durable in the log, and renamed, may still lack their record in the file when the machine itself went
  /// down: only the log is synced. Everything that ended shortly before the last line is compared with it. The kernel
  /// writes dirty pages back within 35 s by default (dirty_expire_centisecs, dirty_writeback_centisecs).
  ///
  /// Returns how many files were completed.
  package func completeTornEnds(window: Duration = .seconds(120)) throws(SpoolError) -> Int {
    var newest: [String: AuditEvent] = [:]
    var lines: [(id: String, line: JSONValue)] = []
    var oldest: WallTime?
    for file in try AuditFile.list(transitions.spool).reversed() {
      var isOver = false
      try MappedFile(file.name, in: transitions.spool).linesBackwards { bytes in
        guard let head = AuditLineHead(bytes) else { return true }
        if let id = head.job, newest[id] == nil {
          newest[id] = head.event
          if head.event.settles, let line = try? JSONReader.parse(Array(bytes), rawKeys: ["record"]) {
            lines.append((id, line))
          }
        }
        guard bytes.count > 31,
          let time = WallTime(rfc3339: String(decoding: bytes[7..<31], as: UTF8.self))
        else { return true }
        if oldest == nil { oldest = WallTime(microseconds: time.microseconds - window.inMicroseconds) }
        isOver = oldest.map { time < $0 } ?? false
        return !isOver
      }
      if isOver { break }
    }
    var completed = 0
    for (id, line) in lines where try completeTornEnd(id, line) { completed += 1 }
    return completed
  }

  private func completeTornEnd(_ id: String, _ line: JSONValue) throws(SpoolError) -> Bool {
    guard let state = line["to"]?.string.flatMap(JobState.init(rawValue:)), let head = line["head"]?.int,
      case .raw(let record)? = line["record"],
      let bytes = try transitions.spool.read(id, in: state, limit: limit + (64 << 20))
    else { return false }
    if let job = try? JobScanner.scan(bytes, id: nil), job.recordBytes == record { return false }
    return try transitions.restore(id, in: state, head: head, record: record) == nil
  }

  // MARK: Durable ends

  /// Only this part of a start, for those of `ids` whose end is durable and lies in `cur/` still. Returns them.
  package func completeEnds(of ids: [String]) throws(SpoolError) -> [String] {
    var report = Report()
    var completed: [String] = []
    let traces = try AuditReader.traces(of: Set(ids), in: transitions.spool)
    for id in ids.sorted() {
      guard let trace = traces[id], trace.claim == nil, trace.last.settles else { continue }
      try complete(id, trace, &report)
      completed.append(id)
    }
    return completed
  }

  private func complete(_ id: String, _ trace: AuditTrace, _ report: inout Report) throws(SpoolError) {
    guard let settle = trace.settle, let claim = try read(id) else { return }
    report.completed += 1
    let discarded = settle["discarded"]?.bool == true
    var job: Job?
    if case .success(let scanned) = claim.content { job = scanned }
    // Word for word what the log has: only the rename is missing.
    if let text = job?.recordBytes, trace.bearsOut(text), let record = job?.record {
      return try publish(Settlement(claim, transition(trace.last, record, discarded), record))
    }
    guard !discarded, let json = trace.record, let record = Recovery.record(json) else {
      if discarded {
        let record = JobRecord(id: id, state: .dead, submittedAt: now, updatedAt: now, node: transitions.node)
        return try publish(Settlement(claim, .discardTwin, record))
      }
      // The record was too large for the log and is not whole in the file, which was synced before its line: damage.
      throw SpoolError(
        .system, "the record of \(id) is damaged although it was synced; its line is \(settle["seq"]?.int ?? 0) in the "
          + "audit log. 'jobspool fsck' tells more", path: transitions.spool.path(of: id, in: .cur))
    }
    report.repaired += 1
    if let head = settle["head"]?.int, try transitions.restore(id, head: head, record: json) == nil {
      guard let whole = try read(id) else { return }
      return try publish(Settlement(whole, transition(trace.last, record, false), record))
    }
    // Refused by the scanner, then and now: it goes to dead/ whole, and the record stands for it.
    let settlement = Settlement(claim, transition(trace.last, record, false), record)
    try transitions.write(settlement)
    try publish(settlement)
  }

  private func transition(_ event: AuditEvent, _ record: JobRecord, _ discarded: Bool) -> Transition {
    if discarded { return .discardTwin }
    return Transition.allCases.first { $0.event == event && $0.from == [.cur] } ?? .bury
  }

  // MARK: Runs that were cut off

  private func recoverCrashed(
    _ id: String, _ claimed: JSONValue, _ trace: AuditTrace, _ settlements: inout [Settlement], _ report: inout Report
  ) throws(SpoolError) {
    guard var claim = try read(id) else { return }
    report.crashed += 1
    var base: JobRecord?
    if case .success(let job) = claim.content, let text = job.recordBytes, trace.settle != nil, trace.bearsOut(text) {
      base = job.record
    } else {
      let isUntouched = if case .success(let job) = claim.content { job.record == nil } else { false }
      if let head = claimed["head"]?.int, !isUntouched || trace.record != nil {
        if try transitions.restore(id, head: head, record: trace.record) == nil {
          report.repaired += 1
          guard let whole = try read(id) else { return }
          claim = whole
        }
        base = trace.record.flatMap(Recovery.record)
      }
    }
    let started = claimed["ts"]?.string.flatMap { WallTime(rfc3339: $0) } ?? now
    let attempt = claimed["attempt"]?.int ?? 1
    var record =
      base
      ?? JobRecord(id: id, state: .new, submittedAt: claim.firstSeen, updatedAt: now, node: transitions.node)
    record.startOverIfEnded()
    record.sha256 = record.sha256 ?? claim.sha256
    let crashes = record.attempts.suffix(record.attempt).count { $0.outcome == .crashed }
    var crashed = JobRecord.Attempt(n: attempt, startedAt: started, endedAt: max(now, started), outcome: .crashed)
    let error = JobError(code: "crashed", message: "the daemon or the machine went down while the handler ran")
    crashed.error = error
    record.add(crashed)
    record.updatedAt = now
    record.spent = true
    record.node = transitions.node
    var type = claimed["type"]?.string ?? ""
    var retry = RetryPolicy()
    if case .success(let job) = claim.content {
      type = job.type
      retry = job.retryPolicy(policy(type) ?? RetryPolicy())
    }
    let verdict = Verdict.of(
      ending: .crashed, attempt: attempt, crashes: crashes, policy: retry, random: random())
    switch verdict {
    case .retry(let wait):
      record.state = .new
      record.error = error
      record.runAt = now + wait
      settlements.append(Settlement(claim, .retry, record))
    case .bury, .finish:
      record.state = .dead
      record.outcome = .failed
      record.error = error
      record.runAt = nil
      record.finishedAt = now
      settlements.append(Settlement(claim, .bury, record))
    }
  }

  private func recoverTwin(
    _ id: String, _ claimed: JSONValue, _ settlements: inout [Settlement], _ report: inout Report
  ) throws(SpoolError) {
    let twinOf = claimed["twin_of"]?.string ?? id
    guard let claim = try transitions.read(id, twinOf: twinOf, limit: limit) else { return }
    report.twins += 1
    let spool = transitions.spool
    var first: String?
    for state in [JobState.new, .cur, .hold, .done] {
      guard first == nil, try spool.exists(twinOf, in: state) else { continue }
      first = try transitions.droppedHash(twinOf, in: state, limit: limit)
    }
    settlements.append(transitions.judge(twin: claim, first: first, at: now, by: nil))
  }

  private func giveBack(_ id: String, _ report: inout Report) throws(SpoolError) {
    guard let claim = try read(id) else { return }
    report.returned += 1
    if try transitions.unclaim(claim) { return }
    guard try transitions.spool.exists(id, in: .cur) else { return }
    // Somebody dropped the same id again while the daemon was down. The one in cur/ came first.
    try moveTwinAway(id, first: claim.sha256)
    _ = try transitions.unclaim(claim)
  }

  // MARK: Settling

  private var limit: Int { maxJobBytes }

  /// A file in `cur/` may have grown by its record, whose result alone may be larger than a job.
  private func read(_ id: String) throws(SpoolError) -> Claim? {
    try transitions.read(id, limit: limit + (64 << 20))
  }

  private func settle(_ settlements: [Settlement]) throws(SpoolError) {
    guard !settlements.isEmpty else { return }
    for settlement in settlements {
      try transitions.write(settlement)
      if settlement.needsFileSync {
        do throws(Errno) { try transitions.syscalls.syncData(settlement.fileDescriptor) } catch {
          throw SpoolError(doing: "syncing the job", path: transitions.spool.path(of: settlement.id, in: .cur), error)
        }
      }
      try transitions.note(settlement, at: now) { writer in
        guard settlement.record.error?.code == "crashed" else { return }
        writer.key("reason")
        writer.string("crashed")
      }
    }
    try transitions.audit.commit()
    for settlement in settlements { try publish(settlement) }
  }

  private func publish(_ settlement: Settlement) throws(SpoolError) {
    guard try !transitions.publish(settlement) else { return }
    try moveTwinAway(settlement.id, first: settlement.record.sha256)
    guard try transitions.publish(settlement) else {
      throw SpoolError(
        .exists, "\(settlement.id) cannot go back to new: its place is taken again and again",
        path: transitions.spool.path(of: settlement.id, in: .new))
    }
  }

  private func moveTwinAway(_ id: String, first: String?) throws(SpoolError) {
    guard let twin = try transitions.claimTwin(id, at: now, limit: limit) else { return }
    let settlement = transitions.judge(twin: twin, first: first, at: now, by: nil)
    try transitions.write(settlement)
    try transitions.note(settlement, at: now)
    try transitions.audit.commit()
    _ = try transitions.publish(settlement)
  }

  /// A record from its text; nil when it cannot be read.
  static func record(_ json: [UInt8]) -> JobRecord? {
    guard let value = try? JSONReader.parse(json, rawKeys: JobRecord.rawKeys) else { return nil }
    return try? JobRecord(value)
  }
}
