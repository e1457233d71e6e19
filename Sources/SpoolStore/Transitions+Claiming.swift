/// Claiming a job: the rename into `cur/` (`ClaimMoves`), what it makes of the file there, and the line that makes the coming run count.
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
    guard case .file(let file) = try claims.claim(id, as: fresh, limit: limit) else { return nil }
    return try accept(file, sharesSync: sharesSync)
  }

  /// Takes up a file that was claimed: adopts it if need be. After a throw it is back in `new/`, as far as that could be done.
  package func accept(_ file: ClaimedFile, sharesSync: Bool = false) throws(SpoolError) -> Claim {
    let claim: Claim
    do throws(SpoolError) { claim = try take(file, sealing: sealing, sharesSync: sharesSync) } catch {
      // A disk that is full. Nobody looks in cur/ before the next start.
      try? claims.putBack(file.id, as: file.twinOf ?? file.id)
      throw error
    }
    // Before anything tells of the claim: a power cut must not bring back the text in clear under a line that has the
    // lengths of the sealed one. Should it fail, the copy stays in cur/, because in new/ it would count as ours.
    if claim.isSealed { try syncCur() }
    return claim
  }

  /// Takes up a file that lies in `cur/` already, where recovery found it.
  package func read(_ id: String, twinOf: String? = nil, limit: Int) throws(SpoolError) -> Claim? {
    guard let file = try claims.read(id, twinOf: twinOf, limit: limit) else { return nil }
    return try take(file, sealing: nil, sharesSync: false)
  }

  private func take(
    _ file: ClaimedFile, sealing: ((Job) throws(SpoolError) -> [UInt8]?)?, sharesSync: Bool
  ) throws(SpoolError) -> Claim {
    var claimed = file.bytes
    var content = file.content
    var fd = file.fd
    var adoption: Adoption?
    var isSealed = false
    if var bytes = claimed {
      let isOurs = file.isOurs(uid)
      var isMended = false
      if mendsTorn, isOurs, case .failure = content, let job = TornText.mended(bytes, id: file.twinOf ?? file.id) {
        content = .success(job)
        bytes = job.bytes
        isMended = true
      }
      do throws(SpoolError) {
        if let sealing, case .success(let job) = content, let payload = try sealing(job) {
          let sealed = job.replacing(payload: payload)
          content = .success(sealed)
          bytes = sealed.bytes
          isSealed = true
        }
        if !isOurs || isSealed || isMended {
          let copy = try stage(file.id, bytes, for: isOurs ? nil : file.status.uid)
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
      claimed = bytes
    }
    let sha256: String
    switch (content, claimed) {
    case (.success(let job), _):
      sha256 = job.record?.sha256 ?? Digest.sha256(job.bytes[..<job.head], job.bytes[job.tail...])
    case (.failure, let bytes?): sha256 = Digest.sha256(bytes)
    case (.failure, nil): sha256 = Digest.none
    }
    return Claim(
      id: file.id, twinOf: file.twinOf, fd: fd, content: content, uid: file.status.uid,
      firstSeen: WallTime(microseconds: file.status.changed), size: claimed?.count ?? file.status.size, sha256: sha256,
      isSealed: isSealed, adoption: adoption, syscalls: syscalls)
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
