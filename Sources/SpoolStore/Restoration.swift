/// Makes a spool of the copy that a backup is. A backup is no picture of one moment: while it was taken, jobs moved, and a
/// file was copied before, after or twice. What is the same for all of them is the moment at which the log was cut, and
/// a copied file is never more than a step away from it:
///
///     the file is as the log says            it stays
///     the log is ahead (it ended since)      into cur/: recovery completes the end from the log, and makes the rename
///     the file is ahead (it ended later)     into cur/: recovery cuts the later record off; its run counts as crashed
///     the same job in two folders            the one that the log bears out stays
///     a twin beside its job                  both stay, as they would have
///     the log says that it was removed       it goes
///     only the file had its end, and it was requeued before it could be copied      it waits, and runs again
///
/// So a restored spool is what a power cut at that moment would have left, and recovery, which must follow, does the
/// rest. Only the holder of the lock may do this, before any daemon has run on the copy.
internal import JobModel

package struct Restoration {
  let transitions: Transitions
  let manifest: BackupManifest

  package struct Report: Sendable, Equatable {
    /// Put into `cur/` to be completed, or cut back.
    package var takenUp = 0
    /// Files that were copied twice.
    package var doubled = 0
    /// Jobs that run again although the log knows an end, because only their files had it and had moved on.
    package var again: [String] = []
    /// Jobs that the log knows at that moment and that have no file in the copy.
    package var missing: [String] = []
    package init() {}
  }

  package init(transitions: Transitions, manifest: BackupManifest) {
    self.transitions = transitions
    self.manifest = manifest
  }

  private var spool: Spool { transitions.spool }
  /// As large as any file of a job may have grown.
  private static let largest = 256 << 20

  /// Cuts the log back to the moment the backup stands for. Before the log is opened for writing.
  package static func cutLog(of spool: Spool, to manifest: BackupManifest) throws(SpoolError) {
    for file in try AuditFile.list(spool) { try AuditLog.cutBack(file, to: manifest.log.sizes[file.name], in: spool) }
  }

  package func run() throws(SpoolError) -> Report {
    var report = Report()
    let changes = try manifest.log.changes(since: manifest.began, in: spool)
    var wanted = changes.jobs.union(manifest.late)
    wanted.formUnion(try doubled())
    let removed = Set(manifest.removed)
    wanted.subtract(removed)
    let traces = try AuditReader.traces(of: wanted, in: spool)
    for id in wanted.sorted() {
      try resolve(id, traces[id], isGone: changes.gone.contains(id), &report)
    }
    // Bytes of a refused file whose job is gone, waits or runs: they were copied at another moment than their job.
    for id in wanted.union(removed).sorted() where try spool.exists(refused: id) {
      if try !spool.exists(id, in: .dead) { try transitions.restoreRemove(refused: id) }
    }
    return report
  }

  /// Ids with files in several folders.
  private func doubled() throws(SpoolError) -> Set<String> {
    var seen = Set<String>()
    var twice = Set<String>()
    for state in JobState.allCases {
      for id in try Scan.ids(in: state, of: spool) where !seen.insert(id).inserted { twice.insert(id) }
    }
    return twice
  }

  // MARK: One job

  private struct Copy {
    var state: JobState
    var bytes: [UInt8]
    var job: Job?

    /// The hash of what was dropped, and the one that its record has of it.
    var dropped: String { job.map { Digest.sha256($0.original) } ?? Digest.sha256(bytes) }
    var recorded: String? { job?.record?.sha256 }
  }

  private func copies(of id: String) throws(SpoolError) -> [Copy] {
    var copies: [Copy] = []
    for state in JobState.allCases {
      guard let bytes = try spool.read(id, in: state, limit: Restoration.largest) else { continue }
      copies.append(Copy(state: state, bytes: bytes, job: try? JobScanner.scan(bytes)))
    }
    return copies
  }

  private func resolve(
    _ id: String, _ trace: AuditTrace?, isGone: Bool, _ report: inout Report
  ) throws(SpoolError) {
    var copies = try copies(of: id)
    if isGone {
      // A file that waits may be another one, dropped under the name that had become free.
      var known = Set(copies.compactMap(\.recorded))
      if let sha256 = trace?.record.flatMap(Recovery.record)?.sha256 { known.insert(sha256) }
      for copy in copies where copy.state != .new || known.contains(copy.dropped) {
        try drop(id, copy.state, &report)
      }
      return
    }
    guard !copies.isEmpty else {
      if try spool.exists(refused: id) {
        report.takenUp += 1
        return try transitions.restoreTakeUp(refused: id)
      }
      if trace != nil { report.missing.append(id) }
      return
    }
    let wanted = trace.flatMap(Restoration.state)
    var right: Copy?
    for copy in copies where right == nil {
      if try isRight(id, copy, wanted, trace) { right = copy }
    }
    if let right {
      for copy in copies where copy.state != right.state && isStale(copy, beside: right, trace) {
        try drop(id, copy.state, &report)
      }
      return
    }
    // The best to begin with: one that reads as a job, in the place it was to go to or on the way there. Of a refused file
    // the file itself, not the object that stands for it.
    let order: [JobState] = [.cur, .done, .dead, .new, .hold]
    copies.sort { one, other in
      let rank = { (copy: Copy) in
        (
          Restoration.isBorneOut(copy, trace) ? 0 : copy.job?.isBare == true ? 3 : copy.job == nil ? 2 : 1,
          copy.state == wanted ? 0 : 1,
          order.firstIndex(of: copy.state) ?? 0
        )
      }
      return rank(one) < rank(other)
    }
    let source = copies.removeFirst()
    for copy in copies where isStale(copy, beside: source, trace) { try drop(id, copy.state, &report) }
    report.takenUp += 1
    if let job = source.job, let settle = trace?.settle, trace?.isSettled == true, trace?.record == nil,
      settle["record_sha256"] != nil, !Restoration.isBorneOut(source, trace)
    {
      // Its record was too large for the log, and when its file was copied another one was in its place: it had been
      // requeued. So it runs, as it did.
      report.again.append(id)
      if source.state != .new { try transitions.restoreMove(id, from: source.state, to: .new) }
      _ = try transitions.restore(
        id, in: .new, head: job.head, tail: Array(job.bytes[job.tail...]), record: nil)
      return
    }
    if source.state == .dead, source.job?.isBare == true, try spool.exists(refused: id) {
      // Refused later: it is the file that goes back, not the object that stands for it.
      try transitions.restoreRemove(id, from: .dead)
      return try transitions.restoreTakeUp(refused: id)
    }
    guard wanted == .hold else {
      try transitions.restoreMove(id, from: source.state, to: .cur)
      return try addRecord(id, in: .cur, source, trace)
    }
    // Recovery would let it go again.
    try transitions.restoreMove(id, from: source.state, to: .hold)
    if let job = source.job, let text = job.recordBytes, trace?.bearsOut(text) != true {
      _ = try transitions.restore(
        id, in: .hold, head: job.head, tail: Array(job.bytes[job.tail...]), record: trace?.record)
    }
    try addRecord(id, in: .hold, source, trace)
  }

  /// To a file that was copied before the run after which it was requeued.
  private func addRecord(_ id: String, in state: JobState, _ copy: Copy, _ trace: AuditTrace?) throws(SpoolError) {
    guard let trace, let job = copy.job, let record = trace.record, trace.claim == nil,
      Restoration.isFromBeforeRequeue(copy, trace)
    else { return }
    _ = try transitions.restore(
      id, in: state, head: job.head, tail: Array(job.bytes[job.tail...]), record: record)
  }

  /// A requeued file has the record of its run. One without is of a moment before that run, unless it is another file,
  /// which has replaced it while it waited.
  private static func isFromBeforeRequeue(_ copy: Copy, _ trace: AuditTrace?) -> Bool {
    guard let trace, trace.isRequeued, trace.settle != nil, copy.job?.recordBytes == nil else { return false }
    guard let sha256 = trace.record.flatMap(Recovery.record)?.sha256 else { return true }
    return sha256 == copy.dropped
  }

  private static func isBorneOut(_ copy: Copy, _ trace: AuditTrace?) -> Bool {
    guard copy.job?.isBare == false, let text = copy.job?.recordBytes else { return false }
    return trace?.bearsOut(text) == true
  }

  /// Where the log says that the job's file was; nil: it does not say.
  private static func state(_ trace: AuditTrace) -> JobState? {
    if trace.isSettled { return trace.settle?["to"]?.string.flatMap(JobState.init(rawValue:)) }
    switch trace.last {
    // A release from hold: a run that was handed back is settled.
    case .submitted, .requeued, .released: return .new
    case .held: return .hold
    default: return trace.claim == nil ? nil : .cur
    }
  }

  private func isRight(
    _ id: String, _ copy: Copy, _ wanted: JobState?, _ trace: AuditTrace?
  ) throws(SpoolError) -> Bool {
    let text = copy.job?.recordBytes
    let isBorneOut = text.map { trace?.bearsOut($0) == true }
    switch wanted {
    case .cur?: return copy.state == .cur
    case .done?, .dead?:
      guard copy.state == wanted, isBorneOut == true else { return false }
      // A refused file leaves in two steps, and was copied in two.
      if trace?.settle?["head"] != nil { return true }
      return try spool.exists(refused: id)
    case .new? where trace?.isSettled == true: return copy.state == .new && isBorneOut == true
    case .new?, .hold?:
      return copy.state == wanted && isBorneOut != false && !Restoration.isFromBeforeRequeue(copy, trace)
    case nil:
      // Edited; never looked at; or ended so long ago that the log has forgotten it.
      if isBorneOut == true { return true }
      if let finished = copy.job?.record?.finishedAt { return finished < manifest.startedAt }
      return (copy.state == .new || copy.state == .hold) && text == nil
    }
  }

  /// Whether `copy` shows the job as it was at another moment than `right` does. Otherwise it is a twin, or what a twin
  /// will replace when it has run.
  private func isStale(_ copy: Copy, beside right: Copy, _ trace: AuditTrace?) -> Bool {
    switch (right.state, copy.state) {
    case (_, .cur): return true
    case (.done, .dead), (.dead, .done): return true
    case (.new, .done), (.new, .dead), (.hold, .done), (.hold, .dead), (.cur, .done), (.cur, .dead):
      // With a record it came from there; without one it was dropped beside it. What was requeued is not there any more.
      if trace?.isRequeued == true { return true }
      if right.job?.recordBytes != nil { return true }
      guard let text = copy.job?.recordBytes else { return false }
      return trace?.settle != nil && trace?.bearsOut(text) != true
    default:
      return copy.job?.recordBytes != nil || copy.dropped == right.recorded || copy.dropped == right.dropped
    }
  }

  private func drop(_ id: String, _ state: JobState, _ report: inout Report) throws(SpoolError) {
    try transitions.restoreRemove(id, from: state)
    report.doubled += 1
  }
}
