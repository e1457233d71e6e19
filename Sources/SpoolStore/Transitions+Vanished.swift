/// When the file of a running job is taken away or changed. A handler without a `user` of its own has the daemon's rights,
/// so it can remove, move, replace or cut the file of its job; so can an administrator. The job has an end all the same: what
/// was claimed is still in memory, and the file is written anew from that, with its record, by a copy as in adopting.
///
///     write      looks at the open file: no name left, or another length than it was claimed with → a copy in its place
///     publish    finds no file to move → moves it from where it was put, or writes it anew and moves that
///
/// Not seen is a change that keeps the length, and a file that was moved away for another one under its name.
///
/// The copy and its name are durable before the line of the end is, because the claimed file is nowhere any more.
internal import JobModel

extension Transitions {
  /// Step one of a settle, for a file that could be read.
  func writeRecord(of settlement: Settlement, _ job: Job) throws(SpoolError) {
    let found: FileStatus
    do throws(Errno) { found = try syscalls.status(settlement.claim.fd) } catch {
      throw SpoolError(doing: "looking at the job", path: spool.path(of: settlement.id, in: .cur), error)
    }
    // What an earlier try left behind the producer's part is ours.
    let isAsClaimed = settlement.isBegun || found.size == settlement.claim.size
    guard found.links > 0, isAsClaimed else {
      return try rebuild(settlement, job, found.links == 0 ? "removed or replaced" : "written to")
    }
    settlement.isBegun = true
    try put(
      job.ending(record: settlement.recordJSON), at: job.head, over: found.size, fd: settlement.claim.fd,
      id: settlement.id)
  }

  /// Called when a rename found nothing to move. true: the file lies in `cur/` again, and the rename is to be repeated.
  func bringBack(_ settlement: Settlement) throws(SpoolError) -> Bool {
    let id = settlement.id
    let name = JobID.fileName(id)
    guard case .success(let job) = settlement.claim.content else { return false }
    do throws(Errno) {
      let own = try syscalls.status(settlement.claim.fd)
      for state in JobState.allCases where own.links > 0 && !settlement.isRebuilt {
        guard let there = try? syscalls.status(spool.descriptor(state), name), there.inode == own.inode,
          there.device == own.device
        else { continue }
        // Never moved away at all: the rename failed for another reason.
        guard state != .cur else { return false }
        try syscalls.rename(spool.descriptor(state), name, to: spool.descriptor(JobState.cur), name, replacing: false)
        settlement.harm = "moved to \(state.rawValue)/"
        return true
      }
      if try isThere(name) { return false }
    } catch {
      throw SpoolError(doing: "looking for the job", path: spool.path(of: id, in: .cur), error)
    }
    try rebuild(settlement, job, "moved away")
    return true
  }

  private func isThere(_ name: String) throws(Errno) -> Bool {
    do throws(Errno) { _ = try syscalls.status(spool.descriptor(JobState.cur), name) } catch {
      guard error == .noEntry else { throw error }
      return false
    }
    return true
  }

  private func rebuild(_ settlement: Settlement, _ job: Job, _ harm: String) throws(SpoolError) {
    let whole = Array(job.bytes[..<job.head]) + job.ending(record: settlement.recordJSON)
    let copy = try stage(settlement.id, whole, for: settlement.record.submittedBy?.uid)
    defer { syscalls.close(copy.fileDescriptor) }
    do throws(SpoolError) {
      try complete([copy])
      try syncCur()
    } catch {
      giveUp(copy)
      throw error
    }
    settlement.harm = harm
    settlement.isRebuilt = true
  }
}
