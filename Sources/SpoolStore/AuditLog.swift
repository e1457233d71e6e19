/// The writer of the audit log: one JSON line per event, one file per node and UTC day, each line holding the hash of the
/// one before it. Only who holds the spool's lock may have one.
///
/// Lines are composed in memory and written by `flush` with one write; `descriptor` is what a group commit syncs. A
/// write that a full disk cuts short is taken back, so the file never holds half a batch that will be written again.
/// A torn last line, which only a crash can leave, is cut off when the log is opened, and `repaired` says so; after a power
/// cut, so is what lies behind a hole.
internal import Glibc
package import JobModel

package final class AuditLog {
  package let node: String
  /// The number of the next line.
  package private(set) var sequence: Int
  /// Bytes cut off at the end.
  package private(set) var repaired = 0
  /// The hash of the last line.
  package private(set) var head: String
  /// How the daemon before us ended.
  package private(set) var previous = PreviousRun()

  /// One file of the log, opened twice: the kernel tells of bytes that it could not write once for each opening (fsync(2)),
  /// so whoever syncs on a thread of its own and `commit` have one each, and both hear of it.
  private struct Opened {
    let fd: Int32
    let own: Int32
  }

  private let spool: Spool
  private var file: Opened
  private var day: String { didSet { dayEnds = AuditLog.end(ofDay: day) } }
  /// The first moment of the day after, in microseconds: most lines need no more than this to know their file.
  private var dayEnds: Int64 = 0
  private var size: Int
  private var pending: [UInt8] = []
  /// A short write could not be taken back: there are bytes behind `size` that must go before the next write.
  private var isTorn = false
  /// Files of earlier days that have lines not yet known to be durable.
  private var retired: [Opened] = []

  /// Opens the newest file of this node and repairs its end; makes the first one when there is none.
  package init(_ spool: Spool, node: String, now: WallTime) throws(SpoolError) {
    self.spool = spool
    self.node = node
    let all = try AuditFile.list(spool)
    let files = all.filter { $0.node == node }
    // A clock set back must not reopen an earlier file: the chain only grows at its end.
    day = max(files.last?.day ?? now.day, now.day)
    // Nor may our lines stand before those of another node, as they would in a spool that moved here today.
    if let last = all.last, last.node != node, (day, node) < (last.day, last.node) {
      day = node > last.node ? last.day : AuditLog.day(after: last.day)
    }
    dayEnds = AuditLog.end(ofDay: day)
    sequence = 1
    head = Digest.none
    size = 0
    file = Opened(fd: -1, own: -1)
    try findEnd(files)
    // Of whole lines only: a torn one that began as the last of an orderly stop is none.
    previous = try PreviousRun(files, in: spool)
    if previous.hadPowerCut { try mend(files) }
    file = try AuditLog.open(AuditFile.name(node: node, day: day), in: spool)
  }

  /// Takes from `files`, which are this node's, what is not whole at their end, and notes where the chain goes on.
  private func findEnd(_ files: [AuditFile]) throws(SpoolError) {
    (head, sequence, size) = (Digest.none, 1, 0)
    for file in files.reversed() {
      let (lineHash, lineSequence, kept, cut) = try AuditLog.end(of: file, in: spool)
      if file.day == day { size = kept }
      if cut > 0 {
        // Whatever the day: a file torn before midnight is not the newest any more when the next daemon opens the log.
        repaired += cut
        try AuditLog.cut(file.name, to: kept, in: spool)
      }
      if let lineHash, let lineSequence {
        (head, sequence) = (lineHash, lineSequence + 1)
        return
      }
    }
  }

  /// After a power cut: cuts the log where zeros stand for lines.
  ///
  /// A line written to a block that the disk has already may be lost while a later one, which began a new block, is there
  /// (ext4 with `data=ordered`). No sync that covered the lost line can have ended, so none of a line behind it either:
  /// they go too, as if the power had gone a moment earlier, and the chain is whole again. Looks as far back as the kernel
  /// may have kept bytes from the disk (`Recovery.window`).
  private func mend(_ files: [AuditFile]) throws(SpoolError) {
    guard let hole = try firstHole(files) else { return }
    // The newest first: cut short in the middle of this, it is found again.
    for file in files[hole.index...].reversed() {
      let kept = file == files[hole.index] ? hole.offset : 0
      repaired += max(0, try MappedFile(file.name, in: spool).bytes.count - kept)
      try AuditLog.cut(file.name, to: kept, in: spool)
    }
    try findEnd(files)
  }

  private func firstHole(_ files: [AuditFile]) throws(SpoolError) -> (index: Int, offset: Int)? {
    var hole: (index: Int, offset: Int)?
    var newest: WallTime?
    var isFar = false
    for (index, file) in files.enumerated().reversed() where !isFar {
      let map = try MappedFile(file.name, in: spool)
      guard let base = map.bytes.baseAddress else { continue }
      // A file that was torn before midnight, with lines in the next.
      let rest = map.bytes.count - (map.bytes.lastIndex(of: 0x0A) ?? -1) - 1
      if rest > 0 { hole = (index, map.bytes.count - rest) }
      map.linesBackwards { line in
        if line.contains(0), let start = line.baseAddress { hole = (index, start - base) }
        if let time = AuditLine(line)?.time {
          newest = newest ?? time
          isFar = newest.map { $0 - time > Recovery.window } ?? false
        }
        return !isFar
      }
    }
    return hole
  }

  deinit {
    if file.fd >= 0 { close([file]) }
    close(retired)
  }

  private func close(_ files: [Opened]) {
    for file in files {
      spool.syscalls.close(file.own)
      spool.syscalls.close(file.fd)
    }
  }

  /// Adds a line; `fields` writes what is special about the event. Nothing reaches the disk before `flush`.
  package func append(
    _ event: AuditEvent, at time: WallTime, job: String? = nil, type: String? = nil, from: JobState? = nil,
    to: JobState? = nil, attempt: Int? = nil, by: String = "daemon",
    _ fields: (inout JSONWriter) -> Void = { _ in }
  ) throws(SpoolError) {
    if time.microseconds >= dayEnds, time.day > day { try roll(to: time.day) }
    var writer = JSONWriter(reserving: 384)
    writer.beginObject()
    writer.key("ts")
    writer.time(time)
    writer.key("seq")
    writer.int(sequence)
    writer.key("event")
    writer.string(event.rawValue)
    if let job {
      writer.key("job")
      writer.string(job)
    }
    if let type {
      writer.key("type")
      writer.string(type)
    }
    if let from {
      writer.key("from")
      writer.string(from.rawValue)
    }
    if let to {
      writer.key("to")
      writer.string(to.rawValue)
    }
    if let attempt {
      writer.key("attempt")
      writer.int(attempt)
    }
    writer.key("by")
    writer.string(by)
    fields(&writer)
    writer.key("prev")
    writer.string(head)
    writer.endObject()
    head = Digest.sha256(writer.bytes)
    sequence += 1
    pending.append(contentsOf: writer.bytes)
    pending.append(0x0A)
  }

  package var hasPending: Bool { !pending.isEmpty }

  /// Why a sync failed. The kernel says so once and forgets what it could not write (fsync(2)), so no later success means
  /// anything. That goes for a full disk too: ext4, xfs and btrfs refuse the write and never the sync; where the sync is
  /// refused (a thin pool, NFS), lines are gone.
  package private(set) var failure: Errno?

  /// The file being written and how long it is; what is pending is not in it.
  package var place: (file: String, size: Int) { (AuditFile.name(node: node, day: day), size) }

  /// Writes all pending lines with one call. After a throw they are still pending and the file is as it was before.
  package func flush() throws(SpoolError) {
    guard !pending.isEmpty else { return }
    do throws(Errno) {
      if isTorn {
        try spool.syscalls.truncate(file.fd, size: size)
        isTorn = false
      }
      let written = try spool.syscalls.append(file.fd, pending[...])
      guard written == pending.count else {
        isTorn = true
        try spool.syscalls.truncate(file.fd, size: size)
        isTorn = false
        throw Errno.noSpace
      }
      size += written
      pending.removeAll(keepingCapacity: true)
    } catch {
      throw SpoolError(doing: "writing the audit log", path: currentPath, error)
    }
  }

  /// What has to be synced for all flushed lines to be durable.
  package var descriptors: [Int32] { (retired + [file]).map(\.fd) }

  /// Tells that everything flushed so far has been synced.
  package func synced() {
    close(retired)
    retired.removeAll()
  }

  /// Flushes and makes it durable at once, for callers without a group commit. After a throw the lines may be lost, also if
  /// a later sync succeeds: see `failure`.
  ///
  /// - Parameter closing: close the files of earlier days, as `synced` does; not while another thread syncs them.
  package func commit(closing: Bool = true) throws(SpoolError) {
    try flush()
    do throws(Errno) {
      if let failure { throw failure }
      for file in retired + [file] { try spool.syscalls.syncData(file.own) }
    } catch {
      failure = error
      throw SpoolError(doing: "syncing the audit log", path: currentPath, error)
    }
    if closing { synced() }
  }

  /// Removes a file that retention has no use for any more. A line says so first, with where the chain of that node goes on,
  /// so that `audit verify` can tell it from a file that somebody took away. The file being written stays.
  package func retire(_ file: AuditFile, at time: WallTime) throws(SpoolError) {
    guard file.name != AuditFile.name(node: node, day: day) else { return }
    let (hash, last, _, _) = try AuditLog.end(of: file, in: spool)
    try append(.purged, at: time) { writer in
      writer.key("file")
      writer.string(file.name)
      writer.key("reason")
      writer.string("retention: older than retain.log")
      if let hash, let last {
        writer.key("last_seq")
        writer.int(last)
        writer.key("last_hash")
        writer.string(hash)
      }
    }
    try flush()
    do throws(Errno) { try spool.syscalls.unlink(spool.descriptor(Spool.Folder.log), file.name) } catch {
      guard error == .noEntry else {
        throw SpoolError(doing: "removing an old audit file", path: "\(spool.path)/log/\(file.name)", error)
      }
    }
  }

  private static func end(ofDay day: String) -> Int64 {
    WallTime(rfc3339: "\(day)T00:00:00Z").map { $0.microseconds + 86_400_000_000 } ?? 0
  }

  private var currentPath: String { "\(spool.path)/log/\(AuditFile.name(node: node, day: day))" }

  private func roll(to next: String) throws(SpoolError) {
    try flush()
    let opened = try AuditLog.open(AuditFile.name(node: node, day: next), in: spool)
    retired.append(file)
    file = opened
    day = next
    size = 0
  }

  private static func day(after day: String) -> String {
    let midnight = WallTime(rfc3339: "\(day)T00:00:00Z") ?? .latest
    return (midnight + .seconds(86_400)).day
  }

  /// Cuts a file of a copied log back to its first `size` bytes; nil: it came later, and goes.
  static func cutBack(_ file: AuditFile, to size: Int?, in spool: Spool) throws(SpoolError) {
    if let size {
      guard try MappedFile(file.name, in: spool).bytes.count >= size else {
        throw SpoolError(.damaged, "is shorter than when it was copied", path: "\(spool.path)/log/\(file.name)")
      }
      return try cut(file.name, to: size, in: spool)
    }
    do throws(Errno) { try spool.syscalls.unlink(spool.descriptor(Spool.Folder.log), file.name) } catch {
      throw SpoolError(doing: "removing an audit file", path: "\(spool.path)/log/\(file.name)", error)
    }
  }

  private static func open(_ name: String, in spool: Spool) throws(SpoolError) -> Opened {
    do throws(Errno) {
      let log = spool.descriptor(Spool.Folder.log)
      let fd = try spool.syscalls.open(log, name, flags: O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o640)
      do throws(Errno) {
        // A new day's first line must not be lost with the file's name.
        try spool.syscalls.sync(log)
        return Opened(fd: fd, own: try spool.syscalls.open(log, name, flags: O_RDONLY | O_NOFOLLOW, mode: 0))
      } catch {
        spool.syscalls.close(fd)
        throw error
      }
    } catch {
      throw SpoolError(doing: "opening the audit log", path: "\(spool.path)/log/\(name)", error)
    }
  }

  private static func cut(_ name: String, to size: Int, in spool: Spool) throws(SpoolError) {
    do throws(Errno) {
      let fd = try spool.syscalls.open(spool.descriptor(Spool.Folder.log), name, flags: O_WRONLY | O_NOFOLLOW, mode: 0)
      defer { spool.syscalls.close(fd) }
      try spool.syscalls.truncate(fd, size: size)
      // Nothing else syncs a file that is not written any more.
      try spool.syscalls.syncData(fd)
    } catch {
      throw SpoolError(doing: "cutting off a torn line", path: "\(spool.path)/log/\(name)", error)
    }
  }

  /// The hash and number of the last whole line, how many bytes are whole, and how many are not.
  private static func end(
    of file: AuditFile, in spool: Spool
  ) throws(SpoolError) -> (hash: String?, sequence: Int?, kept: Int, cut: Int) {
    let map = try MappedFile(file.name, in: spool)
    var kept = map.bytes.count
    while kept > 0 {
      // Only what ends with a newline can be whole; zeros from a power cut are no JSON.
      let start = (map.bytes[..<kept].dropLast().lastIndex(of: 0x0A) ?? -1) + 1
      if map.bytes[kept - 1] == 0x0A {
        let line = UnsafeRawBufferPointer(rebasing: map.bytes[start..<kept - 1])
        // A result inside a record may hold what the strict reader refuses: it is the handler's, and only kept.
        if let parsed = try? JSONReader.parse(
          Array(line), rawKeys: ["record"], slack: JSONReader.ownLevels), let sequence = parsed["seq"]?.int,
          AuditCheck.numbers.contains(sequence)
        {
          return (Digest.sha256(line), sequence, kept, map.bytes.count - kept)
        }
      }
      kept = start
    }
    return (nil, nil, 0, map.bytes.count)
  }
}
