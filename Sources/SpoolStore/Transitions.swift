/// Every rename and every unlink of a job after its publication happens here (the last of an end in `EndMoves`), and each
/// leaves its line in the audit log.
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
  }

  package var node: String { audit.node }

  // MARK: Claiming

  /// Renames `new/ID.json` into `cur/`, adopts what is not ours alone, reads and scans it.
  ///
  /// nil: the file is not there any more, or `cur/` already has the name, or it is a directory; the race is lost.
  /// - Parameters:
  ///   - fresh: claim it under this id instead, to be judged as a twin of `id`.
  ///   - limit: bytes a job may have.
  ///   - sharesSync: a copy may wait for its sync, so that many have one; see `Claim.adoption`.
  package func claim(
    _ id: String, as fresh: String? = nil, limit: Int, sharesSync: Bool = false
  ) throws(SpoolError) -> Claim? {
    let name = JobID.fileName(id)
    let claimed = fresh ?? id
    let cur = spool.descriptor(JobState.cur)
    do throws(Errno) {
      try syscalls.rename(spool.descriptor(JobState.new), name, to: cur, JobID.fileName(claimed), replacing: false)
    } catch {
      if error == .noEntry || error == .exists { return nil }
      throw SpoolError(doing: "claiming the job", path: spool.path(of: id, in: .new), error)
    }
    let claim: Claim
    do throws(SpoolError) {
      let twinOf = fresh == nil ? nil : id
      guard let read = try read(claimed, twinOf: twinOf, limit: limit, sealing: sealing, sharesSync: sharesSync) else {
        return nil
      }
      claim = read
    } catch {
      // A disk that is full, or no descriptors left. Nobody looks in cur/ before the next start, so it goes back to where
      // it is looked for; if not even that can be done, that start finds it.
      try? syscalls.rename(
        cur, JobID.fileName(claimed), to: spool.descriptor(JobState.new), name, replacing: false)
      throw error
    }
    // Before anything tells of the claim: a power cut must not bring back the text in clear under a line that has the
    // lengths of the sealed one. Should it fail, the copy stays in cur/, because in new/ it would count as ours.
    if claim.isSealed { try syncCur() }
    return claim
  }

  /// Takes up a file that lies in `cur/` already: after `claim`'s rename, or found there by recovery.
  package func read(
    _ id: String, twinOf: String? = nil, limit: Int, sealing: ((Job) throws(SpoolError) -> [UInt8]?)? = nil,
    sharesSync: Bool = false
  ) throws(SpoolError) -> Claim? {
    let name = JobID.fileName(id)
    let cur = spool.descriptor(JobState.cur)
    let path = spool.path(of: id, in: .cur)
    let status: FileStatus
    do throws(Errno) { status = try syscalls.status(cur, name) } catch {
      if error == .noEntry { return nil }
      throw SpoolError(doing: "looking at the job", path: path, error)
    }
    func refused(_ problem: JobProblem, fd: Int32 = -1) -> Claim {
      Claim(
        id: id, twinOf: twinOf, fd: fd, content: .failure(problem), uid: status.uid,
        firstSeen: WallTime(microseconds: status.changed), size: status.size, sha256: Digest.none, syscalls: syscalls)
    }
    switch status.kind {
    case .regular: break
    case .directory:
      // It became one between the look and the rename. It is no job; back to where it was.
      try putBackUnread(id, as: twinOf ?? id)
      return nil
    case .symbolicLink:
      return refused(JobProblem(.specialFile, "a symbolic link; a job must be a regular file"))
    case .other:
      return refused(JobProblem(.specialFile, "a device, pipe or socket; a job must be a regular file"))
    }
    guard status.size <= limit else {
      return refused(
        JobProblem(.tooLarge, "the file has \(status.size) bytes; max_job_bytes allows \(limit)"))
    }
    let isOurs = status.uid == uid && status.links == 1
    var fd: Int32
    do throws(Errno) {
      fd = try syscalls.open(cur, name, flags: (isOurs ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK, mode: 0)
    } catch {
      if error == Errno(EAGAIN) {
        // Since the look its owner took a lease on it (fcntl(2), F_SETLEASE); it waits until he gives it up.
        try putBackUnread(id, as: twinOf ?? id)
        return nil
      }
      if error == .access || error == .permission {
        return refused(
          JobProblem(
            .unreadable, "the daemon may not read the file (\(error.message)); write it with mode 0640 or 0644"))
      }
      throw SpoolError(doing: "opening the job", path: path, error)
    }
    var bytes: [UInt8]
    do throws(Errno) {
      bytes = try syscalls.read(fd, count: limit + 1 < status.size ? limit + 1 : status.size, offset: 0)
      // Somebody may have added to it since; an adopted file must be read to its end, whatever that is now.
      if !isOurs, bytes.count == status.size { bytes = try syscalls.read(fd, count: limit + 1, offset: 0) }
    } catch {
      syscalls.close(fd)
      return refused(JobProblem(.unreadable, "the file cannot be read: \(error.message)"))
    }
    guard bytes.count <= limit else {
      return refused(JobProblem(.tooLarge, "the file has more than the \(limit) bytes of max_job_bytes"), fd: fd)
    }
    var content: Result<Job, JobProblem>
    // A twin carries the id it was dropped under.
    do throws(JobProblem) { content = .success(try JobScanner.scan(bytes, id: twinOf ?? id)) } catch {
      content = .failure(error)
    }
    var isSealed = false
    var isMended = false
    if mendsTorn, isOurs, case .failure = content, let job = TornText.mended(bytes, id: twinOf ?? id) {
      content = .success(job)
      bytes = job.bytes
      isMended = true
    }
    var adoption: Adoption?
    do throws(SpoolError) {
      if let sealing, case .success(let job) = content, let payload = try sealing(job) {
        let sealed = job.replacing(payload: payload)
        content = .success(sealed)
        bytes = sealed.bytes
        isSealed = true
      }
      if !isOurs || isSealed || isMended {
        let copy = try stage(id, bytes, for: isOurs ? nil : status.uid)
        syscalls.close(fd)
        fd = copy.fileDescriptor
        adoption = copy
        if !sharesSync || isSealed || isMended { try complete([copy]) }
      }
    } catch {
      syscalls.close(fd)
      if let adoption { giveUp(adoption) }
      throw error
    }
    let sha256: String
    switch content {
    case .success(let job): sha256 = job.record?.sha256 ?? Digest.sha256(bytes[..<job.head], bytes[job.tail...])
    case .failure: sha256 = Digest.sha256(bytes)
    }
    return Claim(
      id: id, twinOf: twinOf, fd: fd, content: content, uid: status.uid,
      firstSeen: WallTime(microseconds: status.changed), size: bytes.count, sha256: sha256, isSealed: isSealed,
      adoption: adoption, syscalls: syscalls)
  }

  /// What was claimed and is nothing to take up goes back to where it was.
  private func putBackUnread(_ id: String, as name: String) throws(SpoolError) {
    do throws(Errno) {
      try syscalls.rename(
        spool.descriptor(JobState.cur), JobID.fileName(id), to: spool.descriptor(JobState.new), JobID.fileName(name),
        replacing: false)
    } catch {
      throw SpoolError(doing: "putting back what is no job", path: spool.path(of: id, in: .cur), error)
    }
  }

  func syncCur() throws(SpoolError) {
    do throws(Errno) { try syscalls.sync(spool.descriptor(JobState.cur)) } catch {
      throw SpoolError(doing: "syncing", path: "\(spool.path)/cur", error)
    }
  }

  /// The line that makes the coming run count. With it the file can be cut back to what it was, should a power cut tear it.
  ///
  /// - Parameter waited: since it could have run; for statistics.
  package func noteClaim(
    _ claim: borrowing Claim, type: String, attempt: Int, waited: Duration? = nil, rateKey: UInt64? = nil,
    at time: WallTime
  ) throws(SpoolError) {
    precondition(claim.adoption?.isPlaced != false, "a line about a copy that is not in its place")
    let job: Job? = if case .success(let job) = claim.content { job } else { nil }
    let size = claim.size
    let twinOf = claim.twinOf
    try audit.append(
      .claimed, at: time, job: claim.id, type: type, from: .new, to: .cur, attempt: attempt
    ) { writer in
      writer.key("bytes")
      writer.int(size)
      if let waited {
        writer.key("wait_us")
        writer.int(max(waited.inMicroseconds, 0))
      }
      if let job { Transitions.writeShape(of: job, to: &writer) }
      if let twinOf {
        writer.key("twin_of")
        writer.string(twinOf)
      }
      if let rateKey {
        writer.key("rate_key")
        writer.string(String(rateKey, radix: 16))
      }
    }
  }

  /// Where a record goes in the file, and what follows it: with both, a torn file can be cut back to the very bytes that
  /// were dropped. What follows is a brace and perhaps some space; more than anybody writes is not kept.
  private static func writeShape(of job: Job, to writer: inout JSONWriter) {
    writer.key("head")
    writer.int(job.head)
    let tail = job.bytes[job.tail...]
    guard tail.count <= 256, !tail.elementsEqual("}\n".utf8) else { return }
    writer.key("tail")
    writer.string(String(decoding: tail, as: UTF8.self))
  }

  /// Puts a claimed file back as if nothing had been. When its place was taken meanwhile, it stays in `cur/` and false is
  /// returned: the twin has to move away first.
  package func unclaim(_ claim: borrowing Claim) throws(SpoolError) -> Bool {
    guard try putBack(claim.id) else { return false }
    // Not before: what stays in cur/ is released like a run, and needs its copy for that.
    if let adoption = claim.adoption, !adoption.isPlaced { giveUp(adoption) }
    return true
  }

  /// The same for recovery, which does not take up the file: it may still be its producer's, and stays so.
  func putBack(_ id: String) throws(SpoolError) -> Bool {
    try move(id, .cur, .new)
  }

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

  /// Cuts a file (in `cur/`, unless a power cut tore it later) back to what the producer wrote and puts `record` in again,
  /// or none: for recovery, when a crash tore a record or left one whose end was never durable. `tail` is what stood
  /// behind the place of the record. Returns a problem, and changes nothing, when the producer's own part is damaged.
  func restore(
    _ id: String, in state: JobState = .cur, head: Int, tail: [UInt8], record: [UInt8]?
  ) throws(SpoolError) -> JobProblem? {
    guard let bytes = try spool.read(id, in: state, limit: head) else { return nil }
    let prefix = Array(bytes.prefix(head))
    let bare = prefix + tail
    let job: Job
    do throws(JobProblem) { job = try JobScanner.scan(bare) } catch {
      guard error.code == .missingType else { return error }
      job = Job(bytes: bare, type: "", head: head, tail: head)
    }
    // By a copy, in one step: half of it would be a file that no line of the log explains.
    let whole = prefix + (record.map { job.ending(record: $0) } ?? tail)
    let copy = try stage(id, whole, in: state, for: Transitions.submitter(in: whole))
    defer { syscalls.close(copy.fileDescriptor) }
    try complete([copy])
    return nil
  }

  /// Takes a record that no line of the log bears out off a claimed file again, and puts back the one before it: after a
  /// power cut the file may have what a run wrote without the rename and the line of that run. false: it stays as it was.
  package func rewind(_ claim: borrowing Claim, to record: [UInt8]?) throws(SpoolError) -> Bool {
    guard mendsTorn, claim.uid == uid, case .success(let job) = claim.content else { return false }
    return try restore(claim.id, head: job.head, tail: Array(job.bytes[job.tail...]), record: record) == nil
  }

  /// Puts the record of a durable end where its file was, when a power cut took what the producer wrote: who syncs nothing
  /// may lose a job, but not an end that was to be seen. What is left of the file goes to `dead/ID.bad`.
  func standIn(_ id: String, in state: JobState, record: JobRecord) throws(SpoolError) {
    try stageBare(id, record: record, for: uid)
    let target = spool.descriptor(state)
    do throws(Errno) {
      do throws(Errno) {
        if try syscalls.status(target, JobID.fileName(id)).size > 0 {
          try syscalls.rename(
            target, JobID.fileName(id), to: spool.descriptor(JobState.dead), "\(id).bad", replacing: true)
        }
      } catch {
        guard error == .noEntry else { throw error }
      }
      try syscalls.rename(
        spool.descriptor(JobState.cur), "\(Transitions.barePrefix)\(id)", to: target, JobID.fileName(id),
        replacing: true)
    } catch {
      throw SpoolError(doing: "putting the record in the place of the job", path: spool.path(of: id, in: state), error)
    }
  }

  /// Puts a file whose durable end was not followed by the rename of its claim, back where the rest of a start looks.
  func takeUp(_ id: String) throws(SpoolError) -> Bool { try move(id, .new, .cur) }

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
  private func stageBare(_ id: String, record: JobRecord, for reader: UInt32) throws(SpoolError) {
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
