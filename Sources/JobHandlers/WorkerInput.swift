internal import CSpoolShims
internal import Glibc
internal import JobEngine

/// The standard input of a worker. The lines of a round leave together, and what the pipe does not take waits here: a
/// worker that does not read holds nobody up. It also knows which lines cannot have been read.
final class WorkerInput {
  /// Its reader closed it: nobody will read what is written now.
  private(set) var isShut = false

  private let loop: EventLoop
  /// -1 once closed.
  private var file: Int32
  private var shut: () -> Void = {}
  private var failed: (EventLoop.Failure) -> Void = { _ in }

  /// Lines not yet taken by the pipe, from `sent` on.
  private var outgoing: [UInt8] = []
  private var sent = 0
  /// Bytes of all lines ever put in, and how many of them the pipe took.
  private var queued = 0
  private var written = 0
  private var waitsToWrite = false
  private var willFlush = false
  private var isStopped = false

  /// Takes over `file`, the writing end of a pipe, which does not block.
  init(_ file: Int32, _ loop: EventLoop) {
    self.file = file
    self.loop = loop
  }

  /// From now on lines leave.
  ///
  /// - Parameters:
  ///   - shut: told once, when its reader has closed it.
  ///   - failed: told when it cannot be watched, so that what waits would never leave.
  func open(shut: @escaping () -> Void, failed: @escaping (EventLoop.Failure) -> Void) throws(EventLoop.Failure) {
    self.shut = shut
    self.failed = failed
    // Nothing to wait for yet, but that it is closed is told without being asked for.
    try loop.watch(file, for: []) { [unowned self] ready in
      if ready.contains(.failure) || ready.contains(.hangUp) { wasShut() } else { flush() }
    }
  }

  /// - Returns: where the line begins in all that was ever put in.
  func put(_ line: [UInt8]) -> Int {
    let start = queued
    queued += line.count
    outgoing.append(contentsOf: line)
    if !willFlush, !waitsToWrite, !isStopped {
      willFlush = true
      loop.beforeNextWait { [weak self] in self?.flush() }
    }
    return start
  }

  /// Writes what the pipe takes.
  private func flush() {
    willFlush = false
    guard file >= 0, !isStopped else { return }
    while sent < outgoing.count {
      let count = outgoing.withUnsafeBytes { write(file, $0.baseAddress.map { $0 + sent }, $0.count - sent) }
      if count > 0 {
        sent += count
        written += count
      } else if errno == EAGAIN {
        return waitToWrite(true)
      } else if errno != EINTR {
        return wasShut()
      }
    }
    outgoing.removeAll(keepingCapacity: outgoing.capacity <= 1 << 20)
    sent = 0
    waitToWrite(false)
  }

  private func waitToWrite(_ waits: Bool) {
    guard waits != waitsToWrite else { return }
    waitsToWrite = waits
    do throws(EventLoop.Failure) { try loop.change(file, for: waits ? .write : []) } catch { failed(error) }
  }

  private func wasShut() {
    guard !isShut else { return }
    isShut = true
    stop()
    shut()
  }

  /// The line that begins at `start` has not left at all.
  func isUnsent(_ start: Int) -> Bool { start >= written }

  /// Of the lines that begin here or later not a byte was read: they lie in the pipe, or have not left. Only certain when
  /// its reader cannot read any more.
  var unreadFrom: Int { written - inPipe }

  /// A byte of something was read.
  var wasRead: Bool { file < 0 || written > inPipe }

  private var inPipe: Int { file >= 0 ? max(0, Int(spool_unread(file))) : 0 }

  /// Nothing leaves any more, and what has not left never will. What lies in the pipe can still be read.
  func stop() {
    isStopped = true
    if file >= 0 { loop.unwatch(file) }
    waitsToWrite = false
    outgoing = []
    sent = 0
  }

  func close() {
    stop()
    if file >= 0 { Glibc.close(file) }
    file = -1
  }
}
