// Wake-ups: runs jobspool-watch and turns its lines into events.
//
// Promises: `lookAgain` comes first after every start, once the watches stand; whatever happens after that moment is
// reported, or covered by another `lookAgain`, or by `ended`. The child never outlives us, inherits nothing but its
// three standard descriptors, and is reaped by nobody else's doing. Nothing here waits, except `next`.
//
// Left to the caller: when to restart, when to poll instead, and what a name means.

import CSpoolShims
import Glibc

/// One running jobspool-watch. Not for use from several threads at once.
package final class Watcher {
  /// A directory to watch and the name its events carry.
  package struct Place: Sendable, Equatable {
    package var name: String
    package var path: String
    /// - Parameter name: letters of your choice, without spaces or control characters; the last part of the path
    ///   when nil.
    package init(_ path: String, name: String? = nil) {
      self.path = path
      self.name = name ?? path.split(separator: "/").last.map(String.init) ?? path
    }
  }

  /// What is watched.
  package let places: [Place]
  /// The end to wait on (readable: call `read`); non-blocking. -1 while nothing runs: take it out of your epoll set
  /// before `restart` and `stop`, and when `ended` was read.
  package private(set) var descriptor: Int32 = -1
  /// The child, while it runs.
  package private(set) var pid: Int32?

  private let removals: Bool
  private let writes: Bool
  private let program: String?
  private var process: Int32 = -1
  private var lines: WatchLines

  /// Starts nothing yet.
  ///
  /// - Parameters:
  ///   - removals: also report files that leave.
  ///   - writes: report a file also when something is written to it, as often as the kernel tells apart.
  ///   - program: the path of jobspool-watch; looked for beside this program and in /usr/lib/jobspool when nil.
  package init(_ places: [Place], removals: Bool = false, writes: Bool = false, program: String? = nil) {
    self.places = places
    self.removals = removals
    self.writes = writes
    self.program = program
    lines = WatchLines(names: Set(places.map(\.name)))
  }

  package convenience init(
    _ directories: [String], removals: Bool = false, writes: Bool = false, program: String? = nil
  ) {
    self.init(directories.map { Place($0) }, removals: removals, writes: writes, program: program)
  }

  deinit { stop() }

  /// Starts the program, without waiting for its watches to stand: that is the first `lookAgain`.
  ///
  /// - Throws: `WatchProblem` when there is no such program or it cannot be run. What it finds wrong itself (a missing
  ///   directory, the system's limit of watches) comes as `ended` with its words.
  package func start() throws(WatchProblem) {
    guard descriptor < 0 else { return }
    let path = if let program { program } else { try Self.find() }
    var arguments = [path]
    if removals { arguments.append("--removals") }
    if writes { arguments.append("--writes") }
    for place in places { arguments += ["--name", place.name, place.path] }
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    var (output, child, number): (Int32, Int32, Int32) = (-1, -1, 0)
    let error = spool_watch_start(path, pointers, &output, &child, &number)
    guard error == 0 else {
      throw WatchProblem("cannot start \(path): \(String(cString: strerror(error)))")
    }
    lines = WatchLines(names: lines.names)
    (descriptor, process, pid) = (output, child, number)
  }

  /// `stop`, then `start`.
  package func restart() throws(WatchProblem) {
    stop()
    try start()
  }

  /// Ends the child and reaps it. What it said and nobody read is lost.
  package func stop() {
    _ = finish()
  }

  /// Everything said so far, without waiting; empty when there is nothing. Call it again while `descriptor` is
  /// readable: one call reads at most 256 KiB. After `ended` the watcher is stopped.
  package func read() -> [WatchEvent] {
    guard descriptor >= 0 else { return [] }
    var events: [WatchEvent] = []
    var ended: String?
    withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { buffer in
      for _ in 0..<4 where ended == nil {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 {
          events += lines.take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
          if let gone = lines.gone { ended = "the directory \(gone) was moved or deleted" }
          if count < buffer.count { break }
        } else if count == 0 {
          ended = finish()
        } else if errno == EINTR {
          continue
        } else {
          if errno != EAGAIN { ended = "cannot read from it: \(String(cString: strerror(errno)))" }
          break
        }
      }
    }
    if let ended {
      stop()
      events.append(.ended(reason: "jobspool-watch: \(ended)"))
    }
    return events
  }

  /// Waits until there is something to read, at most `timeout` (nil: as long as it takes). Empty: nothing came.
  package func next(timeout: Duration?) -> [WatchEvent] {
    let clock = ContinuousClock()
    let deadline = timeout.map { clock.now + $0 }
    while descriptor >= 0 {
      let left = deadline.map { max(.zero, $0 - clock.now) }
      var milliseconds: Int32 = -1
      if let left = left?.components {
        // Rounded up, or the last fraction of a millisecond would be spent in a busy loop. A longer wait than an Int32
        // can say is taken in several.
        let whole = min(left.seconds, 1_000_000)
        milliseconds = Int32(whole * 1000 + (left.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
      }
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if poll(&waiting, 1, milliseconds) > 0 {
        let events = read()
        if !events.isEmpty { return events }
      }
      if left == .zero { return [] }
    }
    return []
  }

  /// Closes, kills, reaps; the child's last words or its exit.
  private func finish() -> String {
    guard descriptor >= 0 else { return "not running" }
    close(descriptor)
    var code: Int32 = 0
    let error = spool_watch_finish(process, &code)
    (descriptor, process, pid) = (-1, -1, nil)
    if error == 0, code < 0 { return "killed by signal \(-code)" }
    return lines.remark ?? (error == 0 ? "ended with exit code \(code)" : "ended")
  }

  private static func find() throws(WatchProblem) -> String {
    var places = ["/usr/lib/jobspool/jobspool-watch"]
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    if length > 0 {
      let own = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if let slash = own.lastIndex(of: "/") { places.insert(own[...slash] + "jobspool-watch", at: 0) }
    }
    for place in places where access(place, X_OK) == 0 { return place }
    throw WatchProblem(
      "jobspool-watch is neither at \(places.joined(separator: " nor at ")): install it beside this program")
  }
}
