/// Adopting: a job's file that somebody else can still change is replaced by a copy that is ours alone.
///
///     stage       the copy is written beside the original in `cur/`, where no producer may create names, under one that
///                 no job can have
///     sync        many copies together (`SpoolSyscalls.syncCopies`)
///     place       renamed over the original; only now may a line tell of the claim
///
///     crash before the rename     the original is still in cur/, without a `claimed` line; a start removes the copy
///     crash after it              the copy is there, without a `claimed` line: recovery puts it back, uncounted
///
/// A disk that refuses any of it keeps the original: the copy goes, and the claim may be given back.
internal import CSpoolShims
internal import Glibc
internal import JobModel

extension SpoolSyscalls {
  /// Makes copies durable. A few are synced one by one, so that they do not wait for whatever else is to be written on
  /// this disk; for many, one syncfs is less work than a journal commit for each (the figures are in
  /// docs/PERFORMANCE.md). It tells of every write that failed since the first of them was opened (syncfs(2), Linux 5.8).
  package func syncCopies(_ copies: [Int32]) throws(Errno) {
    guard let first = copies.first, copies.count > Limits.copiesSyncedAlone else {
      for copy in copies { try syncData(copy) }
      return
    }
    try syncFileSystem(first)
  }
}

extension Transitions {
  /// How the names of copies begin in `cur/`.
  static let adoptPrefix = ".adopt."
  /// The same for the objects that stand for refused files until they go to `dead/`.
  static let barePrefix = ".bare."

  /// Whether a name in `cur/` is that of a file of ours beside the jobs: for a moment, or left by a crash.
  static func isStaged(_ name: String) -> Bool {
    name.hasPrefix(adoptPrefix) || name.hasPrefix(barePrefix) || name.hasPrefix(editPrefix)
  }

  /// Writes a copy. Whose job it is may read it, as he could his own file, wherever it goes.
  func stage(
    _ id: String, _ bytes: [UInt8], in state: JobState = .cur, for reader: UInt32?
  ) throws(SpoolError) -> Adoption {
    let name = "\(Transitions.adoptPrefix)\(id)"
    let cur = spool.descriptor(JobState.cur)
    do throws(Errno) {
      let fd = try createBeside(name)
      do throws(Errno) {
        try syscalls.write(fd, bytes, offset: 0)
        try syscalls.share(fd, with: reader)
      } catch {
        syscalls.close(fd)
        try? syscalls.unlink(cur, name)
        throw error
      }
      return Adoption(id, in: state, fileDescriptor: fd, bytes: bytes)
    } catch {
      throw SpoolError(doing: "adopting the job", path: spool.path(of: id, in: state), error)
    }
  }

  /// Creates a file of ours in `cur/`. One of that name is an earlier try's.
  func createBeside(_ name: String) throws(Errno) -> Int32 {
    let cur = spool.descriptor(JobState.cur)
    let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
    do throws(Errno) { return try syscalls.open(cur, name, flags: flags, mode: 0o640) } catch {
      guard error == .exists else { throw error }
      try syscalls.unlink(cur, name)
      return try syscalls.open(cur, name, flags: flags, mode: 0o640)
    }
  }

  /// Makes copies durable and puts them in their places, now.
  package func complete(_ adoptions: [Adoption]) throws(SpoolError) {
    guard let first = adoptions.first else { return }
    do throws(Errno) {
      for adoption in adoptions where adoption.isDoubtful {
        try syscalls.write(adoption.fileDescriptor, adoption.bytes, offset: 0)
        adoption.isDoubtful = false
      }
      do throws(Errno) { try syscalls.syncCopies(adoptions.map(\.fileDescriptor)) } catch {
        for adoption in adoptions { adoption.isDoubtful = true }
        throw error
      }
    } catch {
      throw SpoolError(doing: "adopting the job", path: spool.path(of: first.id, in: first.state), error)
    }
    for adoption in adoptions { try place(adoption) }
  }

  /// Renames a copy over the original. It must have been synced.
  package func place(_ adoption: Adoption) throws(SpoolError) {
    do throws(Errno) {
      try syscalls.rename(
        spool.descriptor(JobState.cur), "\(Transitions.adoptPrefix)\(adoption.id)",
        to: spool.descriptor(adoption.state), JobID.fileName(adoption.id), replacing: true)
    } catch {
      throw SpoolError(doing: "adopting the job", path: spool.path(of: adoption.id, in: adoption.state), error)
    }
    adoption.isPlaced = true
    adoption.bytes = []
  }

  /// The original stays. A copy that cannot be removed now goes with the next start, or when the job is claimed again.
  func giveUp(_ adoption: Adoption) {
    guard !adoption.isPlaced else { return }
    try? syscalls.unlink(spool.descriptor(JobState.cur), "\(Transitions.adoptPrefix)\(adoption.id)")
  }

  /// Removes what a dead daemon left beside the jobs in `cur/`. Edits that are to be completed have been.
  func sweepCopies() throws(SpoolError) {
    var copies: [String] = []
    try Scan.names(of: .cur, in: spool) { name in
      if Transitions.isStaged(name) { copies.append(name) }
    }
    for name in copies {
      do throws(Errno) { try syscalls.unlink(spool.descriptor(JobState.cur), name) } catch {
        guard error != .noEntry else { continue }
        throw SpoolError(doing: "removing a copy that was never used", path: "\(spool.path)/cur/\(name)", error)
      }
    }
  }
}
