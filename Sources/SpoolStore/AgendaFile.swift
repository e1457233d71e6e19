/// `log/agenda.checkpoint`: what the agenda knew of the jobs in `new/` when it was written, so that a start need not open a
/// million files. Derived, and never believed further than that: the names in `new/` decide what is there, an inode that
/// changed sends the start to the file, and every claim reads the file as it is.
///
///     magic 8 · the entries, as `Agenda` writes them · footer, JSON · its length 8 · magic 8
///
/// The footer names the line of the audit log up to which the entries know; when that line is not in its place (a power cut
/// took it, or somebody moved the log), the whole file is passed over.
internal import CSpoolShims
internal import Glibc
package import JobModel

package enum AgendaFile {
  package static let name = "agenda.checkpoint"
  private static let staged = ".agenda.checkpoint"
  private static let magic: [UInt8] = Array("JSAGEND1".utf8)
  private static let footerLimit = 16 << 20

  /// Writes a checkpoint piece by piece.
  package final class Writer: @unchecked Sendable {
    // Handed from the engine to the thread that finishes it, never used by both.
    private let spool: Spool
    private var fd: Int32
    private var offset: Int

    package init(_ spool: Spool) throws(SpoolError) {
      self.spool = spool
      do throws(Errno) {
        fd = try spool.syscalls.open(
          spool.descriptor(Spool.Folder.log), AgendaFile.staged, flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
          mode: 0o640)
        try spool.syscalls.write(fd, AgendaFile.magic, offset: 0)
      } catch {
        throw AgendaFile.failed(error, spool)
      }
      offset = AgendaFile.magic.count
    }

    deinit { if fd >= 0 { spool.syscalls.close(fd) } }

    package func add(_ entries: [UInt8]) throws(SpoolError) {
      do throws(Errno) { try spool.syscalls.write(fd, entries, offset: offset) } catch {
        throw AgendaFile.failed(error, spool)
      }
      offset += entries.count
    }

    /// Makes it count, once it is durable as a whole, and the log up to the line it stands for.
    package func finish(_ footer: [UInt8], log: String) throws(SpoolError) {
      do throws(Errno) {
        var end = footer
        withUnsafeBytes(of: UInt64(footer.count)) { end.append(contentsOf: $0) }
        try spool.syscalls.write(fd, end + AgendaFile.magic, offset: offset)
        try spool.syscalls.syncData(fd)
        let folder = spool.descriptor(Spool.Folder.log)
        let audit = try spool.syscalls.open(folder, log, flags: O_RDONLY | O_NOFOLLOW, mode: 0)
        defer { spool.syscalls.close(audit) }
        try spool.syscalls.syncData(audit)
        try spool.syscalls.rename(folder, AgendaFile.staged, to: folder, AgendaFile.name, replacing: true)
      } catch {
        throw AgendaFile.failed(error, spool)
      }
    }
  }

  /// Reads one, some at a time.
  package final class Reader {
    private let spool: Spool
    private let fd: Int32
    private var offset: Int
    private let end: Int
    /// What the writer said about the entries.
    package let footer: JSONValue

    /// nil: there is none, or it is not whole.
    package init?(_ spool: Spool) {
      self.spool = spool
      guard
        let fd = try? spool.syscalls.open(
          spool.descriptor(Spool.Folder.log), AgendaFile.name, flags: O_RDONLY | O_NOFOLLOW, mode: 0)
      else { return nil }
      self.fd = fd
      offset = AgendaFile.magic.count
      let parts = try? AgendaFile.footer(of: fd, spool)
      end = parts?.end ?? 0
      footer = parts?.value ?? .null
      guard parts != nil else { return nil }
    }

    deinit { spool.syscalls.close(fd) }

    /// The next bytes, nil at the end. `body` takes whole entries and tells how many bytes they had; nil: what it finds is
    /// none.
    package func next(
      count: Int = 1 << 16, _ body: (UnsafeRawBufferPointer) -> Int?
    ) throws(SpoolError) -> Bool {
      guard offset < end else { return false }
      let bytes: [UInt8]
      do throws(Errno) { bytes = try spool.syscalls.read(fd, count: min(count, end - offset), offset: offset) } catch {
        throw AgendaFile.failed(error, spool)
      }
      guard let used = bytes.withUnsafeBytes(body), used > 0 else { return false }
      offset += used
      return true
    }
  }

  private static func footer(of fd: Int32, _ spool: Spool) throws(Errno) -> (value: JSONValue, end: Int)? {
    let size = try spool.syscalls.status(fd).size
    guard size >= 3 * magic.count, try spool.syscalls.read(fd, count: magic.count, offset: 0) == magic else {
      return nil
    }
    let tail = try spool.syscalls.read(fd, count: 16, offset: size - 16)
    guard tail.count == 16, Array(tail[8...]) == magic else { return nil }
    let length = tail.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    guard length <= UInt64(min(footerLimit, size - 3 * magic.count)) else { return nil }
    let end = size - 16 - Int(length)
    let text = try spool.syscalls.read(fd, count: Int(length), offset: end)
    guard let value = try? JSONReader.parse(text) else { return nil }
    return (value, end)
  }

  private static func failed(_ error: Errno, _ spool: Spool) -> SpoolError {
    SpoolError(doing: "writing the agenda's checkpoint", path: "\(spool.path)/log/\(name)", error)
  }
}

extension MappedFile {
  /// Whether a line ends just before `place`, and has this hash.
  package func hasLine(endingAt place: Int, hash: String) -> Bool {
    guard place > 0, place <= bytes.count, let base = bytes.baseAddress, bytes[place - 1] == 0x0A else { return false }
    let start = place > 1 ? spool_memrchr(base, 0x0A, place - 1).map { UnsafeRawPointer($0) - base + 1 } ?? 0 : 0
    return Digest.sha256(UnsafeRawBufferPointer(start: base + start, count: place - 1 - start)) == hash
  }
}
