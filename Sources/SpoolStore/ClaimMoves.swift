/// The part of a claim that needs only the disk: the rename into `cur/`, and what lies there then, read. It needs neither the
/// log nor the engine, so that another thread can make several while the engine's own goes on.
internal import CSpoolShims
internal import Glibc
internal import JobModel

/// What became of a claim on the disk.
package enum ClaimMove: Sendable {
  /// The file was not there any more, or is a directory; the race is lost.
  case gone
  /// Another file has the name already.
  case taken
  case file(ClaimedFile)
}

/// A file in `cur/` that was read and not taken up yet. Its descriptor is open until `Transitions.accept` had it.
package final class ClaimedFile: Sendable {
  package let id: String
  /// The name it was dropped under, if it was claimed under another.
  let twinOf: String?
  /// -1 when it could not be opened.
  let fd: Int32
  let status: FileStatus
  /// nil when it could not be read.
  let bytes: [UInt8]?
  let content: Result<Job, JobProblem>
  /// A file in `dead/` has the name too.
  package let replacesDead: Bool

  init(
    id: String, twinOf: String?, fd: Int32, status: FileStatus, bytes: [UInt8]?, content: Result<Job, JobProblem>,
    replacesDead: Bool
  ) {
    self.id = id
    self.twinOf = twinOf
    self.fd = fd
    self.status = status
    self.bytes = bytes
    self.content = content
    self.replacesDead = replacesDead
  }

  /// It belongs to the daemon, and has no other name.
  func isOurs(_ uid: UInt32) -> Bool { status.uid == uid && status.links == 1 }
}

package struct ClaimMoves: Sendable {
  private let spool: Spool
  private let uid = geteuid()

  package init(_ spool: Spool) { self.spool = spool }

  /// Renames `new/ID.json` into `cur/` and reads it, unless the id is that of a job which runs, is held, or is done.
  ///
  /// - Parameter limit: bytes a job may have.
  package func claimFirst(_ id: String, limit: Int) throws(SpoolError) -> ClaimMove {
    for state in [JobState.done, .hold] where try spool.exists(id, in: state) { return .taken }
    return try claim(id, limit: limit, replacesDead: try spool.exists(id, in: .dead))
  }

  /// The same whatever else has the id.
  ///
  /// - Parameter fresh: claim it under this id instead, to be judged as a twin of `id`.
  func claim(
    _ id: String, as fresh: String? = nil, limit: Int, replacesDead: Bool = false
  ) throws(SpoolError) -> ClaimMove {
    let claimed = fresh ?? id
    do throws(Errno) {
      let name = JobID.fileName(id)
      try spool.syscalls.rename(
        spool.descriptor(JobState.new), name, to: spool.descriptor(JobState.cur),
        fresh.map(JobID.fileName) ?? name, replacing: false)
    } catch {
      if error == .noEntry { return .gone }
      if error == .exists { return .taken }
      throw SpoolError(doing: "claiming the job", path: spool.path(of: id, in: .new), error)
    }
    do throws(SpoolError) {
      let file = try read(claimed, twinOf: fresh == nil ? nil : id, limit: limit, replacesDead: replacesDead)
      return file.map { .file($0) } ?? .gone
    } catch {
      // A disk that is full, or no descriptors left. Nobody looks in cur/ before the next start, so it goes back to where
      // it is looked for; if not even that can be done, that start finds it.
      try? putBack(claimed, as: id)
      throw error
    }
  }

  /// Reads what lies in `cur/` already. nil: nothing, or nothing to take up, which is back in `new/`.
  func read(
    _ id: String, twinOf: String? = nil, limit: Int, replacesDead: Bool = false
  ) throws(SpoolError) -> ClaimedFile? {
    let syscalls = spool.syscalls
    let name = JobID.fileName(id)
    let cur = spool.descriptor(JobState.cur)
    let status: FileStatus
    do throws(Errno) { status = try syscalls.status(cur, name) } catch {
      if error == .noEntry { return nil }
      throw SpoolError(doing: "looking at the job", path: spool.path(of: id, in: .cur), error)
    }
    func refused(_ problem: JobProblem, fd: Int32 = -1) -> ClaimedFile {
      ClaimedFile(
        id: id, twinOf: twinOf, fd: fd, status: status, bytes: nil, content: .failure(problem),
        replacesDead: replacesDead)
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
    let fd: Int32
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
      throw SpoolError(doing: "opening the job", path: spool.path(of: id, in: .cur), error)
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
    let content: Result<Job, JobProblem>
    // A twin carries the id it was dropped under.
    do throws(JobProblem) { content = .success(try JobScanner.scan(bytes, id: twinOf ?? id)) } catch {
      content = .failure(error)
    }
    return ClaimedFile(
      id: id, twinOf: twinOf, fd: fd, status: status, bytes: bytes, content: content, replacesDead: replacesDead)
  }

  /// What was claimed and is nothing to take up goes back to where it was.
  private func putBackUnread(_ id: String, as name: String) throws(SpoolError) {
    do throws(Errno) { try putBack(id, as: name) } catch {
      throw SpoolError(doing: "putting back what is no job", path: spool.path(of: id, in: .cur), error)
    }
  }

  func putBack(_ id: String, as name: String) throws(Errno) {
    try spool.syscalls.rename(
      spool.descriptor(JobState.cur), JobID.fileName(id), to: spool.descriptor(JobState.new), JobID.fileName(name),
      replacing: false)
  }
}
