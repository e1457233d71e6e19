/// Every rename and every unlink of a job after its publication happens here (the first of a claim in `ClaimMoves`, the last
/// of an end in `EndMoves`), and each leaves its line in the audit log.
/// Only the holder of the lock may have one: the daemon, or an operator command while no daemon runs.
///
/// Claiming. `new/ID.json` is renamed to `cur/ID.json` without replacing; the kernel decides who wins. Nothing else can
/// touch the name then: producers may not write in `cur/`. A file that is not ours alone (another owner, or a second
/// link) could still be changed through an open descriptor or its other name, so it is adopted: copied, the copy synced and
/// renamed over `cur/ID.json` (`Transitions+Adopting.swift`). Only that is validated, run and completed.
///
///     crash after the rename     the file lies in cur/ without a `claimed` line: recovery puts it back, uncounted
///
/// A secret that was dropped in clear is sealed in the same way: the copy has it sealed, also of a file that is ours. Its
/// hash is then that of the sealed file, which is what a start after a crash finds.
///
/// Settling. The order is that of `Settlement`; until the rename everything can be completed from the log.
///
///     crash before the line is durable    the attempt counts as crashed
///     crash after it                      recovery completes the record in the file and makes the rename
///
/// Moves by administrators (`mv`) need nothing of this: a scan finds the file where it is.
internal import CSpoolShims
internal import Glibc
package import JobModel

package final class Transitions {
  package let spool: Spool
  package let audit: AuditLog
  let syscalls: any SpoolSyscalls
  private let ends: EndMoves
  let claims: ClaimMoves
  /// The payload of a job with its secrets sealed; nil when none of them lies in clear. What is claimed or edited passes
  /// here before anything of it is written.
  package var sealing: ((Job) throws(SpoolError) -> [UInt8]?)?
  /// The machine went down with a daemon at work: a file of ours may hold part of a record that no line tells of. While this
  /// is set, such a file is put back to what its producer wrote before it is judged.
  package var mendsTorn = false
  /// Folders between which an operator's renames went that `commitMoves` has not synced yet.
  var movedBetween: Set<JobState> = []
  let uid = geteuid()

  package init(_ spool: Spool, audit: AuditLog) {
    self.spool = spool
    self.audit = audit
    syscalls = spool.syscalls
    ends = EndMoves(spool)
    claims = ClaimMoves(spool)
  }

  package var node: String { audit.node }

  // MARK: Settling

  /// Step one: the record goes into the file. May be repeated.
  package func write(_ settlement: Settlement) throws(SpoolError) {
    guard !settlement.isWritten else { return }
    if let adoption = settlement.adoption { try complete([adoption]) }
    if settlement.transition == .discardTwin {
      // Nothing of it will stay.
    } else if settlement.isWhole {
      try stageBare(settlement.id, record: settlement.record, for: settlement.claim.uid)
    } else if case .success(let job) = settlement.claim.content {
      try writeRecord(of: settlement, job)
    }
    settlement.isWritten = true
  }

  /// Step two: the audit line, in memory until the log is flushed.
  package func note(
    _ settlement: Settlement, at time: WallTime, by: String = "daemon",
    _ fields: (inout JSONWriter) -> Void = { _ in }
  ) throws(SpoolError) {
    guard !settlement.isNoted, let event = settlement.transition.event else { return }
    let record = settlement.record
    let job: Job? = if case .success(let job) = settlement.claim.content { job } else { nil }
    try audit.append(
      event, at: time, job: settlement.id, type: job?.type, from: .cur, to: settlement.transition.to,
      attempt: record.attempt == 0 ? nil : record.attempt, by: by
    ) { writer in
      fields(&writer)
      Transitions.writeMeasures(of: settlement, to: &writer)
      if let harm = settlement.harm {
        writer.key("file_was")
        writer.string(harm)
      }
      if let twinOf = settlement.claim.twinOf {
        writer.key("twin_of")
        writer.string(twinOf)
      }
      guard settlement.transition != .discardTwin else {
        writer.key("discarded")
        writer.bool(true)
        return
      }
      if let job, !settlement.isWhole { Transitions.writeShape(of: job, to: &writer) }
      if settlement.needsFileSync {
        writer.key("record_sha256")
        writer.string(Digest.sha256(settlement.recordJSON))
        writer.key("brief")
        record.writeBrief(to: &writer)
      } else {
        writer.key("record")
        writer.raw(settlement.recordJSON)
      }
    }
    settlement.isNoted = true
  }

  /// What statistics need of an end, before the record, which may be large or only a hash.
  private static func writeMeasures(of settlement: Settlement, to writer: inout JSONWriter) {
    switch settlement.transition {
    case .finish, .retry, .bury, .cancel: break
    default: return
    }
    // A job cancelled while it waits for its next attempt has an attempt, but not one that ended just now; and of one that
    // crashed nobody knows when it ended.
    let record = settlement.record
    if let run = record.attempts.last, run.endedAt >= record.updatedAt, run.outcome != .crashed {
      writer.key("run_us")
      writer.int(max((run.endedAt - run.startedAt).inMicroseconds, 0))
    }
    guard let sla = settlement.sla, let finished = record.finishedAt else { return }
    let took = finished - (record.requeuedAt ?? record.submittedAt)
    writer.key("sla")
    writer.string(settlement.transition == .finish && took <= sla ? "kept" : "missed")
  }

  /// Step three, after the line is durable: the rename. Returns false when the place is taken (a twin in `new/`), which
  /// has to be moved away before this is repeated.
  package func publish(_ settlement: Settlement) throws(SpoolError) -> Bool {
    let id = settlement.id
    if settlement.isWhole, settlement.transition != .discardTwin {
      try publishWhole(id, to: settlement.record.outcome?.state ?? .dead)
      return true
    }
    switch settlement.transition {
    case .discardTwin:
      try remove(id, from: .cur)
      return true
    case .unclaim:
      return try move(id, .cur, .new)
    case .retry, .release:
      try ends.clearDead(id)
      if try move(id, .cur, .new) { return true }
      return try bringBack(settlement) ? move(id, .cur, .new) : false
    default:
      let isDone = settlement.record.outcome?.state == .done
      do throws(SpoolError) { try isDone ? ends.finish(id) : ends.bury(id) } catch {
        guard error.errno == .noEntry, try bringBack(settlement) else { throw error }
        try isDone ? ends.finish(id) : ends.bury(id)
      }
      return true
    }
  }

  func put(
    _ ending: [UInt8], at head: Int, over size: Int, fd: Int32, id: String
  ) throws(SpoolError) {
    do throws(Errno) {
      try syscalls.write(fd, ending, offset: head)
      if head + ending.count < size { try syscalls.truncate(fd, size: head + ending.count) }
    } catch {
      throw SpoolError(doing: "writing the record", path: spool.path(of: id, in: .cur), error)
    }
  }

  // MARK: Files that are no jobs

  /// The file in `cur/` is a regular one of ours with no other name: only then may it be written to.
  func isOursAlone(_ id: String) throws(SpoolError) -> Bool {
    do throws(Errno) {
      let status = try syscalls.status(spool.descriptor(JobState.cur), JobID.fileName(id))
      return status.kind == .regular && status.uid == uid && status.links == 1
    } catch {
      if error == .noEntry { return false }
      throw SpoolError(doing: "looking at the job", path: spool.path(of: id, in: .cur), error)
    }
  }

  /// Writes the object that stands for a file the scanner refused.
  func stageBare(_ id: String, record: JobRecord, for reader: UInt32) throws(SpoolError) {
    let name = "\(Transitions.barePrefix)\(id)"
    do throws(Errno) {
      let fd = try createBeside(name)
      defer { syscalls.close(fd) }
      try syscalls.write(fd, Job.bare(record: record), offset: 0)
      try syscalls.share(fd, with: record.submittedBy?.uid ?? reader)
      try syscalls.sync(fd)
    } catch {
      throw SpoolError(doing: "writing the record", path: "\(spool.path)/cur/\(name)", error)
    }
  }

  /// First the record appears, then the file leaves `cur/`: a crash in between leaves a name in `cur/`, which is where
  /// recovery looks. The record goes to `done/` only for a finished job whose bytes a power cut damaged.
  private func publishWhole(_ id: String, to state: JobState) throws(SpoolError) {
    let dead = spool.descriptor(JobState.dead)
    let target = spool.descriptor(state)
    do throws(Errno) {
      do throws(Errno) {
        try syscalls.rename(
          spool.descriptor(JobState.cur), "\(Transitions.barePrefix)\(id)", to: target, JobID.fileName(id),
          replacing: true)
      } catch {
        // Repeated after a crash or a full disk: the record is there already.
        guard error == .noEntry, (try? syscalls.status(target, JobID.fileName(id))) != nil else { throw error }
      }
      try syscalls.rename(
        spool.descriptor(JobState.cur), JobID.fileName(id), to: dead, "\(id).bad", replacing: true)
    } catch {
      throw SpoolError(doing: "moving the refused file to dead", path: spool.path(of: id, in: .cur), error)
    }
  }

  // MARK: Renames

  /// false: the source is gone or the target is taken.
  func move(_ id: String, _ from: JobState, _ to: JobState) throws(SpoolError) -> Bool {
    let name = JobID.fileName(id)
    do throws(Errno) {
      try syscalls.rename(spool.descriptor(from), name, to: spool.descriptor(to), name, replacing: false)
      return true
    } catch {
      if error == .noEntry || error == .exists { return false }
      throw SpoolError(doing: "moving the job to \(to.rawValue)", path: spool.path(of: id, in: from), error)
    }
  }

  func remove(_ id: String, from: JobState) throws(SpoolError) {
    do throws(Errno) { try syscalls.unlink(spool.descriptor(from), JobID.fileName(id)) } catch {
      if error == .noEntry { return }
      throw SpoolError(doing: "removing the job", path: spool.path(of: id, in: from), error)
    }
  }
}
