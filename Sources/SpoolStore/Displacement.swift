/// Whether the folders that a spool was opened with are still the ones at its path. Descriptors go on working in a folder
/// that was moved away or deleted, where nobody looks for jobs: whoever stays open for long asks from time to time.
internal import Glibc

/// A folder of the spool that is not at its path any more.
package struct Displacement: Sendable, Equatable {
  package enum Kind: Sendable { case missing, replaced }
  package var path: String
  package var kind: Kind

  package init(path: String, kind: Kind) {
    self.path = path
    self.kind = kind
  }
}

extension Spool {
  /// The first folder that was moved, deleted or replaced; nil: all is as it was opened. What cannot be told just now
  /// counts as there.
  package func displacement() -> Displacement? {
    if let kind = displacement(of: root, at: AT_FDCWD, path) { return Displacement(path: path, kind: kind) }
    for folder in Folder.allCases {
      guard let kind = displacement(of: descriptor(folder), at: root, folder.rawValue) else { continue }
      return Displacement(path: "\(path)/\(folder.rawValue)", kind: kind)
    }
    return nil
  }

  private func displacement(of fd: Int32, at folder: Int32, _ name: String) -> Displacement.Kind? {
    guard let opened = try? syscalls.status(fd) else { return nil }
    do throws(Errno) {
      let found = try syscalls.status(folder, name)
      return found.inode == opened.inode && found.device == opened.device ? nil : .replaced
    } catch {
      return error == .noEntry || error == Errno(ENOTDIR) ? .missing : nil
    }
  }
}
