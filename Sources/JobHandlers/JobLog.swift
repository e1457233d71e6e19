internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobModel

/// A job's log: what its handler wrote to standard error or gave as `log`, and notes of ours about it. Appended to over all attempts,
/// created when there is something to write, and bounded: a handler that chatters for ever fills no disk.
///
/// A log that cannot be written never harms the job: the first failure is kept for the caller to report, the rest is
/// dropped.
final class JobLog {
  private(set) var failure: String?
  private let path: String
  private let header: String
  private let limit: Int
  private let reader: UInt32?
  private var file: Int32 = -1
  private var room = 0
  private var atLineStart = true
  private var closed = false

  /// - Parameters:
  ///   - header: a line without newline that opens what this attempt writes.
  ///   - reader: who else may read it: whose job it is.
  init(path: String, header: String, limit: Int, reader: UInt32? = nil) {
    self.path = path
    self.header = header
    self.limit = limit
    self.reader = reader
  }

  deinit { close() }

  /// The handler's own bytes.
  func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard !bytes.isEmpty, begin() else { return }
    put(bytes)
  }

  /// A line of ours.
  func note(_ text: String) { put(line: "jobspool: \(text)") }

  /// A line that the handler gave with its level, category and code; a message of several lines, such as a stack trace,
  /// stays as it is.
  func enter(_ entry: LogLine) {
    let words = [WallTime.now.rfc3339, entry.level, entry.category, entry.code, entry.message]
    put(line: words.filter { !$0.isEmpty }.joined(separator: " "))
  }

  func close() {
    if file >= 0 { Glibc.close(file) }
    file = -1
    closed = true
  }

  private func begin() -> Bool {
    guard file < 0 else { return true }
    guard !closed, failure == nil else { return false }
    // O_NONBLOCK and the look at its kind: whatever someone put there, opening it must not hang the daemon.
    file = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o640)
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0 else { return fail("cannot be opened", errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { return fail("is not a file", 0) }
    room = limit - Int(status.st_size)
    guard room > 0 else {
      close()
      return false
    }
    if status.st_size == 0, let reader, reader != 0, reader != geteuid(), spool_grant_read(file, reader) != 0,
      errno != EOPNOTSUPP
    {
      return fail("cannot be opened to whose job it is", errno)
    }
    var last: UInt8 = 0x0A
    if status.st_size > 0 { _ = pread(file, &last, 1, status.st_size - 1) }
    let opening = Array("\(last == 0x0A ? "" : "\n")\(header)\n".utf8)
    opening.withUnsafeBufferPointer { put($0) }
    return file >= 0
  }

  private func put(line text: String) {
    guard begin() else { return }
    let line = Array("\(atLineStart ? "" : "\n")\(text)\n".utf8)
    line.withUnsafeBufferPointer { put($0) }
  }

  private func put(_ bytes: UnsafeBufferPointer<UInt8>) {
    if bytes.count <= room {
      writeAll(bytes)
      room -= bytes.count
      atLineStart = bytes.last == 0x0A
      return
    }
    writeAll(UnsafeBufferPointer(rebasing: bytes[..<max(0, room)]))
    let closing = Array("\n--- cut here: a job's log holds at most \(SizeText.format(limit)) ---\n".utf8)
    closing.withUnsafeBufferPointer { writeAll($0) }
    close()
  }

  private func writeAll(_ bytes: UnsafeBufferPointer<UInt8>) {
    var done = 0
    while done < bytes.count, file >= 0 {
      let count = write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if count > 0 {
        done += count
      } else if errno != EINTR {
        _ = fail("cannot be written", errno)
      }
    }
  }

  private func fail(_ what: String, _ error: Int32) -> Bool {
    failure = "\(path) \(what)\(error == 0 ? "" : ": \(String(cString: strerror(error)))")"
    close()
    return false
  }
}
