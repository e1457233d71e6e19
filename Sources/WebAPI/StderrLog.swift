/// Log lines on standard error: under systemd with the priority it strips (sd-daemon(3)), on a terminal with the time.
internal import Glibc
internal import JobModel
package import Logging

package struct StderrLog: LogHandler {
  package var logLevel = Logger.Level.info
  package var metadata: Logger.Metadata = [:]
  private let isJournal = getenv("JOURNAL_STREAM") != nil

  package init() {}

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    let priority: Int
    switch event.level {
    case .trace, .debug: priority = 7
    case .info: priority = 6
    case .notice: priority = 5
    case .warning: priority = 4
    case .error: priority = 3
    case .critical: priority = 2
    }
    let start = isJournal ? "<\(priority)>" : "\(WallTime.current.rfc3339) "
    let word = priority <= 4 && !isJournal ? "\(event.level.rawValue): " : ""
    // A message may quote what came from outside; a line stays a line, and steers no terminal.
    var line = "\(start)\(word)\(TerminalText.plain(event.message.description))\n"
    line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
  }
}
