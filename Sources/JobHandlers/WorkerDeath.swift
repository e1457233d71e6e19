internal import Glibc
internal import JobEngine
internal import JobModel

/// How a worker ended that nobody had asked to.
struct WorkerDeath {
  /// What it did: "exited with 1".
  var text: String
  /// It exited with 0 and no job was lost with it.
  var isOrderly: Bool
  /// It read at least a byte.
  var hasRead: Bool

  static func text(_ ending: HandlerEnding, _ words: String?) -> String {
    let said = words.map { " (\($0))" } ?? ""
    switch ending {
    case .exited(let code): return "exited with \(code)\(said)"
    case .signalled(SIGKILL) where MemoryKills.shared.happened():
      return "was killed by the kernel for want of memory (signal 9)\(said)"
    case .signalled(let signal):
      return "was ended by signal \(signal), \(strsignal(signal).map { String(cString: $0) } ?? "unknown")\(said)"
    case .crashed: return "ended, its exit status was lost\(said)"
    }
  }
}
