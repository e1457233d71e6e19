/// Puts right what `Fsck` finds and what can be put right without guessing: stale staging is swept, a durable end in
/// `cur/` is completed, and of two files of one job the one is removed whose end the audit log does not call the last.
/// Everything else is a person's decision. Only the holder of the lock may do it.
package import JobModel

package struct FsckRepair {
  let transitions: Transitions
  let now: WallTime
  let by: String

  package init(transitions: Transitions, now: WallTime, by: String) {
    self.transitions = transitions
    self.now = now
    self.by = by
  }

  /// What was done, in words, one entry each.
  package func run(_ findings: [FsckFinding]) throws(SpoolError) -> [String] {
    var done: [String] = []
    for name in try Fsck.staleStaging(transitions.spool, now: now) {
      try transitions.sweepStaged(name)
      done.append("swept tmp/\(name)")
    }
    for finding in findings where finding.code == .twoStates {
      if let id = finding.job, let what = try removeCopy(id) { done.append(what) }
    }
    // A file of another job under the name of a done one would be taken for that job's end.
    let doubtful = Set(findings.filter { $0.code == .twoStates }.compactMap(\.job))
    let claimed = findings.filter { $0.code == .claimedWithoutDaemon }.compactMap(\.job)
      .filter { !doubtful.contains($0) }
    if !claimed.isEmpty {
      let recovery = Recovery(
        transitions: transitions, maxJobBytes: 64 << 20, now: now, policy: { _ in nil }, random: { 0 })
      for id in try recovery.completeEnds(of: claimed) { done.append("completed the end of \(id)") }
    }
    try transitions.audit.commit()
    return done
  }

  /// The job is in done, durably, and something of the same name lies in cur or dead.
  private func removeCopy(_ id: String) throws(SpoolError) -> String? {
    let spool = transitions.spool
    guard let bytes = try spool.read(id, in: .done, limit: 256 << 20), let job = try? JobScanner.scan(bytes, id: id),
      let text = job.recordBytes, let sha256 = job.record?.sha256,
      let trace = try AuditReader.traces(of: [id], in: spool)[id], trace.last == .finished, trace.bearsOut(text)
    else { return nil }
    if try spool.exists(id, in: .dead), try transitions.droppedHash(id, in: .dead, limit: 256 << 20) == sha256 {
      try transitions.removeCopy(id, from: .dead, type: job.type, at: now, by: by)
      return "removed dead/\(id).json, which is done"
    }
    if try spool.exists(id, in: .cur), try transitions.droppedHash(id, in: .cur, limit: 256 << 20) == sha256 {
      try transitions.removeCopy(id, from: .cur, type: job.type, at: now, by: by)
      return "removed cur/\(id).json, which is done"
    }
    return nil
  }
}
