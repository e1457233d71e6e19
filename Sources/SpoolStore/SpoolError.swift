/// What the operating system refused: what we were doing, where, and what to do about it. Bad input is no `SpoolError`
/// (it is a `JobProblem` in a record), a lost race is `nil`.
internal import Glibc

/// An error number of the system.
package struct Errno: Error, Sendable, Hashable {
  package var code: Int32
  package init(_ code: Int32) { self.code = code }

  /// The last call's.
  package static var current: Errno { Errno(errno) }

  package var message: String { String(cString: strerror(code)) }

  package static let noEntry = Errno(ENOENT)
  package static let exists = Errno(EEXIST)
  package static let noSpace = Errno(ENOSPC)
  package static let quota = Errno(EDQUOT)
  package static let access = Errno(EACCES)
  package static let permission = Errno(EPERM)

  /// The disk is full in one of its ways; waiting may help.
  package var isFullDisk: Bool { self == .noSpace || self == .quota }
}

package struct SpoolError: Error, Sendable, CustomStringConvertible {
  /// What kind of trouble; open, so that a caller's `switch` has a default.
  package struct Code: Sendable, Hashable {
    package var name: String
    /// `sysexits` number the command line ends with.
    package var exit: Int32

    /// A call failed that should not have.
    package static let system = Code(name: "system", exit: 71)
    /// The folder is no spool, or its folders are missing.
    package static let noSpool = Code(name: "no_spool", exit: 66)
    /// Its folders lie on different file systems, or on one that cannot rename without replacing.
    package static let badFileSystem = Code(name: "bad_file_system", exit: 78)
    /// Another daemon, or an operator command, holds the spool.
    package static let locked = Code(name: "locked", exit: 75)
    package static let denied = Code(name: "denied", exit: 77)
    package static let noSpace = Code(name: "no_space", exit: 75)
    /// The id is taken.
    package static let exists = Code(name: "exists", exit: 73)
    package static let noSuchJob = Code(name: "no_such_job", exit: 66)
    /// A file is not what the audit log says it durably was.
    package static let damaged = Code(name: "damaged", exit: 65)
    /// The verb does not fit the job's state.
    package static let wrongState = Code(name: "wrong_state", exit: 65)
    /// The text of a job that does not read as one.
    package static let badJob = Code(name: "bad_job", exit: 65)
    /// Only a daemon can do it, and none runs.
    package static let needsDaemon = Code(name: "needs_daemon", exit: 69)
  }

  package var code: Code
  package var message: String
  package var path: String?
  package var errno: Errno?

  package init(_ code: Code, _ message: String, path: String? = nil, errno: Errno? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.errno = errno
  }

  /// A failed call: `doing` is what we wanted, as in "moving the job to cur".
  package init(doing: String, path: String, _ errno: Errno) {
    let code: Code =
      switch errno {
      case _ where errno.isFullDisk: .noSpace
      case .access, .permission: .denied
      default: .system
      }
    self.init(code, doing, path: path, errno: errno)
  }

  /// The device fails, or the file system made itself read-only because of that: waiting will not help.
  package var isDiskFailure: Bool { errno == Errno(EIO) || errno == Errno(EROFS) }

  package var description: String {
    var text = message
    if let path { text += ": \(path)" }
    if let errno { text += ": \(errno.message)" }
    return text
  }
}
