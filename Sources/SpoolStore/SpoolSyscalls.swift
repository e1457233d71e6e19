/// The calls to the disk that change or read a spool, and nothing else. Tests wrap the real ones to fail or to stop at
/// the n-th call, which is how every crash of the crash table is tried.
internal import CSpoolShims
internal import Glibc
internal import JobModel

/// What `fstatat` tells of a file.
package struct FileStatus: Sendable, Equatable {
  package enum Kind: Sendable { case regular, directory, symbolicLink, other }
  package var kind: Kind
  package var mode: UInt32
  package var uid: UInt32
  package var links: Int
  package var size: Int
  /// Microseconds since 1970.
  package var changed: Int64
  package var modified: Int64
  package var device: UInt64
  package var inode: UInt64
}

package protocol SpoolSyscalls: Sendable {
  /// Opens relative to a directory descriptor; O_CLOEXEC is always added.
  func open(_ directory: Int32, _ name: String, flags: Int32, mode: UInt32) throws(Errno) -> Int32
  func close(_ fd: Int32)
  /// Reads up to `count` bytes at `offset`; fewer only at the end of the file.
  func read(_ fd: Int32, count: Int, offset: Int) throws(Errno) -> [UInt8]
  /// Writes all of `bytes` at `offset`, or throws with any part of it written.
  func write(_ fd: Int32, _ bytes: [UInt8], offset: Int) throws(Errno)
  /// Writes at the end with one call; returns how many bytes got there.
  func append(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int
  func truncate(_ fd: Int32, size: Int) throws(Errno)
  /// `replacing: false` is RENAME_NOREPLACE.
  func rename(_ from: Int32, _ name: String, to: Int32, _ newName: String, replacing: Bool) throws(Errno)
  func unlink(_ directory: Int32, _ name: String) throws(Errno)
  func sync(_ fd: Int32) throws(Errno)
  func syncData(_ fd: Int32) throws(Errno)
  /// syncfs(2): everything on the file system `fd` lies on.
  func syncFileSystem(_ fd: Int32) throws(Errno)
  /// The magic number of the file system `fd` lies on (statfs(2)); -1 when it cannot be told.
  func fileSystem(_ fd: Int32) -> Int64
  /// Does not follow a link in the last component.
  func status(_ directory: Int32, _ name: String) throws(Errno) -> FileStatus
  func status(_ fd: Int32) throws(Errno) -> FileStatus
  /// An entry of the access control list: this user may read the open file.
  func grantRead(_ fd: Int32, to uid: UInt32) throws(Errno)
}

extension SpoolSyscalls {
  package func fileSystem(_ fd: Int32) -> Int64 { spool_file_system(fd) }

  package func grantRead(_ fd: Int32, to uid: UInt32) throws(Errno) {
    guard spool_grant_read(fd, uid) == 0 else { throw .current }
  }

  /// Waits until what others' syncs of folders are writing is on the disk. On btrfs an fsync of a folder that somebody else
  /// is syncing can return at once, before either is durable (seen on Linux 6.18, `Tests/PowerLoss/early-sync.py`); one of
  /// a file that nobody else syncs waits for all of it. A file without a name is not worth that to the kernel, so then the
  /// file system is synced.
  func awaitFolders(by file: Int32) throws(Errno) {
    try sync(file)
    if try status(file).links == 0 { try syncFileSystem(file) }
  }

  /// Lets the one whose job it is read a file of ours. Where the file system has no such lists, the modes say all.
  package func share(_ fd: Int32, with uid: UInt32?) throws(Errno) {
    guard let uid, uid != 0, uid != geteuid() else { return }
    do throws(Errno) { try grantRead(fd, to: uid) } catch {
      guard error == Errno(EOPNOTSUPP) else { throw error }
    }
  }
}

/// The kernel's.
package struct RealSyscalls: SpoolSyscalls {
  package init() {}

  package func open(_ directory: Int32, _ name: String, flags: Int32, mode: UInt32) throws(Errno) -> Int32 {
    while true {
      let fd = spool_openat(directory, name, flags | O_CLOEXEC, mode)
      if fd >= 0 { return fd }
      if errno != EINTR { throw .current }
    }
  }

  package func close(_ fd: Int32) { _ = Glibc.close(fd) }

  package func read(_ fd: Int32, count: Int, offset: Int) throws(Errno) -> [UInt8] {
    var failure: Errno?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let got = pread(fd, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
        if got == 0 { return }
        if got < 0 {
          if errno == EINTR { continue }
          failure = .current
          return
        }
        filled += got
      }
    }
    if let failure { throw failure }
    return bytes
  }

  package func write(_ fd: Int32, _ bytes: [UInt8], offset: Int) throws(Errno) {
    var failure: Errno?
    bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let put = pwrite(fd, buffer.baseAddress! + written, buffer.count - written, off_t(offset + written))
        if put < 0 {
          if errno == EINTR { continue }
          failure = .current
          return
        }
        written += put
      }
    }
    if let failure { throw failure }
  }

  package func append(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    while true {
      let put = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      if put >= 0 { return put }
      if errno != EINTR { throw .current }
    }
  }

  package func truncate(_ fd: Int32, size: Int) throws(Errno) {
    guard ftruncate(fd, off_t(size)) == 0 else { throw .current }
  }

  package func rename(
    _ from: Int32, _ name: String, to: Int32, _ newName: String, replacing: Bool
  ) throws(Errno) {
    let flags = replacing ? SPOOL_RENAME_REPLACE : SPOOL_RENAME_NOREPLACE
    guard spool_renameat2(from, name, to, newName, flags) == 0 else { throw .current }
  }

  package func unlink(_ directory: Int32, _ name: String) throws(Errno) {
    guard unlinkat(directory, name, 0) == 0 else { throw .current }
  }

  package func sync(_ fd: Int32) throws(Errno) {
    guard fsync(fd) == 0 else { throw .current }
  }

  package func syncData(_ fd: Int32) throws(Errno) {
    guard fdatasync(fd) == 0 else { throw .current }
  }

  package func syncFileSystem(_ fd: Int32) throws(Errno) {
    guard spool_syncfs(fd) == 0 else { throw .current }
  }

  package func status(_ directory: Int32, _ name: String) throws(Errno) -> FileStatus {
    var status = stat()
    guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { throw .current }
    return FileStatus(status)
  }

  package func status(_ fd: Int32) throws(Errno) -> FileStatus {
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw .current }
    return FileStatus(status)
  }
}

extension FileStatus {
  /// A file's owner may set any time, and some file systems keep it: WallTime keeps it within bounds.
  private static func microseconds(_ time: timespec) -> Int64 {
    WallTime(seconds: Int64(time.tv_sec)).microseconds + Int64(time.tv_nsec) / 1000
  }

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFLNK: .symbolicLink
      default: .other
      }
    mode = status.st_mode & 0o7777
    uid = status.st_uid
    links = Int(status.st_nlink)
    size = Int(status.st_size)
    changed = FileStatus.microseconds(status.st_ctim)
    modified = FileStatus.microseconds(status.st_mtim)
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
