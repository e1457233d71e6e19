/// Claiming a job: the rename into `cur/`, what is read there, and the line that makes the coming run count.
internal import CSpoolShims
internal import Glibc
package import JobModel

extension Transitions {
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
  static func writeShape(of job: Job, to writer: inout JSONWriter) {
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
}
