/// Whether a SIGKILL was the kernel's, for want of memory. Nothing tells a parent so; what there is is the count of such kills
/// in /proc/vmstat, for the whole machine and its cgroups. When it rose and a handler was ended by SIGKILL that nobody here
/// sent, that is what happened, unless somebody killed by hand within the same minute.
internal import Glibc
internal import JobEngine
internal import Synchronization

final class MemoryKills: Sendable {
  /// One per process, because there is one count per machine.
  static let shared = MemoryKills()

  private struct State {
    var count = 0
    var at = Duration.zero
  }

  /// A look costs some tens of microseconds, so not every start of a handler takes one.
  private static let worthwhile = Duration.seconds(60)

  private let state: Mutex<State>

  init() { state = Mutex(State(count: MemoryKills.read(), at: EventLoop.now)) }

  /// A handler is being started: what happened before concerns it not.
  func handlerStarts() {
    let now = EventLoop.now
    state.withLock { state in
      guard now - state.at > MemoryKills.worthwhile else { return }
      state = State(count: MemoryKills.read(), at: now)
    }
  }

  /// Whether the count has risen since the last look.
  func happened() -> Bool {
    let count = MemoryKills.read()
    return state.withLock { state in
      defer { state = State(count: count, at: EventLoop.now) }
      return count > state.count
    }
  }

  private static func read() -> Int {
    let fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC)
    guard fd >= 0 else { return 0 }
    defer { close(fd) }
    return withUnsafeTemporaryAllocation(byteCount: 1 << 14, alignment: 1) { buffer in
      var length = 0
      while length < buffer.count {
        let count = Glibc.read(fd, buffer.baseAddress! + length, buffer.count - length)
        guard count > 0 else { break }
        length += count
      }
      return number(of: "oom_kill", in: String(decoding: buffer[..<length], as: UTF8.self))
    }
  }

  static func number(of name: String, in text: String) -> Int {
    for line in text.split(separator: "\n") where line.hasPrefix("\(name) ") {
      return Int(line.dropFirst(name.utf8.count + 1)) ?? 0
    }
    return 0
  }
}
