/// The terminal as a screen: cleared, without echo, drawn over as a whole, and put back as it was, whatever ends us.
internal import CSpoolShims
internal import Glibc
internal import JobModel

final class Screen {
  enum Event {
    case key(UInt8)
    /// Another size, or shown again after it was stopped.
    case changed
    case end
    /// Something to read on the descriptor given to `wait`.
    case readable
    case timeout
  }

  private var saved = termios()
  private let signals: Int32
  private var isActive = false

  init() throws {
    guard isatty(0) == 1, tcgetattr(0, &saved) == 0 else {
      throw Failure("standard input is no terminal; --once prints one picture", exit: 64)
    }
    let wanted = [SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT]
    signals = spool_signalfd(-1, wanted, Int32(wanted.count))
    guard signals >= 0 else { throw Failure("signalfd: \(String(cString: strerror(errno)))", exit: 71) }
    enter()
  }

  deinit {
    leave()
    close(signals)
  }

  private func enter() {
    var raw = saved
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    tcsetattr(0, TCSADRAIN, &raw)
    // The other screen, no cursor, no wrapping.
    Console.write(Array("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l".utf8))
    isActive = true
  }

  private func leave() {
    guard isActive else { return }
    isActive = false
    Console.write(Array("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l".utf8))
    tcsetattr(0, TCSADRAIN, &saved)
  }

  var size: (columns: Int, rows: Int) { Terminal.size(1) }

  /// Draws lines from the top left; what was there before goes.
  func draw(_ lines: [String]) {
    let text = lines.prefix(size.rows).map { "\($0)\u{1B}[K" }.joined(separator: "\r\n")
    Console.write(Array("\u{1B}[H\(text)\u{1B}[J".utf8))
  }

  /// Waits for a key, a signal, or something to read on `descriptor`.
  func wait(_ descriptor: Int32, atMost limit: Duration) -> Event {
    var waiting = [0, signals, descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let count = poll(&waiting, 3, Int32(clamping: max(limit.inMilliseconds, 0)))
    guard count > 0 else { return .timeout }
    if waiting[1].revents != 0 {
      switch spool_signalfd_next(signals) {
      case SIGWINCH: return .changed
      case SIGTSTP:
        leave()
        kill(getpid(), SIGSTOP)
        enter()
        return .changed
      case SIGINT, SIGTERM, SIGHUP: return .end
      default: return .timeout
      }
    }
    if waiting[0].revents != 0 {
      var byte: UInt8 = 0
      return read(0, &byte, 1) == 1 ? .key(byte) : .end
    }
    return .readable
  }
}
