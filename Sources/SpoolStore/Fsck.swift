/// Checks the promises of a spool against its files: one name in one folder, records that fit their folder and are borne
/// out by the audit log, nothing claimed without a daemon, nothing left behind. Takes no lock and may run at any moment:
/// a job may move while it is read, so whatever looks wrong is looked at again before it is reported.
///
/// Files that are no jobs are left where they are and only named. What can be repaired is done by `FsckRepair`.
internal import Glibc
package import JobModel

package struct FsckFinding: Sendable, Equatable {
  /// Stable, for programs.
  package enum Code: String, Sendable, CaseIterable {
    case oddName = "odd_name"
    case strayFile = "stray_file"
    case staleStaging = "stale_staging"
    case twoStates = "two_states"
    case noRecord = "no_record"
    case wrongRecord = "wrong_record"
    case notBorneOut = "not_borne_out"
    case noJSON = "not_a_job"
    case claimedWithoutDaemon = "claimed_without_daemon"
    case badWithoutRecord = "bad_without_record"
    case auditDamaged = "audit_damaged"
    case auditTorn = "audit_torn"
  }

  package enum Severity: String, Sendable {
    /// A promise is broken.
    case problem
    /// Worth knowing; the spool is sound.
    case note
  }

  package var code: Code
  package var severity: Severity
  /// Relative to the spool.
  package var path: String
  package var message: String
  /// The job it is about.
  package var job: String?
}

package struct Fsck {
  let spool: Spool
  let now: WallTime
  package private(set) var findings: [FsckFinding] = []
  /// Files looked at, by folder.
  package private(set) var counts: [JobState: Int] = [:]
  private var names: [JobState: Set<String>] = [:]
  /// Told how many files of how many have been looked at.
  package var progress: ((Int, Int) -> Void)?

  package init(_ spool: Spool, now: WallTime) {
    self.spool = spool
    self.now = now
  }

  package var problems: [FsckFinding] { findings.filter { $0.severity == .problem } }

  /// Looks at everything. Throws when a folder cannot be listed, which no view of the rest makes good.
  package mutating func run() throws(SpoolError) {
    findings = []
    // In the direction jobs move, so that one on its way is seen at least once.
    for state in JobState.allCases { try listNames(state) }
    try checkPairs()
    var ended: [String: EndedJob] = [:]
    var looked = 0
    for state in [JobState.done, .dead] { try checkEnded(state, &ended, &looked) }
    try checkAudit(&ended)
    try checkClaimed()
    try checkStaging()
    try checkLogs()
    findings.sort { ($0.severity == .note ? 1 : 0, $0.path) < ($1.severity == .note ? 1 : 0, $1.path) }
  }

  private mutating func add(_ code: FsckFinding.Code, _ path: String, _ message: String, job: String? = nil) {
    findings.append(FsckFinding(code: code, severity: .problem, path: path, message: message, job: job))
  }

  private mutating func note(_ code: FsckFinding.Code, _ path: String, _ message: String) {
    findings.append(FsckFinding(code: code, severity: .note, path: path, message: message))
  }

  // MARK: Names

  private mutating func listNames(_ state: JobState) throws(SpoolError) {
    var ids = Set<String>()
    var others: [String] = []
    let folder = Spool.Folder(rawValue: state.rawValue) ?? .new
    try Scan.names(of: folder, in: spool) { name in
      if let id = JobID.fromFileName(name) { ids.insert(id) } else { others.append(name) }
    }
    names[state] = ids
    counts[state] = ids.count
    for name in others.sorted() {
      if state == .dead, name.hasSuffix(".bad"), JobID.isValid(name.dropLast(4)) {
        let id = String(name.dropLast(4))
        // Beside one in done/ it is what a power cut left of the bytes of a finished job.
        if !ids.contains(id), try !spool.exists(id, in: .dead), try !spool.exists(id, in: .done),
          spool.hasRoot("dead/\(name)")
        {
          add(.badWithoutRecord, "dead/\(name)", "a refused file without its dead/\(id).json", job: id)
        }
      } else if state == .cur, Transitions.isStaged(name) {
        // The daemon's own, of this moment, or what the next start removes.
      } else if name != ".gitkeep", spool.hasRoot("\(state.rawValue)/\(name)") {
        note(.oddName, "\(state.rawValue)/\(name)", "no job's name (ID.json); it is left alone")
      }
    }
  }

  /// Twins may wait in `new/` or `hold/` beside anything; a run that replaces a dead job lies in `cur/` beside it. All
  /// else is one job in two places.
  private mutating func checkPairs() throws(SpoolError) {
    for (one, other) in [(JobState.cur, JobState.done), (.done, .dead)] {
      for id in (names[one] ?? []).intersection(names[other] ?? []).sorted() {
        // Seen in both because it moved in between: then it is not in both now.
        guard try spool.exists(id, in: one), try spool.exists(id, in: other), try spool.exists(id, in: one) else {
          continue
        }
        add(
          .twoStates, "\(other.rawValue)/\(id).json", "the job is in \(one.rawValue) as well; one of the two is a copy",
          job: id)
      }
    }
  }

  // MARK: Ended jobs

  /// What is remembered of a file until the log has been read.
  private struct EndedJob {
    var state: JobState
    /// The first digits of the record's hash: enough to tell one from another, and a tenth of the memory.
    var mark: UInt64
    var finished: WallTime
  }

  private mutating func checkEnded(
    _ state: JobState, _ ended: inout [String: EndedJob], _ looked: inout Int
  ) throws(SpoolError) {
    let total = (names[.done]?.count ?? 0) + (names[.dead]?.count ?? 0)
    for id in names[state] ?? [] {
      progress?(looked, total)
      looked += 1
      var fault: (FsckFinding.Code, String)?
      // A file is replaced when a dead job is run again and dies again: once more, should it have been at that moment.
      for _ in 0..<3 {
        switch try look(id, state) {
        case .gone: fault = nil
        case .fault(let code, let message):
          fault = (code, message)
          continue
        case .sound(let job):
          fault = nil
          ended[id] = job
        }
        break
      }
      if let (code, message) = fault { add(code, "\(state.rawValue)/\(id).json", message, job: id) }
    }
  }

  private enum Look {
    case gone
    case sound(EndedJob)
    case fault(FsckFinding.Code, String)
  }

  private func look(_ id: String, _ state: JobState) throws(SpoolError) -> Look {
    guard let bytes = try spool.read(id, in: state, limit: 256 << 20) else {
      guard try spool.exists(id, in: state) else { return .gone }
      return .fault(.strayFile, "no regular file; only jobspool may put files here")
    }
    let job: Job
    do throws(JobProblem) { job = try JobScanner.scan(bytes, id: id) } catch {
      guard try spool.exists(id, in: state) else { return .gone }
      return .fault(.noJSON, "does not read as a job: \(error.description)")
    }
    guard let record = job.record, let text = job.recordBytes else {
      return .fault(.noRecord, "has no record; it was put here by hand ('mv' it to new/ to run it)")
    }
    if record.id != id { return .fault(.wrongRecord, "its record is of the job \(record.id)") }
    if record.state != state { return .fault(.wrongRecord, "its record says that it is in \(record.state.rawValue)") }
    if record.outcome?.state != state {
      return .fault(.wrongRecord, "its record's outcome is \(record.outcome?.rawValue ?? "missing")")
    }
    return .sound(
      EndedJob(state: state, mark: Fsck.mark(Digest.sha256(text)), finished: record.finishedAt ?? record.updatedAt))
  }

  private static func mark(_ digest: String) -> UInt64 { UInt64(digest.prefix(16), radix: 16) ?? 0 }

  // MARK: The audit log

  private mutating func checkAudit(_ ended: inout [String: EndedJob]) throws(SpoolError) {
    for fault in try AuditCheck(spool).faults {
      if fault.isTorn {
        note(.auditTorn, "log/\(fault.file)", "line \(fault.line): \(fault.message)")
      } else {
        add(.auditDamaged, "log/\(fault.file)", "line \(fault.line) \(fault.message)")
      }
    }
    let files = try AuditFile.list(spool)
    var suspects: [String] = []
    for file in files.reversed() where !ended.isEmpty {
      guard spool.hasRoot("log/\(file.name)") else { continue }
      try MappedFile(file.name, in: spool).linesBackwards { line in
        guard let head = AuditLineHead(line), head.event.settles, let id = head.job, let job = ended[id] else {
          return true
        }
        ended[id] = nil
        if Fsck.recordMark(line) != job.mark { suspects.append(id) }
        return !ended.isEmpty
      }
    }
    // Lines that retention removed bear out nothing any more; a log that begins with its first line has lost none.
    let oldest = files.first.map(\.day) ?? now.day
    let isWhole = if let first = files.first { try Fsck.beginsAtOne(first, in: spool) } else { true }
    suspects += ended.filter { isWhole || $0.value.finished.day > oldest }.keys
    for id in suspects.sorted() {
      guard let (state, bytes) = try again(id) else { continue }
      guard let trace = try AuditReader.traces(of: [id], in: spool)[id], trace.settle != nil else {
        add(.notBorneOut, "\(state.rawValue)/\(id).json", "the audit log knows of no end of this job", job: id)
        continue
      }
      if trace.bearsOut(bytes) { continue }
      // It may have been settled again between the two reads.
      if let (_, newer) = try again(id), newer != bytes { continue }
      let number = trace.settle?["seq"]?.int ?? 0
      add(
        .notBorneOut, "\(state.rawValue)/\(id).json", "its record is not the one of the audit log (seq \(number))",
        job: id)
    }
  }

  private func again(_ id: String) throws(SpoolError) -> (JobState, [UInt8])? {
    for state in [JobState.done, .dead] {
      guard let bytes = try spool.read(id, in: state, limit: 256 << 20) else { continue }
      guard let record = (try? JobScanner.scan(bytes, id: id))?.recordBytes else { continue }
      return (state, record)
    }
    return nil
  }

  private static func recordMark(_ line: UnsafeRawBufferPointer) -> UInt64? {
    guard let value = try? JSONReader.parse(Array(line), rawKeys: ["record"]) else { return nil }
    if case .raw(let record)? = value["record"] { return mark(Digest.sha256(record)) }
    return value["record_sha256"]?.string.map(mark)
  }

  private static func beginsAtOne(_ file: AuditFile, in spool: Spool) throws(SpoolError) -> Bool {
    var first = false
    try MappedFile(file.name, in: spool).lines { line in
      first = (try? JSONReader.parse(Array(line)))?["seq"]?.int == 1
      return false
    }
    return first
  }

  // MARK: What lies about

  private mutating func checkClaimed() throws(SpoolError) {
    guard SpoolLock.isHeld(spool) == false else { return }
    for id in (names[.cur] ?? []).sorted() where try spool.exists(id, in: .cur) {
      // A daemon that started a moment ago is putting them right.
      if SpoolLock.isHeld(spool) != false { return }
      add(
        .claimedWithoutDaemon, "cur/\(id).json", "claimed, but no daemon runs; the next start of jobspoold takes it up",
        job: id)
    }
  }

  private mutating func checkStaging() throws(SpoolError) {
    for name in try Fsck.staleStaging(spool, now: now) {
      note(
        .staleStaging, "tmp/\(name)",
        "older than \(Limits.sweepStagingSeconds / 3600) h: its writer is gone; "
          + "the daemon's sweeper removes it")
    }
  }

  /// Names in `tmp/` whose writers cannot be alive any more.
  package static func staleStaging(_ spool: Spool, now: WallTime) throws(SpoolError) -> [String] {
    guard spool.isReadable(.tmp) else { return [] }
    let limit = now.microseconds - Int64(Limits.sweepStagingSeconds) * 1_000_000
    var stale: [String] = []
    try Scan.names(of: .tmp, in: spool) { name in
      guard let status = try? spool.syscalls.status(spool.descriptor(Spool.Folder.tmp), name) else { return }
      if status.kind != .directory, max(status.changed, status.modified) < limit { stale.append(name) }
    }
    return stale.sorted()
  }

  private mutating func checkLogs() throws(SpoolError) {
    var odd: [String] = []
    try Scan.names(of: .log, in: spool) { name in
      if name != "jobs", AuditFile(name: name) == nil, !name.hasPrefix("."), !name.hasPrefix("rollup"),
        name != "workers", name != "retention.json", name != "notices.json", name != IndexSegment.folder,
        name != AgendaFile.name
      {
        odd.append("log/\(name)")
      }
    }
    guard spool.hasRoot("log/jobs") else {
      add(.strayFile, "log/jobs", "the folder of the jobs' logs is missing; 'jobspool init \(spool.path)' adds it")
      return
    }
    try Scan.names(of: "jobs", under: spool.descriptor(Spool.Folder.log), shown: "\(spool.path)/log/jobs", spool: spool)
    {
      name in
      if !name.hasPrefix("."), !name.hasSuffix(".log") || !JobID.isValid(name.dropLast(4)) {
        odd.append("log/jobs/\(name)")
      }
    }
    for path in odd.sorted() { note(.oddName, path, "no log of jobspool's; it is left alone") }
  }
}
