/// Copies of keys that systemd keeps in memory for one unit (`LoadCredential=`): the originals stay root's.
internal import Glibc

package enum Credentials {
  private static var folder: String? {
    getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
  }

  /// The copy of that name; nil when there is none.
  package static func file(_ name: String) -> String? {
    guard let path = folder.map({ "\($0)/\(name)" }), access(path, F_OK) == 0 else { return nil }
    return path
  }

  /// Whether a file is such a copy. It is this unit's alone whatever its mode says: an ACL shows in the place of the group.
  static func contain(_ path: String) -> Bool { folder.map { path.hasPrefix("\($0)/") } ?? false }
}
