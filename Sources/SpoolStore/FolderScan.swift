/// A folder's names, a read at a time, so that a long list holds up nobody: the bytes of each name and its inode as the
/// directory has them, without a string or a look at any file. What comes or goes meanwhile may be told or not, which is the
/// caller's to know; everything that was there from beginning to end is told once.
internal import CSpoolShims
internal import Glibc

package final class FolderScan {
  /// Bytes of a read: some thousand names, looked up in a fraction of a millisecond. A turn of the engine has one of them,
  /// and only as many jobs as ended since the last.
  package static let long = 1 << 16
  /// Some five hundred, for who does more than look a name up.
  package static let short = 1 << 15

  private let size: Int

  private let spool: Spool
  private let path: String
  private let descriptor: Int32
  private let buffer: UnsafeMutableRawPointer
  /// When the folder had last been changed as the scan began.
  package let modified: Int64

  /// Opens the folder anew, by its name: it may have been replaced.
  package init(_ folder: Spool.Folder, of spool: Spool, size: Int = long) throws(SpoolError) {
    self.spool = spool
    self.size = size
    path = "\(spool.path)/\(folder.rawValue)"
    do throws(Errno) {
      descriptor = try spool.syscalls.open(
        spool.root, folder.rawValue, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
      do throws(Errno) { modified = try spool.syscalls.status(descriptor).modified } catch {
        spool.syscalls.close(descriptor)
        throw error
      }
    } catch {
      throw SpoolError(doing: "listing the folder", path: path, error)
    }
    buffer = .allocate(byteCount: size, alignment: 8)
  }

  deinit {
    spool.syscalls.close(descriptor)
    buffer.deallocate()
  }

  /// One read; false at the end. The bytes are valid during the call only.
  package func next(
    _ body: (_ name: UnsafeBufferPointer<UInt8>, _ inode: UInt64) -> Void
  ) throws(SpoolError) -> Bool {
    let got = spool_getdents(descriptor, buffer, size)
    if got == 0 { return false }
    guard got > 0 else { throw SpoolError(doing: "listing the folder", path: path, .current) }
    var offset = 0
    while offset < got {
      // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
      let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
      let start = (buffer + offset + 19).assumingMemoryBound(to: UInt8.self)
      let count = strlen(UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
      if start[0] != 46 || (count > 1 && (count > 2 || start[1] != 46)) {
        body(
          UnsafeBufferPointer(start: start, count: count), buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        )
      }
      offset += length
    }
    return true
  }
}

extension Spool {
  /// When the folder was last changed, by its name.
  package func modified(_ folder: Folder) throws(SpoolError) -> Int64 {
    do throws(Errno) { return try syscalls.status(root, folder.rawValue).modified } catch {
      throw SpoolError(doing: "looking at the folder", path: "\(path)/\(folder.rawValue)", error)
    }
  }
}
