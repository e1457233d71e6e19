/// Small files at the top of the spool that are replaced whole, such as `status.json`: read without following links and
/// without waiting, nil for whatever cannot be read. For views, which say less without them and never fail.
internal import Glibc

extension Spool {
  /// A regular file of at most `limit` bytes, at the top or at a relative path below it.
  package func readRoot(_ name: String, limit: Int) -> [UInt8]? {
    guard let fd = try? syscalls.open(root, name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, mode: 0) else {
      return nil
    }
    defer { syscalls.close(fd) }
    guard let status = try? syscalls.status(fd), status.kind == .regular, status.size <= limit else { return nil }
    return try? syscalls.read(fd, count: status.size, offset: 0)
  }

  /// Whether anything has this name at the top or at a relative path below it.
  package func hasRoot(_ name: String) -> Bool { (try? syscalls.status(root, name)) != nil }
}
