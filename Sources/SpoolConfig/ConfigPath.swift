/// Paths and bytes: the only file here that touches the disk. It reads regular files of at most 1 MiB and lists
/// folders; what it cannot read it describes, and never follows a FIFO or device into a wait.
private import Glibc

enum ConfigPath {
  /// No configuration file is larger; one that is was not written by hand.
  static let largestFile = 1 << 20

  enum Content {
    case bytes([UInt8])
    case absent
    case fault(String)
  }

  static func read(_ path: String) -> Content {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { return errno == ENOENT || errno == ENOTDIR ? .absent : .fault(reason(errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .fault(reason(errno)) }
    if let fault = fault(of: status) { return .fault(fault) }
    // One more than allowed: the file may have grown since.
    var bytes = [UInt8](repeating: 0, count: largestFile + 1)
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes { buffer in
        Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
      }
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        return .fault(reason(errno))
      }
      filled += count
    }
    guard filled <= largestFile else { return .fault(tooLarge) }
    bytes.removeLast(bytes.count - filled)
    return .bytes(bytes)
  }

  /// Why `path` is no file that can be read; nil when it is one.
  static func fault(ofFile path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return reason(errno) }
    if let fault = fault(of: status) { return fault }
    return access(path, R_OK) == 0 ? nil : reason(errno)
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func isSame(_ one: String, _ other: String) -> Bool {
    var (first, second) = (stat(), stat())
    guard stat(one, &first) == 0, stat(other, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  /// Names in a folder, sorted; hidden ones (an editor's) left out.
  static func names(in folder: String) -> Result<[String], Failure> {
    guard let stream = opendir(folder) else {
      return errno == ENOENT ? .success([]) : .failure(Failure(message: reason(errno)))
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    guard errno == 0 else { return .failure(Failure(message: reason(errno))) }
    return .success(names.sorted())
  }

  struct Failure: Error { var message: String }

  /// `path`, taken as relative to the folder of `file`.
  static func resolve(_ path: String, besideFile file: String) -> String {
    path.hasPrefix("/") ? path : join(parent(of: file), path)
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func join(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
  }

  private static let tooLarge = "is larger than 1 MiB"

  private static func fault(of status: stat) -> String? {
    switch status.st_mode & S_IFMT {
    case S_IFREG: status.st_size > largestFile ? tooLarge : nil
    case S_IFDIR: "is a folder, not a file"
    default: "is not a regular file"
    }
  }

  private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
