/// Log lines as the journal's own entries, with the job's id as a field: `journalctl JOBSPOOL_JOB=ID`. Used when standard
/// error is the journal ($JOURNAL_STREAM says so); what cannot be sent goes there as a line.
internal import CSpoolShims
internal import Glibc
internal import Logging

struct JournalLog: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  private let lines = StderrLog()
  private static let socket = "/run/systemd/journal/socket"

  /// nil when standard error is not the journal, whatever else speaks for it: it may have been redirected since.
  init?() {
    var status = stat()
    guard let stream = getenv("JOURNAL_STREAM").map({ String(cString: $0) }), fstat(2, &status) == 0,
      stream == "\(status.st_dev):\(status.st_ino)"
    else { return nil }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var entry: [UInt8] = []
    func add(_ name: String, _ value: String) {
      let bytes = Array(value.utf8)
      entry += Array(name.utf8)
      // Values of several lines have their length before them.
      if bytes.contains(0x0A) {
        entry.append(0x0A)
        withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { entry += Array($0) }
      } else {
        entry.append(UInt8(ascii: "="))
      }
      entry += bytes
      entry.append(0x0A)
    }
    add("MESSAGE", event.message.description)
    add("PRIORITY", "\(StderrLog.priority(of: event.level))")
    add("SYSLOG_IDENTIFIER", "jobspoold")
    for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
      add("JOBSPOOL_\(key.uppercased())", "\(value)")
    }
    guard entry.withUnsafeBytes({ spool_send_datagram(JournalLog.socket, $0.baseAddress, $0.count) }) == 0 else {
      return lines.log(event: event)
    }
  }
}
