/// Submitting from our own programs: stage and publish.
///
///     write tmp/STAGED   O_EXCL: nobody else's
///     fsync the file     its bytes survive a power cut …
///     rename to new/ID.json without replacing
///     fsync new/         … and so does its name: at that instant the job has been accepted
///
/// A crash before the rename leaves a file in `tmp/` that the sweeper removes; after it, a job that was perhaps never
/// acknowledged, which the submitter's next try with the same id finds. Nothing is ever replaced.
internal import CSpoolShims
internal import Glibc
package import JobModel

package struct Intake: Sendable {
  package let spool: Spool
  /// No submission below this much free space.
  package let minFree: SizeLimit?

  package init(_ spool: Spool, minFree: SizeLimit? = nil) {
    self.spool = spool
    self.minFree = minFree
  }

  /// One job to submit; `bytes` was scanned before.
  package struct Submission: Sendable {
    package var id: String
    package var bytes: [UInt8]
    package init(id: String, bytes: [UInt8]) {
      self.id = id
      self.bytes = bytes
    }
  }

  /// Submits one job durably.
  ///
  /// Throws `exists` when the id has a file in any state (a rejected one may be replaced), `noSpace`, `denied`.
  package func submit(_ submission: Submission) throws(SpoolError) {
    try checkSpace()
    try checkFree(submission.id)
    let staged = Intake.stagedName(submission.id)
    let fd = try stage(submission, as: staged)
    defer { spool.syscalls.close(fd) }
    do throws(SpoolError) {
      try call("syncing the job", staged) { () throws(Errno) in try spool.syscalls.sync(fd) }
      // While it was synced, another of this id may have come and been claimed: the rename would not meet it in new/.
      try checkFree(submission.id)
      try publish(submission.id, staged: staged)
    } catch {
      unstage(staged)
      throw error
    }
    try syncNames(fd)
  }

  /// How many jobs become durable: together, which is less work, or each by itself, which does not wait for what others
  /// have to write to the same file system.
  package enum BulkSync { case fileSystem, eachFile }

  /// Submits many with one durable step for all: writes them, syncs the file system, publishes each, syncs the folder.
  /// Returns what became of each, in order; throws when nothing was accepted at all.
  ///
  /// - Parameter progress: told how many have been written.
  package func submit(
    bulk submissions: [Submission], syncing: BulkSync = .fileSystem, progress: (Int) -> Void = { _ in }
  ) throws(SpoolError) -> [Result<Void, SpoolError>] {
    try checkSpace()
    var results: [Result<Void, SpoolError>] = []
    var staged: [String?] = []
    // Of an id that is there twice the first counts; by the rename alone the second would pass once the first is claimed.
    var places: [String: Int] = [:]
    var repeats: [(index: Int, of: Int)] = []
    var last: Int32 = -1
    defer { if last >= 0 { spool.syscalls.close(last) } }
    for submission in submissions {
      progress(results.count)
      do throws(SpoolError) {
        if let place = places[submission.id] {
          repeats.append((results.count, place))
          throw Intake.taken(submission.id, .new)
        }
        try checkFree(submission.id)
        let name = Intake.stagedName(submission.id)
        let fd = try stage(submission, as: name)
        if last >= 0 { spool.syscalls.close(last) }
        last = fd
        if syncing == .eachFile {
          do throws(SpoolError) {
            try call("syncing the job", name) { () throws(Errno) in try spool.syscalls.sync(fd) }
          } catch {
            unstage(name)
            throw error
          }
        }
        places[submission.id] = results.count
        staged.append(name)
        results.append(.success(()))
      } catch {
        staged.append(nil)
        results.append(.failure(error))
      }
    }
    guard last >= 0 else { return results }
    do throws(SpoolError) {
      if syncing == .fileSystem {
        try call("syncing the jobs", "") { () throws(Errno) in try spool.syscalls.syncFileSystem(last) }
      }
    } catch {
      for name in staged.compactMap({ $0 }) { unstage(name) }
      throw error
    }
    for (index, submission) in submissions.enumerated() {
      guard let name = staged[index] else { continue }
      do throws(SpoolError) {
        try publish(submission.id, staged: name)
      } catch {
        unstage(name)
        results[index] = .failure(error)
      }
    }
    for (index, place) in repeats {
      if case .failure = results[place] { results[index] = results[place] }
    }
    let isAnyThere = results.contains { if case .success = $0 { true } else { false } }
    if isAnyThere { try syncNames(last) }
    return results
  }

  // MARK: Steps

  /// A name in `tmp/` that is no job's: several producers may stage the same id at once, only one will publish it.
  private static func stagedName(_ id: String) -> String { ".\(id).\(String(spool_random(), radix: 36))" }

  private func stage(_ submission: Submission, as name: String) throws(SpoolError) -> Int32 {
    let tmp = spool.descriptor(Spool.Folder.tmp)
    var opened: Int32 = -1
    try call("staging the job", name) { () throws(Errno) in
      opened = try spool.syscalls.open(tmp, name, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o640)
    }
    do throws(Errno) {
      try spool.syscalls.write(opened, submission.bytes, offset: 0)
      return opened
    } catch {
      spool.syscalls.close(opened)
      unstage(name)
      throw SpoolError(doing: "writing the job", path: "\(spool.path)/tmp/\(name)", error)
    }
  }

  private func publish(_ id: String, staged: String) throws(SpoolError) {
    do throws(Errno) {
      try spool.syscalls.rename(
        spool.descriptor(Spool.Folder.tmp), staged, to: spool.descriptor(JobState.new), JobID.fileName(id),
        replacing: false)
    } catch {
      if error == .exists { throw Intake.taken(id, .new) }
      throw SpoolError(doing: "moving the job to new", path: spool.path(of: id, in: .new), error)
    }
  }

  /// Makes the names in `new/` durable, the last of which was given to `file`. Who may not read the folder cannot fsync it
  /// and syncs the file system instead.
  private func syncNames(_ file: Int32) throws(SpoolError) {
    try call("syncing new", "") { () throws(Errno) in
      guard spool.isReadable(.new) else { return try spool.syscalls.syncFileSystem(file) }
      try spool.syscalls.sync(spool.descriptor(JobState.new))
      if spool.isOnBtrfs { try spool.syscalls.awaitFolders(by: file) }
    }
  }

  private func unstage(_ name: String) {
    // Whatever cannot be removed now, the sweeper will.
    try? spool.syscalls.unlink(spool.descriptor(Spool.Folder.tmp), name)
  }

  private func call(_ doing: String, _ name: String, _ body: () throws(Errno) -> Void) throws(SpoolError) {
    do throws(Errno) { try body() } catch {
      throw SpoolError(doing: doing, path: "\(spool.path)/tmp/\(name)", error)
    }
  }

  // MARK: Checks

  private func checkFree(_ id: String) throws(SpoolError) {
    guard let state = try spool.state(of: id) else { return }
    if state == .dead, isRejected(id) { return }
    throw Intake.taken(id, state)
  }

  private func isRejected(_ id: String) -> Bool {
    guard let bytes = try? spool.read(id, in: .dead, limit: 8 << 20), let job = try? JobScanner.scan(bytes) else {
      return false
    }
    return job.record?.outcome == .rejected
  }

  private static func taken(_ id: String, _ state: JobState) -> SpoolError {
    let remedy = state == .dead ? "; 'jobspool requeue \(id)' runs it again" : ""
    return SpoolError(.exists, "the id \(id) exists already, in \(state.rawValue)\(remedy)")
  }

  private func checkSpace() throws(SpoolError) {
    guard let minFree else { return }
    let space = try FreeSpace(spool)
    guard space.isBelow(minFree) else { return }
    throw SpoolError(
      .noSpace,
      "the disk of \(spool.path) has \(SizeText.format((space.bytes >> 20) << 20)) and \(space.inodes) inodes "
        + "free, less than min_free; nothing was submitted, try again later")
  }
}

/// What the spool's file system has left.
package struct FreeSpace: Sendable {
  package var bytes: Int
  package var totalBytes: Int
  package var inodes: Int
  package var totalInodes: Int

  package init(_ spool: Spool) throws(SpoolError) {
    var status = statvfs()
    guard fstatvfs(spool.root, &status) == 0 else {
      throw SpoolError(doing: "asking for free space", path: spool.path, .current)
    }
    let block = Int(clamping: status.f_frsize)
    bytes = FreeSpace.product(status.f_bavail, block)
    totalBytes = FreeSpace.product(status.f_blocks, block)
    inodes = Int(clamping: status.f_favail)
    totalInodes = Int(clamping: status.f_files)
  }

  /// A file system of the network may say that it has more than there are numbers for.
  static func product(_ blocks: some BinaryInteger, _ size: Int) -> Int {
    let (bytes, overflow) = Int(clamping: blocks).multipliedReportingOverflow(by: size)
    return overflow ? .max : bytes
  }

  /// Below `limit` in bytes, or in inodes: a share counts for both, and an absolute limit asks for 1,000 inodes.
  package func isBelow(_ limit: SizeLimit) -> Bool {
    switch limit {
    case .bytes(let wanted): bytes < wanted || (wanted > 0 && totalInodes > 0 && inodes < 1000)
    case .percent(let share):
      Double(bytes) < Double(totalBytes) * share / 100
        || (totalInodes > 0 && Double(inodes) < Double(totalInodes) * share / 100)
    }
  }
}
