internal import CSpoolShims
internal import Glibc

/// Finds a handler's program before anything is started, so that a missing one pauses its type and burns no attempt.
package enum ProgramLookup {
  /// The program cannot be run; says which and why.
  package struct Problem: Error, Sendable, Equatable {
    package var message: String
    package init(_ message: String) { self.message = message }
  }

  /// The absolute path of `name`: as it stands when absolute, relative to `folder` when it holds a slash, else the first
  /// executable of that name in `searchPath` (entries that are empty or relative are passed over: what a bare name
  /// runs must not depend on the working directory).
  package static func find(
    _ name: String, folder: String, searchPath: String
  ) throws(Problem) -> String {
    guard !name.isEmpty else { throw Problem("the program's name is empty") }
    if name.utf8.contains(UInt8(ascii: "/")) {
      let path = name.hasPrefix("/") ? name : "\(folder)/\(name)"
      if let obstacle = obstacle(path) { throw Problem("\(path) \(obstacle)") }
      return path
    }
    for entry in searchPath.split(separator: ":") where entry.hasPrefix("/") {
      let path = "\(entry)/\(name)"
      if obstacle(path) == nil { return path }
    }
    throw Problem("\"\(name)\" is not in the daemon's PATH (\(searchPath))")
  }

  /// ST_NOEXEC of statvfs(3), which is no POSIX and so not in the Glibc module.
  private static let noExecution: UInt = 8

  /// Why `path` cannot be executed; nil when it can.
  static func obstacle(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      switch errno {
      case ENOENT, ENOTDIR: return "does not exist"
      case EACCES: return "cannot be reached: a folder on its path may not be searched"
      default: return "cannot be examined: \(String(cString: strerror(errno)))"
      }
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return "is not a file" }
    guard access(path, X_OK) == 0 else {
      var mount = statvfs()
      let isForbidden = statvfs(path, &mount) == 0 && mount.f_flag & noExecution != 0
      return isForbidden
        ? "lies on a file system mounted noexec, from which nothing may be executed" : "may not be executed (chmod +x)"
    }
    return nil
  }
}
