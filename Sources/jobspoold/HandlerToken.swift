/// The secret that marks this spool's handlers in their environment, so that a daemon finds, and ends, what a dead one
/// left running, and never anything else.
internal import CSpoolShims
internal import Glibc
internal import SpoolStore

enum HandlerToken {
  /// Reads `secret/handler.token`, making it at the first start.
  static func load(_ spool: Spool) throws(SpoolError) -> String {
    let name = "secret/handler.token"
    let path = "\(spool.path)/\(name)"
    do throws(Errno) {
      do throws(Errno) {
        let fd = try spool.syscalls.open(spool.root, name, flags: O_RDONLY | O_NOFOLLOW, mode: 0)
        defer { spool.syscalls.close(fd) }
        let text = String(decoding: try spool.syscalls.read(fd, count: 128, offset: 0), as: UTF8.self)
        let token = text.prefix { $0.isHexDigit }
        if token.count >= 32 { return String(token) }
      } catch {
        guard error == .noEntry else { throw error }
      }
      if mkdirat(spool.root, "secret", 0o700) != 0, errno != EEXIST { throw Errno.current }
      let token = (0..<4).map { _ in String(spool_random() | 1 << 63, radix: 16) }.joined()
      let fd = try spool.syscalls.open(
        spool.root, name, flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
      defer { spool.syscalls.close(fd) }
      try spool.syscalls.write(fd, Array("\(token)\n".utf8), offset: 0)
      try spool.syscalls.sync(fd)
      return token
    } catch {
      throw SpoolError(doing: "reading the handlers' token", path: path, error)
    }
  }
}
