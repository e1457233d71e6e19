/// What a start does with the jobs a dead daemon left in `cur/`, before anything is claimed. The surviving handlers have
/// been ended already. What the audit log says last about a job decides:
///
///     an end (finished, retried, buried …)   it was durable: complete the record, make the rename
///     claimed                                the run counts, as crashed: retry or bury by the usual rule
///     claimed as a twin                      judge it again
///     anything else, or nothing              it never started, as far as anybody will know: back to new, uncounted
///
/// A record in the file that the log does not bear out was torn, or its end was never durable: the file is cut back to
/// what the producer wrote and the last durable record. What cannot even be cut back is refused, like any other input. Everything here may be cut short by another crash and repeated.
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
    /// Jobs that stay in `cur/` for an administrator to look at, and why; they keep nobody else waiting.
    package var problems: [String] = []
    package init() {}
    package var isEmpty: Bool { self == Report() }
  }

  package func run() throws(SpoolError) -> Report {
    var report = Report()
    var settlements: [Settlement] = []
    report.repaired += try completeEdits()
    try transitions.sweepCopies()
    let ids = try Scan.ids(in: .cur, of: transitions.spool)
    let traces = try AuditReader.traces(of: Set(ids), in: transitions.spool)
    for id in ids.sorted() {
      do throws(SpoolError) {
        try recover(id, traces[id], &settlements, &report)
      } catch {
        guard error.code == .exists || error.code == .damaged else { throw error }
        report.problems.append("\(error)")
      }
    }
    try settle(settlements, &report)
    return report
  }

  private func recover(
    _ id: String, _ trace: AuditTrace?, _ settlements: inout [Settlement], _ report: inout Report
  ) throws(SpoolError) {
    if let claimed = trace?.claim {
      if claimed["twin_of"]?.string != nil {
        try recoverTwin(id, claimed, &settlements, &report)
      } else if let trace {
        try recoverCrashed(id, claimed, trace, &settlements, &report)
      }
    } else if let trace, trace.isSettled, try !isLaterFile(id, trace) {
      try complete(id, trace, &report)
    } else {
      try giveBack(id, trace, &report)
    }
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
    guard let settle = trace.settle else { return }
    // A twin still carries the id it was dropped under.
    let twinOf = settle["twin_of"]?.string
    guard let claim = try read(id, twinOf: twinOf) else { return }
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
        .damaged,
        "the record of \(id) is damaged although it was synced; its line in the audit log is number "
          + "\(settle["seq"]?.int ?? 0). 'jobspool fsck' tells more", path: transitions.spool.path(of: id, in: .cur))
    }
    report.repaired += 1
    if let head = settle["head"]?.int,
      try transitions.restore(id, head: head, tail: Recovery.tail(settle), record: json) == nil
    {
      guard let restored = try read(id, twinOf: twinOf) else { return }
      return try publish(Settlement(restored, transition(trace.last, record, false), record))
    }
    if case .failure(let problem) = claim.content, record.outcome == nil {
      // It was to run again, but a power cut took what the producer wrote.
      return try self.settle([rejection(of: claim, problem, record)], &report)
    }
    // Refused by the scanner, then and now: it goes to dead/ whole, and the record stands for it.
    let settlement = Settlement(claim, transition(trace.last, record, false), record, whole: true)
    try transitions.write(settlement)
    try publish(settlement)
  }

  /// Whether the file in `cur/` is another than the one whose end the log has: that one was published, and this one was
  /// dropped since and claimed without anything in the log yet. It must not be buried in the other's name.
  private func isLaterFile(_ id: String, _ trace: AuditTrace) throws(SpoolError) -> Bool {
    guard let settle = trace.settle, settle["discarded"]?.bool != true,
      let target = settle["to"]?.string.flatMap(JobState.init(rawValue:))
    else { return false }
    let spool = transitions.spool
    if target == .done || target == .dead {
      guard let bytes = try spool.read(id, in: target, limit: recordLimit), let job = try? JobScanner.scan(bytes),
        let text = job.recordBytes, trace.bearsOut(text)
      else { return false }
      // A refused file leaves in two steps; until the second its record is there already.
      if settle["head"] == nil, try !spool.exists(refused: id) { return false }
      return true
    }
    guard let bytes = try spool.read(id, in: .cur, limit: recordLimit), let job = try? JobScanner.scan(bytes),
      job.record == nil
    else { return false }
    // It may have been replaced while it waited, as any file can be.
    guard let json = trace.record, let sha256 = Recovery.record(json)?.sha256 else { return trace.record == nil }
    return sha256 != Digest.sha256(job.original)
  }

  static func tail(_ line: JSONValue) -> [UInt8] { Array((line["tail"]?.string ?? "}\n").utf8) }

  private func rejection(of claim: consuming Claim, _ problem: JobProblem, _ base: JobRecord) -> Settlement {
    var record = base
    record.state = .dead
    record.outcome = .rejected
    record.error = problem.error
    record.runAt = nil
    record.updatedAt = now
    record.finishedAt = now
    return Settlement(claim, .reject, record)
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
        if try transitions.restore(id, head: head, tail: Recovery.tail(claimed), record: trace.record) == nil {
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
    record.startOverIfEnded(at: started)
    record.sha256 = record.sha256 ?? claim.sha256
    record.submittedBy = record.submittedBy ?? submitter(trace)
    let crashes = record.attempts.suffix(record.attempt).count { $0.outcome == .crashed }
    var crashed = JobRecord.Attempt(n: attempt, startedAt: started, endedAt: max(now, started), outcome: .crashed)
    let error = JobError(code: "crashed", message: "the daemon or the machine went down while the handler ran")
    crashed.error = error
    record.add(crashed)
    record.updatedAt = now
    record.spent = true
    record.node = transitions.node
    if case .failure(let problem) = claim.content {
      // Not even what the producer wrote is there: no run can come of it.
      settlements.append(rejection(of: claim, problem, record))
      return
    }
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
      record.error?.message += "; no attempt is left of \(retry.maxAttempts)"
      record.runAt = nil
      record.finishedAt = now
      settlements.append(Settlement(claim, .bury, record))
    }
  }

  private func recoverTwin(
    _ id: String, _ claimed: JSONValue, _ settlements: inout [Settlement], _ report: inout Report
  ) throws(SpoolError) {
    let twinOf = claimed["twin_of"]?.string ?? id
    // Its refusal may have been torn while it was written.
    if try cutBack(id, nil) { report.repaired += 1 }
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

  private func giveBack(_ id: String, _ trace: AuditTrace?, _ report: inout Report) throws(SpoolError) {
    if try cutBack(id, trace) { report.repaired += 1 }
    report.returned += 1
    if try releaseAdopted(id, trace, &report) { return }
    if try transitions.putBack(id) { return }
    guard try transitions.spool.exists(id, in: .cur) else { return }
    // Somebody dropped the same id again while the daemon was down. The one in cur/ came first.
    try moveTwinAway(id, first: try transitions.droppedHash(id, in: .cur, limit: limit))
    _ = try transitions.putBack(id)
  }

  /// An adopted file belongs to the daemon now. Put back as it is, its next claim would take the daemon for its submitter,
  /// who may do more than the one it was; so it goes back with a record that says who that was.
  private func releaseAdopted(
    _ id: String, _ trace: AuditTrace?, _ report: inout Report
  ) throws(SpoolError) -> Bool {
    guard let trace, let submitter = submitter(trace), submitter.uid != geteuid(), try transitions.isOursAlone(id),
      let claim = try read(id)
    else { return false }
    guard case .success(let job) = claim.content, job.record == nil else { return false }
    let since = trace.submitted?["submitted_at"]?.string.flatMap { WallTime(rfc3339: $0) }
    var record = JobRecord(
      id: id, state: .new, submittedAt: since ?? claim.firstSeen, updatedAt: now, node: transitions.node)
    record.submittedBy = submitter
    record.sha256 = claim.sha256
    try settle([Settlement(claim, .release, record)], &report)
    return true
  }

  private func submitter(_ trace: AuditTrace) -> JobRecord.Submitter? {
    guard let uid = trace.submitted?["uid"]?.int.flatMap({ UInt32(exactly: $0) }) else { return nil }
    var accounts = Accounts()
    return JobRecord.Submitter(
      uid: uid, user: accounts.name(of: uid), subject: trace.submitted?["subject"]?.string)
  }

  /// A file that is ours and holds a record the log does not bear out ran after all, and the power cut that ended it took
  /// the `claimed` line, which is not synced for every run. Its record is cut off again; true when there was one.
  private func cutBack(_ id: String, _ trace: AuditTrace?) throws(SpoolError) -> Bool {
    guard try transitions.isOursAlone(id),
      let bytes = try transitions.spool.read(id, in: .cur, limit: recordLimit)
    else { return false }
    let head: Int
    var tail: [UInt8]
    if let job = try? JobScanner.scan(bytes) {
      guard let text = job.recordBytes, trace?.bearsOut(text) != true else { return false }
      head = job.head
      tail = Array(bytes[job.tail...])
    } else {
      guard let job = TornText.mended(bytes, id: nil) else { return false }
      head = job.head
      tail = Array(job.bytes[job.tail...])
      if let settle = trace?.settle, settle["head"]?.int == head { tail = Recovery.tail(settle) }
    }
    return try transitions.restore(id, head: head, tail: tail, record: trace?.record) == nil
  }

  // MARK: Settling

  private var limit: Int { maxJobBytes }

  /// A file may have grown by its record, whose result alone may be larger than a job.
  var recordLimit: Int { limit + (64 << 20) }

  private func read(_ id: String, twinOf: String? = nil) throws(SpoolError) -> Claim? {
    try transitions.read(id, twinOf: twinOf, limit: recordLimit)
  }

  private func settle(_ settlements: [Settlement], _ report: inout Report) throws(SpoolError) {
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
    for settlement in settlements {
      do throws(SpoolError) { try publish(settlement) } catch {
        guard error.code == .exists else { throw error }
        report.problems.append("\(error)")
      }
    }
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
    guard try !transitions.moveDirectoryAside(id, at: now) else { return }
    guard let twin = try transitions.claimTwin(id, at: now, limit: limit) else { return }
    let settlement = transitions.judge(twin: twin, first: first, at: now, by: nil)
    try transitions.write(settlement)
    try transitions.note(settlement, at: now)
    try transitions.audit.commit()
    _ = try transitions.publish(settlement)
  }

  /// A record from its text; nil when it cannot be read.
  static func record(_ json: [UInt8]) -> JobRecord? {
    guard let value = try? JSONReader.parse(json, rawKeys: JobRecord.rawKeys, slack: JSONReader.ownLevels) else {
      return nil
    }
    return try? JobRecord(value)
  }
}
