internal import Glibc

/// The account a handler's `user` names, from the user database.
package struct Account: Sendable, Equatable {
  package var user: UInt32
  package var group: UInt32
  package var name: String
  package var home: String
  package var shell: String

  package init(user: UInt32, group: UInt32, name: String, home: String, shell: String) {
    self.user = user
    self.group = group
    self.name = name
    self.home = home
    self.shell = shell
  }

  /// nil when there is no such user.
  package init?(named name: String) {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 4096)
    while getpwnam_r(name, &entry, &buffer, buffer.count, &found) == ERANGE {
      buffer = [CChar](repeating: 0, count: buffer.count * 2)
    }
    guard found != nil else { return nil }
    func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
    self.init(
      user: entry.pw_uid, group: entry.pw_gid, name: name, home: text(entry.pw_dir), shell: text(entry.pw_shell))
  }

  /// Whether this process may become someone else: and end what then is someone else's: CAP_SETUID,
  /// CAP_SETGID and CAP_KILL in its effective set (capabilities(7)).
  static func mayChange() -> Bool {
    guard let status = ProcessTable.read("/proc/self/status", limit: 16384) else { return geteuid() == 0 }
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    guard let digits = line?.split(separator: "\t").last, let capabilities = UInt64(digits, radix: 16) else {
      return geteuid() == 0
    }
    let kill: UInt64 = 1 << 5
    let setgid: UInt64 = 1 << 6
    let setuid: UInt64 = 1 << 7
    let needed = kill | setgid | setuid
    return capabilities & needed == needed
  }
}
