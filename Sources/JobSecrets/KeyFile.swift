/// Reading and writing of key files: no link is followed, rights are checked on what was opened, and a file appears whole
/// or not at all.
internal import FoundationEssentials
internal import Glibc

enum KeyFile {
  private static let largest = 1024

  static func failure(_ doing: String, _ path: String) -> SecretProblem {
    let code = errno
    let kind: SecretProblem.Code =
      switch code {
      case ENOENT: .noKey
      case EACCES, EPERM: .denied
      default: .system
      }
    return SecretProblem(kind, "\(doing): \(path): \(String(cString: strerror(code)))")
  }

  static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// - Parameters:
  ///   - forbidden: mode bits that must not be set; `remedy` says how to clear them.
  ///   - ownedByUs: whether the file must belong to us or root.
  static func read(
    _ path: String, forbidden: mode_t, ownedByUs: Bool = true, _ remedy: String
  ) throws(SecretProblem) -> String {
    // Non-blocking, so that a pipe in its place does not hold the program.
    let fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    if fd < 0, errno == ELOOP { throw SecretProblem(.badKey, "\(path) is a link; put the file itself there") }
    guard fd >= 0 else { throw failure("reading the key", path) }
    defer { close(fd) }
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw failure("reading the key", path) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw SecretProblem(.badKey, "\(path) is no regular file") }
    guard !ownedByUs || status.st_uid == geteuid() || status.st_uid == 0 else {
      throw SecretProblem(
        .badKey,
        "\(path) belongs to uid \(status.st_uid); it must belong to the one that runs the daemon (\(geteuid()))")
    }
    guard Credentials.contain(path) || status.st_mode & forbidden == 0 else {
      let mode = String(status.st_mode & 0o7777, radix: 8)
      throw SecretProblem(.badKey, "\(path) has mode 0\(mode), which lets others in; \(remedy)")
    }
    var buffer = [UInt8](repeating: 0, count: largest + 1)
    var count = 0
    while count < buffer.count {
      let got = buffer[count...].withUnsafeMutableBytes { Glibc.read(fd, $0.baseAddress, $0.count) }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw failure("reading the key", path) }
      if got == 0 { break }
      count += got
    }
    guard count <= largest else { throw SecretProblem(.badKey, "\(path) is too large to be a key") }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// The bytes behind the word that begins the line.
  static func parse(_ text: String, word: String, _ path: String) throws(SecretProblem) -> Data {
    let parts = text.split(whereSeparator: \.isWhitespace)
    guard parts.count == 2, parts[0] == word, let bytes = Data(base64Encoded: String(parts[1])) else {
      throw SecretProblem(.badKey, "\(path) is no key file: expected one line, \"\(word)\" and base64")
    }
    return bytes
  }

  /// - Parameter owner: whom the file is given to, which only root may; nil: it stays ours.
  static func write(
    _ bytes: [UInt8], to path: String, mode: mode_t, owner: (user: uid_t, group: gid_t)? = nil, replacing: Bool
  ) throws(SecretProblem) {
    let folder = folder(of: path)
    let temporary = "\(folder)/.key-\(String(UInt64.random(in: 0 ... .max), radix: 36))"
    let fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard fd >= 0 else { throw failure("writing a key into", folder) }
    defer {
      close(fd)
      unlink(temporary)
    }
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("writing the key", path) }
      written += count
    }
    if let owner, fchown(fd, owner.user, owner.group) != 0 { throw failure("giving away the key", path) }
    guard fchmod(fd, mode) == 0, fsync(fd) == 0 else { throw failure("writing the key", path) }
    // A link does not replace what another start made meanwhile.
    guard (replacing ? rename(temporary, path) : link(temporary, path)) == 0 else {
      throw failure("putting the key in place", path)
    }
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("syncing", folder) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw failure("syncing", folder) }
  }
}
