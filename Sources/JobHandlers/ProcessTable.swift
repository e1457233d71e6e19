internal import CSpoolShims
internal import Glibc

/// What /proc says about processes (proc(5)). A process may end between any two reads: then the answer is nil.
enum ProcessTable {
  /// From /proc/PID/stat.
  struct Entry {
    var state: UInt8
    var parent: pid_t
    var group: pid_t
    var session: pid_t
    /// A thread of the kernel's own (PF_KTHREAD in the kernel's sched.h), which has no program.
    var isKernels: Bool
    /// Dead, waiting for its parent to take notice.
    var isZombie: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
  }

  static func entry(_ pid: pid_t) -> Entry? {
    guard let text = read("/proc/\(pid)/stat", limit: 4096) else { return nil }
    // The name in parentheses may hold anything, parentheses and spaces included: count from the last one.
    guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = text[(end + 1)...].split(separator: UInt8(ascii: " "), maxSplits: 7)
    func number(_ index: Int) -> pid_t? { pid_t(String(decoding: fields[index], as: UTF8.self)) }
    guard fields.count > 6, let state = fields[0].first, let parent = number(1), let group = number(2),
      let session = number(3), let flags = UInt64(String(decoding: fields[6], as: UTF8.self))
    else { return nil }
    return Entry(state: state, parent: parent, group: group, session: session, isKernels: flags & 0x0020_0000 != 0)
  }

  /// All processes there are.
  static func all() -> [pid_t] {
    guard let folder = opendir("/proc") else { return [] }
    defer { closedir(folder) }
    var pids: [pid_t] = []
    while let item = readdir(folder) {
      let name = withUnsafePointer(to: &item.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let pid = pid_t(name) { pids.append(pid) }
    }
    return pids
  }

  /// Whether the environment `pid` was started with holds every one of `entries` (`NAME=value`), exactly. False for
  /// zombies and for processes whose environment we may not read.
  static func environment(of pid: pid_t, holds entries: [[UInt8]]) -> Bool {
    let text = environment(of: pid)
    return entries.allSatisfy { contains(text, [0] + $0 + [0]) }
  }

  /// Whether that environment has a variable of this name, whatever its value.
  static func environment(of pid: pid_t, names name: String) -> Bool {
    contains(environment(of: pid), [0] + Array(name.utf8) + [UInt8(ascii: "=")])
  }

  /// In the middle of execve(2), or of its end: it has neither arguments nor an environment, so whose it is does not show.
  static func isBetweenPrograms(_ pid: pid_t) -> Bool {
    guard let arguments = read("/proc/\(pid)/cmdline", limit: 1), arguments.isEmpty, let entry = entry(pid) else {
      return false
    }
    return !entry.isKernels && !entry.isZombie
  }

  /// With a NUL before each entry and after it; just that NUL when there is none to be read.
  private static func environment(of pid: pid_t) -> [UInt8] {
    // The kernel caps arguments and environment together at 6 MiB (execve(2)).
    [0] + (read("/proc/\(pid)/environ", limit: 6 << 20) ?? [])
  }

  private static func contains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
    text.withUnsafeBytes { text in
      part.withUnsafeBytes { part in spool_contains(text.baseAddress, text.count, part.baseAddress, part.count) != 0 }
    }
  }

  /// A whole small file; nil when it cannot be read.
  static func read(_ path: String, limit: Int) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return read(file, limit: limit)
  }

  /// From the start of `file` to its end or `limit`; nil on an error.
  static func read(_ file: Int32, limit: Int) -> [UInt8]? {
    var text: [UInt8] = []
    var failed = false
    // Read beside the text, not into its end: this runs after every job, and growing an array by a lazy sequence costs a
    // debug build ten milliseconds.
    var room = 4096
    while text.count < limit {
      room = min(room, limit - text.count)
      let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        repeat { count = pread(file, buffer.baseAddress, room, off_t(text.count)) } while count < 0 && errno == EINTR
        failed = count < 0
        count = max(count, 0)
      }
      if failed { return nil }
      if piece.isEmpty { break }
      text += piece
      room = 65536
    }
    return text
  }
}
