/// Where backups go: a folder with one subfolder for each, named by the time it was taken, and `latest`, which points to the
/// newest whole one. It may be on another machine: whatever is done there is done by rsync.
internal import Glibc
internal import JobModel
internal import SpoolStore

struct BackupPlace {
  let path: String
  let rsync: Rsync

  init(_ path: String, rsync: Rsync) {
    // rsync takes what stands before a colon for a host; a slash before it says that it is none.
    let isRemote = BackupPlace.isRemote(path)
    let absolute = isRemote || path.hasPrefix("/") ? path : "\(BackupPlace.workingFolder)/\(path)"
    self.path = absolute.count > 1 && absolute.hasSuffix("/") ? String(absolute.dropLast()) : absolute
    self.rsync = rsync
  }

  var isRemote: Bool { BackupPlace.isRemote(path) }

  /// Whether it is here and lies within a folder that exists, however both are written.
  func isWithin(_ folder: String) -> Bool {
    guard !isRemote, let folder = BackupPlace.real(folder) else { return false }
    // What does not exist yet will be made below what does; rsync makes no `..`.
    var existing = path
    while BackupPlace.real(existing) == nil, let slash = existing.lastIndex(of: "/"), slash > existing.startIndex {
      existing = String(existing[..<slash])
    }
    guard let place = BackupPlace.real(existing) else { return false }
    return place == folder || place.hasPrefix("\(folder)/")
  }

  /// Without links, dots and repeated slashes; nil for what does not exist.
  private static func real(_ path: String) -> String? {
    guard let text = realpath(path, nil) else { return nil }
    defer { free(text) }
    return String(cString: text)
  }

  private static func isRemote(_ path: String) -> Bool {
    if path.hasPrefix("rsync://") { return true }
    guard let colon = path.firstIndex(of: ":") else { return false }
    return !path[..<colon].contains("/")
  }

  private static var workingFolder: String {
    guard let path = getcwd(nil, 0) else { return "." }
    defer { free(path) }
    return String(cString: path)
  }

  /// `2026-11-21T140509Z`: sorts by time, and no colon that rsync could misread.
  static func name(at time: WallTime) -> String { String(time.rfc3339.prefix(19).filter { $0 != ":" }) + "Z" }

  static func isName(_ name: some StringProtocol) -> Bool {
    let bytes = Array(name.utf8)
    return bytes.count == 18 && bytes.last == UInt8(ascii: "Z")
      && zip(bytes, "0000-00-00T000000Z".utf8).allSatisfy { $1 == 48 ? (48...57).contains($0) : $0 == $1 }
  }

  struct Generations {
    var whole: [String] = []
    var unfinished: [String] = []
  }

  /// What is there, oldest first; those without a `backup.json` are unfinished.
  func generations() throws -> Generations {
    let arguments = ["-r", "--include=/*/", "--include=/*/\(BackupManifest.name)", "--exclude=*"]
    let paths = try rsync.list(arguments, at: "\(path)/") ?? []
    let whole = Set(
      paths.filter { $0.hasSuffix("/\(BackupManifest.name)") }.map { String($0.prefix { $0 != "/" }) })
    let all = paths.filter { BackupPlace.isName($0) }.sorted()
    return Generations(whole: all.filter(whole.contains), unfinished: all.filter { !whole.contains($0) })
  }

  /// Removes generations, whole or not.
  func remove(_ names: [String]) throws {
    guard !names.isEmpty else { return }
    let empty = try ScratchFolder()
    // What the source does not have is deleted, as far as the filters let rsync look.
    let filters = names.map { "--include=/\($0)/***" } + ["--exclude=*"]
    try rsync.copy(
      ["--delete", "--no-p", "--no-o", "--no-g", "--no-t"] + filters, from: "\(empty.path)/", to: "\(path)/")
  }

  /// Points `latest` to a generation.
  func point(to name: String) throws {
    let folder = try ScratchFolder()
    guard symlink(name, "\(folder.path)/latest") == 0 else {
      throw Failure("cannot make a link in \(folder.path): \(String(cString: strerror(errno)))", exit: 71)
    }
    // To the folder, not to the link in it: rsync would follow that one into the generation before.
    try rsync.copy([], from: "\(folder.path)/latest", to: "\(path)/")
  }
}

/// A folder for temporary files that goes with this value.
final class ScratchFolder {
  let path: String

  /// - Parameter parent: where; a disk of its own may be needed. The folder for temporary files by default.
  init(in parent: String? = nil) throws {
    let parent = parent ?? Console.environment("TMPDIR") ?? "/tmp"
    var template = Array("\(parent)/.jobspool-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw Failure("cannot make a folder in \(parent): \(String(cString: strerror(errno)))", exit: 71)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    let path = "\(path)/\(name)"
    let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
    guard fd >= 0 else { throw SpoolError(doing: "writing the file", path: path, .current) }
    defer { close(fd) }
    do throws(Errno) { try RealSyscalls().write(fd, bytes, offset: 0) } catch {
      throw SpoolError(doing: "writing the file", path: path, error)
    }
  }

  deinit {
    // The folder is ours; what stays behind if this fails is named like nothing else.
    _ = try? ChildProgram.run(
      "/bin/rm", ["rm", "-rf", "--", path], input: [], extra: nil, captures: true)
  }
}
