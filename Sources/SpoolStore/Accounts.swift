/// Users and groups of the system, by the calls of getpwuid(3) and getgrouplist(3); names are remembered.
internal import Glibc

package struct Accounts {
  private var names: [UInt32: String] = [:]
  private var memberships: [UInt32: Set<UInt32>] = [:]
  private let daemonUID: UInt32

  /// - Parameter daemonUID: the user the daemon runs as; this process's when it is the daemon.
  package init(daemonUID: UInt32 = geteuid()) { self.daemonUID = daemonUID }

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
    if String(cString: entry.pointee.pw_name) == Accounts.web { return true }
    guard let admin = getgrnam("jobspool-admin")?.pointee.gr_gid else { return false }
    return Accounts.groups(of: uid).contains(admin)
  }

  /// Whether this user may say for whom it acts: root, the user the daemon runs as, the web program's user.
  package mutating func mayVouch(_ uid: UInt32) -> Bool {
    uid == 0 || uid == daemonUID || name(of: uid) == Accounts.web
  }

  /// The user of the packaged web program.
  private static let web = "jobspool-web"

  /// Whether a handler's `allow` lets the subject of a token submit, through the web program: everybody when it is empty,
  /// and whom it names as `web:anna`, or all of them as `web:*`.
  package static func maySubmit(subject: String, _ allow: [String]) -> Bool {
    allow.isEmpty || allow.contains("web:*") || allow.contains("web:\(subject)")
  }

  /// The daemon's own user.
  package func isOwn(_ uid: UInt32) -> Bool { uid == daemonUID }

  /// Whether a handler's `allow` lets this user submit: everybody when it is empty, root and the daemon's user always, and
  /// users and groups (`@staff`) it names. A name the system does not know allows nobody.
  package mutating func maySubmit(_ uid: UInt32, _ allow: [String]) -> Bool {
    if allow.isEmpty || uid == 0 || isOwn(uid) { return true }
    let name = name(of: uid)
    return allow.contains { entry in
      guard entry.hasPrefix("@") else { return entry == name || entry == "\(uid)" }
      guard let group = getgrnam(String(entry.dropFirst()))?.pointee.gr_gid else { return false }
      return groups(of: uid).contains(group)
    }
  }

  /// Forgets who is in which group: an administrator may have changed it.
  package mutating func forgetMemberships() { memberships.removeAll() }

  private mutating func groups(of uid: UInt32) -> Set<UInt32> {
    if let known = memberships[uid] { return known }
    let groups = Accounts.groups(of: uid)
    memberships[uid] = groups
    return groups
  }

  private static func groups(of uid: UInt32) -> Set<UInt32> {
    guard let entry = getpwuid(uid) else { return [] }
    let name = String(cString: entry.pointee.pw_name)
    let primary = entry.pointee.pw_gid
    var count: Int32 = 64
    while true {
      let room = count
      var groups = [gid_t](repeating: 0, count: Int(room))
      if getgrouplist(name, primary, &groups, &count) >= 0 { return Set(groups.prefix(Int(count))) }
      // It says how many there are.
      guard count > room else { return [primary] }
    }
  }
}
