/// Login codes that have been used, so that each works once: kept until they expire, and in a file, so that a restart does not make
/// them new. The file is `$STATE_DIRECTORY/used-logins` (systemd), else `secret/used-logins` beside the key.
internal import Glibc
internal import JobModel
internal import NIOConcurrencyHelpers

final class LoginBook: Sendable {
  private struct State {
    var used: [String: Double] = [:]
    var isRead = false
  }

  private let state = NIOLockedValueBox(State())

  /// Marks a code as used. Blocks on the disk.
  ///
  /// Throws when it was used before, or cannot be remembered: then it must not count.
  func use(_ id: String, until expiry: Double, now: Double, folder: String) throws(TokenRefusal) {
    let path = LoginBook.path(folder)
    let failure: TokenRefusal? = state.withLockedValue { state in
      if !state.isRead { state.used = LoginBook.read(path) }
      state.isRead = true
      state.used = state.used.filter { $0.value > now }
      guard state.used[id] == nil else {
        return TokenRefusal(message: "this login link was used before; make a new one")
      }
      guard LoginBook.write(id, expiry, path, fresh: state.used.isEmpty) else {
        return TokenRefusal(
          message: "cannot remember the login in \(path): \(String(cString: strerror(errno)))", isOurFault: true)
      }
      state.used[id] = expiry
      return nil
    }
    if let failure { throw failure }
  }

  private static func path(_ folder: String) -> String {
    let state = getenv("STATE_DIRECTORY").map { String(cString: $0) } ?? "\(folder)/secret"
    return "\(state)/used-logins"
  }

  private static func read(_ path: String) -> [String: Double] {
    guard let file = fopen(path, "re") else { return [:] }
    defer { fclose(file) }
    var used: [String: Double] = [:]
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, Int32(line.count), file) != nil {
      let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .split(whereSeparator: \.isWhitespace)
      if words.count == 2, let expiry = Double(words[1]) { used[String(words[0])] = expiry }
    }
    return used
  }

  /// - Parameter fresh: nothing in the file matters any more.
  private static func write(_ id: String, _ expiry: Double, _ path: String, fresh: Bool) -> Bool {
    let fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_TRUNC : 0), 0o600)
    guard fd >= 0 else { return false }
    defer { close(fd) }
    var text = "\(id) \(expiry)\n"
    let count = text.utf8.count
    return text.withUTF8 { Glibc.write(fd, $0.baseAddress, $0.count) } == count && fsync(fd) == 0
  }
}
