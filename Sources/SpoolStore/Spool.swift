/// An open spool: descriptors of its folders, through which everything else works. The folders are the truth; this value
/// holds no state of its own, so any number of them may exist in any number of processes.
internal import CSpoolShims
internal import Glibc
package import JobModel

package struct Spool: Sendable {
  /// A folder of the spool, with what it is for.
  package enum Folder: String, Sendable, CaseIterable {
    case tmp, new, cur, done, dead, hold, ctl, log
  }

  /// Absolute, without symbolic links.
  package let path: String
  package let syscalls: any SpoolSyscalls
  /// A folder's fsync is not to be relied on alone: see `syncNames`.
  let isOnBtrfs: Bool
  private let descriptors: Descriptors

  /// Keeps the descriptors open as long as any copy of the spool lives.
  private final class Descriptors: Sendable {
    let root: Int32
    let folders: [Int32]
    /// Folders we may enter but not list (a producer in a system spool).
    let unreadable: Set<Folder>
    init(root: Int32, folders: [Int32], unreadable: Set<Folder>) {
      self.root = root
      self.folders = folders
      self.unreadable = unreadable
    }
    deinit {
      for fd in folders + [root] { close(fd) }
    }
  }

  /// Opens an existing spool.
  ///
  /// Throws `noSpool` when a folder is missing, `badFileSystem` when they lie on several file systems, `denied` when
  /// this user may not enter.
  package init(_ path: String, syscalls: any SpoolSyscalls = RealSyscalls()) throws(SpoolError) {
    let root: Int32
    do throws(Errno) {
      root = try Spool.openRoot(path, syscalls)
    } catch {
      if error == .noEntry {
        throw SpoolError(.noSpool, "no such spool; make one with 'jobspool init \(path)'", path: path)
      }
      throw SpoolError(doing: "opening the spool", path: path, error)
    }
    var opened = [root]
    var folders: [Int32] = []
    var unreadable = Set<Folder>()
    do throws(SpoolError) {
      var device: UInt64?
      for folder in Folder.allCases {
        let fd: Int32
        do throws(Errno) {
          fd = try Spool.open(folder, below: root, syscalls, &unreadable)
        } catch {
          if error == .noEntry || error == Errno(ENOTDIR) || error == Errno(ELOOP) {
            throw SpoolError(
              .noSpool,
              "\(path) is no spool: the folder \(folder.rawValue)/ is missing; 'jobspool init \(path)' adds it")
          }
          if error == .access { throw Spool.closed(path, root) }
          throw SpoolError(doing: "opening the folder", path: "\(path)/\(folder.rawValue)", error)
        }
        opened.append(fd)
        folders.append(fd)
        let found = try Spool.device(of: fd, path: "\(path)/\(folder.rawValue)", syscalls)
        if let device, found != device {
          throw SpoolError(
            .badFileSystem,
            "\(path)/\(folder.rawValue) lies on another file system than \(path)/tmp; a job changes state by rename, "
              + "which cannot cross file systems: put all folders on one")
        }
        device = found
      }
    } catch {
      for fd in opened { syscalls.close(fd) }
      throw error
    }
    self.path = Spool.absolute(path)
    self.syscalls = syscalls
    isOnBtrfs = syscalls.fileSystem(root) == 0x9123_683E
    descriptors = Descriptors(root: root, folders: folders, unreadable: unreadable)
  }

  /// What somebody reads who is not let in.
  private static func closed(_ path: String, _ root: Int32) -> SpoolError {
    var status = stat()
    var remedy = "ask its owner to let you in"
    if fstat(root, &status) == 0, status.st_mode & S_IXGRP != 0, let group = getgrgid(status.st_gid) {
      let name = String(cString: group.pointee.gr_name)
      remedy = "its users are the group \(name): as root 'adduser NAME \(name)', then log in anew"
    }
    return SpoolError(.denied, "you may not use the spool \(path); \(remedy)")
  }

  /// A producer of a system spool may pass through its top without listing it.
  private static func openRoot(_ path: String, _ syscalls: any SpoolSyscalls) throws(Errno) -> Int32 {
    do throws(Errno) {
      return try syscalls.open(AT_FDCWD, path, flags: O_RDONLY | O_DIRECTORY, mode: 0)
    } catch {
      guard error == .access else { throw error }
      return try syscalls.open(AT_FDCWD, path, flags: spool_o_path() | O_DIRECTORY, mode: 0)
    }
  }

  private static func open(
    _ folder: Folder, below root: Int32, _ syscalls: any SpoolSyscalls, _ unreadable: inout Set<Folder>
  ) throws(Errno) -> Int32 {
    let flags = O_DIRECTORY | O_NOFOLLOW
    do throws(Errno) {
      return try syscalls.open(root, folder.rawValue, flags: O_RDONLY | flags, mode: 0)
    } catch {
      guard error == .access else { throw error }
      // A producer may rename into the folder without being able to list it.
      unreadable.insert(folder)
      return try syscalls.open(root, folder.rawValue, flags: spool_o_path() | flags, mode: 0)
    }
  }

  private static func device(of fd: Int32, path: String, _ syscalls: any SpoolSyscalls) throws(SpoolError) -> UInt64 {
    do throws(Errno) { return try syscalls.status(fd).device } catch {
      throw SpoolError(doing: "looking at the folder", path: path, error)
    }
  }

  package var root: Int32 { descriptors.root }

  package func descriptor(_ folder: Folder) -> Int32 {
    descriptors.folders[Folder.allCases.firstIndex(of: folder) ?? 0]
  }

  /// The only place that knows where a state's files lie; a mode for several hosts would claim into a folder per node.
  package func descriptor(_ state: JobState) -> Int32 {
    switch state {
    case .new: descriptor(Folder.new)
    case .cur: descriptor(Folder.cur)
    case .done: descriptor(Folder.done)
    case .dead: descriptor(Folder.dead)
    case .hold: descriptor(Folder.hold)
    }
  }

  package func isReadable(_ folder: Folder) -> Bool { !descriptors.unreadable.contains(folder) }

  package func path(of id: String, in state: JobState) -> String { "\(path)/\(state.rawValue)/\(id).json" }

  package func logPath(of id: String) -> String { "\(path)/log/jobs/\(id).log" }

  /// The first state in which the id has a file. Looks in the direction jobs move, so that a job on its way is not missed.
  ///
  /// Throws `denied` when this user may not even test for names.
  package func state(of id: String) throws(SpoolError) -> JobState? {
    for state in [JobState.new, .cur, .done, .dead, .hold, .new] {
      if try exists(id, in: state) { return state }
    }
    return nil
  }

  package func exists(_ id: String, in state: JobState) throws(SpoolError) -> Bool {
    do throws(Errno) {
      _ = try syscalls.status(descriptor(state), JobID.fileName(id))
      return true
    } catch {
      if error == .noEntry { return false }
      throw SpoolError(doing: "looking for the job", path: path(of: id, in: state), error)
    }
  }

  /// Whether the bytes of a refused file lie in `dead/` beside its record.
  func exists(refused id: String) throws(SpoolError) -> Bool {
    do throws(Errno) {
      _ = try syscalls.status(descriptor(JobState.dead), "\(id).bad")
      return true
    } catch {
      if error == .noEntry { return false }
      throw SpoolError(doing: "looking for the refused file", path: "\(path)/dead/\(id).bad", error)
    }
  }

  /// The whole file, at most `limit` bytes and one more; nil when it is not there or no regular file.
  package func read(_ id: String, in state: JobState, limit: Int) throws(SpoolError) -> [UInt8]? {
    do throws(Errno) {
      let fd = try syscalls.open(
        descriptor(state), JobID.fileName(id), flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, mode: 0)
      defer { syscalls.close(fd) }
      let status = try syscalls.status(fd)
      guard status.kind == .regular else { return nil }
      return try syscalls.read(fd, count: min(status.size, limit + 1), offset: 0)
    } catch {
      if error == .noEntry || error == Errno(ELOOP) { return nil }
      throw SpoolError(doing: "reading the job", path: path(of: id, in: state), error)
    }
  }

  static func absolute(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}

extension Spool {
  /// Makes sure that the file system can rename without replacing, on which every claim rests.
  package func checkRename() throws(SpoolError) {
    let tmp = descriptor(Folder.tmp)
    // A name nobody can have taken: a pipe that a producer put there would hold the start.
    let name = ".rename-check.\(String(spool_random(), radix: 36))"
    do throws(Errno) {
      let fd = try syscalls.open(tmp, name, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      syscalls.close(fd)
      defer { try? syscalls.unlink(tmp, "\(name).moved") }
      try syscalls.rename(tmp, name, to: tmp, "\(name).moved", replacing: false)
    } catch {
      if error == Errno(EINVAL) || error == Errno(ENOSYS) {
        throw SpoolError(
          .badFileSystem,
          "the file system of \(path) cannot rename without replacing (RENAME_NOREPLACE); put the spool on ext4, xfs, "
            + "btrfs or tmpfs")
      }
      throw SpoolError(doing: "trying a rename", path: "\(path)/tmp/\(name)", error)
    }
  }

  /// Makes the folders of a spool, with the modes given by `modes` (0750 by default); existing ones are left alone.
  package static func create(_ path: String, modes: [Folder: UInt32] = [:]) throws(SpoolError) {
    func make(_ path: String, _ mode: UInt32) throws(SpoolError) {
      guard mkdir(path, mode) != 0 else { return }
      let failure = Errno.current
      var status = stat()
      if failure == .exists, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
      throw SpoolError(doing: "making the folder", path: path, failure)
    }
    try make(path, 0o755)
    for folder in Folder.allCases { try make("\(path)/\(folder.rawValue)", modes[folder] ?? 0o750) }
    try make("\(path)/log/jobs", 0o750)
    for folder in ["handlers", "schedules"] { try make("\(path)/\(folder)", 0o755) }
    try make("\(path)/secret", 0o700)
  }
}
