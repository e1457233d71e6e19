/// Users and groups of the system, by the calls of getpwuid(3) and getgrouplist(3); names are remembered.
internal import Glibc

package struct Accounts {
  private var names: [UInt32: String] = [:]
  private let daemonUID = geteuid()

  package init() {}

  /// The login name, or the number as text for a user the system does not know.
  package mutating func name(of uid: UInt32) -> String {
    if let known = names[uid] { return known }
    let name = getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? "\(uid)"
    names[uid] = name
    return name
  }

  /// Whether this user may operate the queue: root, the user the daemon runs as, the web program's user, or a member of
  /// the group `jobspool-admin`.
  package func isOperator(_ uid: UInt32) -> Bool {
    if uid == 0 || uid == daemonUID { return true }
    guard let entry = getpwuid(uid) else { return false }
    let name = String(cString: entry.pointee.pw_name)
    if name == "jobspool-web" { return true }
    let primary = entry.pointee.pw_gid
    guard let admin = getgrnam("jobspool-admin")?.pointee.gr_gid else { return false }
    var count: Int32 = 256
    var groups = [gid_t](repeating: 0, count: Int(count))
    guard getgrouplist(name, primary, &groups, &count) >= 0 else { return false }
    return groups.prefix(Int(count)).contains(admin)
  }
}
