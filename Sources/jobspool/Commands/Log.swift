/// `log`: what a job's handler wrote to standard error.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Log: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print what a job's handler wrote to standard error.",
    discussion: """
      With -f also what is still to come, until the job has ended.

        jobspool log -f 0190f3b2-…
      """)

  @Argument(help: "The job.")
  var id: String

  @Flag(name: .shortAndLong, help: "Follow until the job has ended.")
  var follow = false

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let spool = try options.open()
    guard JobID.isValid(id) else { throw ValidationError("\(Console.plain(id)) is no job id") }
    var offset = 0
    var isKnown = false
    let wakeups = follow ? Wakeups(["log/jobs", "done", "dead", "hold"], of: spool, writes: true) : nil
    while true {
      // Asked before the file is read: what was written until the end is then there.
      let state = try spool.state(of: id)
      let hasEnded = state != .new && state != .cur
      let got = try copy(spool, from: &offset)
      isKnown = isKnown || got
      if !isKnown, state == nil { throw SpoolError(.noSuchJob, "no job \(id) in \(spool.path)") }
      if !follow || hasEnded { break }
      wakeups?.wait(atMost: .seconds(2)) { $0 == "\(id).log" || $0 == "\(id).json" }
    }
    if !isKnown { Console.remark("the job has written nothing to standard error") }
  }

  /// Prints what is there from `offset` on; false when there is no log.
  private func copy(_ spool: Spool, from offset: inout Int) throws -> Bool {
    let fd = spool_openat(spool.root, "log/jobs/\(id).log", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
    guard fd >= 0 else {
      guard errno == ENOENT else { throw SpoolError(doing: "reading the log", path: spool.logPath(of: id), .current) }
      return false
    }
    defer { close(fd) }
    while true {
      let bytes: [UInt8]
      do throws(Errno) { bytes = try spool.syscalls.read(fd, count: 1 << 16, offset: offset) } catch {
        throw SpoolError(doing: "reading the log", path: spool.logPath(of: id), error)
      }
      guard !bytes.isEmpty else { return true }
      offset += bytes.count
      Console.write(Console.isTerminal ? harmless(bytes) : bytes)
    }
  }

  /// At a terminal, escape sequences of a handler must not act.
  private func harmless(_ bytes: [UInt8]) -> [UInt8] {
    bytes.map { byte in
      switch byte {
      case 0x09, 0x0A, 0x0D: byte
      case 0..<0x20, 0x7F: UInt8(ascii: "?")
      default: byte
      }
    }
  }
}
