/// A place in the audit log that moves on as the log grows: what retention and rollups read, a slice at a time, so that
/// nothing else has to wait. It survives a restart as a file name and an offset. Files it stood in and that are gone are
/// passed over; a place that is none (a file cut back by a crash) becomes the beginning of its file.
internal import Glibc

/// Reads one file of the log in slices.
package struct LogFileReader: Sendable, Equatable {
  package enum Stop: Sendable, Equatable {
    /// There is more, for another slice.
    case more
    /// All whole lines were read; more may come.
    case end
    /// The body did not want the next line.
    case refused
  }

  package let name: String
  /// Where the next line begins.
  package private(set) var offset: Int

  package init(_ name: String, offset: Int = 0) {
    self.name = name
    self.offset = offset
  }

  /// Hands out whole lines without their newline; `body` returns false to leave one, and all after it, for later. A file
  /// that is not there is at its end.
  package mutating func slice(
    in spool: Spool, bytes: Int = 1 << 18, _ body: (UnsafeRawBufferPointer) -> Bool
  ) throws(SpoolError) -> Stop {
    var wanted = bytes
    while true {
      let chunk: [UInt8]
      let isLast: Bool
      do throws(Errno) {
        let fd: Int32
        do throws(Errno) {
          fd = try spool.syscalls.open(
            spool.descriptor(Spool.Folder.log), name, flags: O_RDONLY | O_NOFOLLOW, mode: 0)
        } catch {
          guard error == .noEntry else { throw error }
          return .end
        }
        defer { spool.syscalls.close(fd) }
        let size = try spool.syscalls.status(fd).size
        if offset > size { offset = 0 }
        if offset > 0, try spool.syscalls.read(fd, count: 1, offset: offset - 1) != [0x0A] { offset = 0 }
        chunk = try spool.syscalls.read(fd, count: min(wanted, size - offset), offset: offset)
        isLast = offset + chunk.count >= size
      } catch {
        throw SpoolError(doing: "reading the audit log", path: "\(spool.path)/log/\(name)", error)
      }
      let (used, wasRefused) = chunk.withUnsafeBytes { LogFileReader.lines($0, body) }
      offset += used
      if wasRefused { return .refused }
      if isLast { return .end }
      if used > 0 { return .more }
      // A line longer than the slice.
      wanted *= 2
    }
  }

  private static func lines(
    _ chunk: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Bool
  ) -> (used: Int, wasRefused: Bool) {
    guard let base = chunk.baseAddress else { return (0, false) }
    var start = 0
    while start < chunk.count, let found = memchr(base + start, 0x0A, chunk.count - start) {
      let end = UnsafeRawPointer(found) - base
      if !body(UnsafeRawBufferPointer(start: base + start, count: end - start)) { return (start, true) }
      start = end + 1
    }
    return (start, false)
  }
}

package struct LogCursor: Sendable, Equatable {
  /// nil: before the first file.
  package private(set) var place: LogFileReader?

  package init() {}

  package init(file: String, offset: Int) {
    guard AuditFile(name: file) != nil, offset >= 0 else { return }
    place = LogFileReader(file, offset: offset)
  }

  /// The next slice, from one file to the next; `.end` only at the end of the whole log.
  package mutating func slice(
    in spool: Spool, bytes: Int = 1 << 18, _ body: (UnsafeRawBufferPointer) -> Bool
  ) throws(SpoolError) -> LogFileReader.Stop {
    if place == nil {
      guard let first = try AuditFile.list(spool).first else { return .end }
      place = LogFileReader(first.name)
    }
    guard var reader = place else { return .end }
    let stop = try reader.slice(in: spool, bytes: bytes, body)
    place = reader
    guard stop == .end, let file = AuditFile(name: reader.name) else { return stop }
    guard let next = try AuditFile.list(spool).first(where: { ($0.day, $0.node) > (file.day, file.node) }) else {
      return .end
    }
    place = LogFileReader(next.name)
    return .more
  }
}
