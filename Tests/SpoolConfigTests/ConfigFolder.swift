/// A temporary spool and system folder with configuration files in them; removed when the last reference goes.
import Glibc
import JobModel
import SpoolConfig

final class ConfigFolder {
  let path: String
  var spool: String { path + "/spool" }
  var system: String { path + "/etc" }

  init() {
    var template = Array("/tmp/jobspool-config-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil, "mkdtemp: \(errno)")
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    for folder in ["", "/handlers", "/schedules"] { mkdir(spool + folder, 0o755) }
    mkdir(system, 0o755)
  }

  deinit { Self.remove(path) }

  /// Writes `name`, relative to the spool.
  func write(_ name: String, _ text: String) { write(name, Array(text.utf8)) }

  func write(_ name: String, _ bytes: [UInt8]) { Self.put(spool + "/" + name, bytes) }

  func writeSystem(_ name: String, _ text: String) { Self.put(system + "/" + name, Array(text.utf8)) }

  func load(config: String? = nil) -> Configuration {
    Configuration.load(spool: spool, config: config, system: system)
  }

  /// Problems as the user sees them, with paths relative to the spool.
  func lines(_ problems: [ConfigProblem]) -> [String] {
    problems.map { problem in
      var relative = problem
      if relative.file.hasPrefix(spool + "/") { relative.file.removeFirst(spool.count + 1) }
      return relative.description
    }
  }

  private static func put(_ path: String, _ bytes: [UInt8]) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    precondition(descriptor >= 0, "\(path): errno \(errno)")
    precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    close(descriptor)
  }

  private static func remove(_ path: String) {
    if let stream = opendir(path) {
      while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { remove(path + "/" + name) }
      }
      closedir(stream)
    }
    Glibc.remove(path)
  }
}
