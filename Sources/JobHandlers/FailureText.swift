internal import Glibc
internal import JobEngine
internal import JobModel

/// What to say about a failed attempt whose handler said nothing itself.
enum FailureText {
  /// nil when the attempt succeeded.
  static func describe(_ end: AttemptEnd, lastWords: String?, request: AttemptRequest) -> JobError? {
    let said = lastWords.map { ": \($0)" } ?? ""
    switch end.stopReason {
    case .timeout:
      return JobError(code: "timeout", message: "ran longer than \(DurationText.format(request.timeout))\(said)")
    case .stalled:
      let silence = DurationText.format(request.stalledAfter ?? .zero)
      return JobError(code: "stalled", message: "gave no sign of life for \(silence)\(said)")
    case .cancelled: return JobError(code: "cancelled", message: "was cancelled while it ran")
    case .shutdown: return JobError(code: "shutdown", message: "was interrupted by the end of the daemon")
    case nil: break
    }
    switch end.ending {
    case .exited(0): return nil
    case .exited(let code): return JobError(code: "exit", message: "exit code \(code)\(said)")
    case .signalled(SIGKILL) where MemoryKills.shared.happened():
      return JobError(
        code: "out_of_memory", message: "killed by the kernel for want of memory (signal 9)\(said)")
    case .signalled(let signal):
      let name = strsignal(signal).map { String(cString: $0) } ?? "unknown"
      return JobError(code: "signal", message: "ended by signal \(signal) (\(name))\(said)")
    case .crashed: return JobError(code: "lost", message: "ended, but its exit status was lost\(said)")
    }
  }
}

/// The last line a handler wrote to standard error that was not blank: mostly the reason it failed.
struct LastWords {
  private static let limit = 500
  private var line: [UInt8] = []
  private var previous: [UInt8] = []

  mutating func hear(_ bytes: UnsafeBufferPointer<UInt8>) {
    // Only the end of a large piece can matter.
    for byte in bytes.suffix(4096) {
      if byte == 0x0A {
        if line.contains(where: { $0 > 0x20 }) { previous = line }
        line = []
      } else if line.count < LastWords.limit {
        line.append(byte)
      }
    }
  }

  /// Without control characters: it is shown on terminals and in records.
  var text: String? {
    let words = line.contains(where: { $0 > 0x20 }) ? line : previous
    guard !words.isEmpty else { return nil }
    let text = String(decoding: words, as: UTF8.self)
    return String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.properties.generalCategory != .control }))
  }
}
