/// Log lines on standard error: under systemd with the priority it strips (sd-daemon(3)), on a terminal with the time.
internal import Glibc
internal import JobEngine
internal import JobModel
internal import Logging

struct StderrLog: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  private let isJournal = getenv("JOURNAL_STREAM") != nil

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// The number of syslog(3).
  static func priority(of level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }

  func log(event: LogEvent) {
    let priority = StderrLog.priority(of: event.level)
    let start = isJournal ? "<\(priority)>" : "\(Effects.wallTime().rfc3339) "
    let word = priority <= 4 && !isJournal ? "\(event.level.rawValue): " : ""
    // A message may quote what came from outside; a line stays a line, and steers no terminal.
    var line = "\(start)\(word)\(TerminalText.plain(event.message.description))\n"
    line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
  }
}
