/// The real calls, counted and recorded, and cut or made to fail at will. The disk is the real one: only its end is staged.
///
/// A cut at call n means that the program died before it: that call and every later one has no effect and throws
/// `crash`, so the code under test unwinds without being able to clean up. With `tearing`, a write at the cut leaves its
/// first half. `losePower()` then takes back what was written to the audit log but never synced.
internal import Glibc
package import SpoolStore
internal import Synchronization

package final class InterruptedSyscalls: SpoolSyscalls {
  /// What every call throws once the program is dead; no errno of the system.
  package static let crash = Errno(9999)

  private struct State {
    var calls: [String] = []
    var names: [Int32: String] = [:]
    var isDead = false
    /// Log file → how much of it is known to be durable.
    var durable: [String: Int] = [:]
  }

  private let real = RealSyscalls()
  private let state = Mutex(State())
  private let cut: Int?
  private let isTearing: Bool
  private let failure: @Sendable (Int, String) -> Errno?
  private let magic: Int64
  /// Called after the n-th changing call was recorded and before it is made.
  private let before: @Sendable (Int, String) -> Void

  /// - Parameters:
  ///   - cut: the number, from 1, of the changing call that is not made any more.
  ///   - failure: an error for a call by its number and description; nil lets it through.
  ///   - fileSystem: the magic number of the file system that it pretends to be on; 0 is none that is treated specially.
  package init(
    cutAt cut: Int? = nil, tearing isTearing: Bool = false,
    failure: @escaping @Sendable (Int, String) -> Errno? = { _, _ in nil },
    before: @escaping @Sendable (Int, String) -> Void = { _, _ in }, fileSystem magic: Int64 = 0
  ) {
    self.magic = magic
    self.cut = cut
    self.isTearing = isTearing
    self.failure = failure
    self.before = before
  }

  /// The calls that changed the disk, in order: `write tmp/x`, `rename tmp/x new/y`, `sync new`.
  package var calls: [String] { state.withLock { $0.calls } }
  package var isDead: Bool { state.withLock { $0.isDead } }

  /// Cuts the audit log files back to what was synced: a power cut is allowed to.
  package func losePower(_ spool: TestSpool) {
    let durable = state.withLock { $0.durable }
    for name in spool.auditFiles {
      let path = "\(spool.path)/log/\(name)"
      let size = durable["log/\(name)"] ?? 0
      if let bytes = TestSpool.contents(path), bytes.count > size { _ = Glibc.truncate(path, off_t(size)) }
    }
  }

  private enum Step { case go, tear }

  /// Counts a changing call; throws when it fails or the program is dead.
  private func step(_ call: String, tears: Bool = false) throws(Errno) -> Step {
    let number: Int? = state.withLock { state in
      guard !state.isDead else { return nil }
      state.calls.append(call)
      if state.calls.count == cut {
        state.isDead = true
        return isTearing && tears ? -1 : nil
      }
      return state.calls.count
    }
    guard let number else { throw InterruptedSyscalls.crash }
    if number == -1 { return .tear }
    before(number, call)
    if let errno = failure(number, call) { throw errno }
    return .go
  }

  private func alive() throws(Errno) {
    guard !isDead else { throw InterruptedSyscalls.crash }
  }

  private func name(_ fd: Int32) -> String { state.withLock { $0.names[fd] ?? "?" } }

  private func path(_ directory: Int32, _ name: String) -> String {
    let folder = self.name(directory)
    return folder == "?" || folder == "." ? name : "\(folder)/\(name)"
  }

  // MARK: The calls

  package func open(_ directory: Int32, _ name: String, flags: Int32, mode: UInt32) throws(Errno) -> Int32 {
    let isRoot = directory == AT_FDCWD
    let shown = isRoot ? "." : path(directory, name)
    if flags & O_CREAT != 0 { _ = try step("create \(shown)") } else { try alive() }
    let fd = try real.open(directory, name, flags: flags, mode: mode)
    let size = (try? real.status(fd).size) ?? 0
    state.withLock { state in
      state.names[fd] = shown
      // What the last life left on the disk counts as durable.
      if shown.hasPrefix("log/audit-"), state.durable[shown] == nil { state.durable[shown] = size }
    }
    return fd
  }

  package func close(_ fd: Int32) {
    state.withLock { $0.names[fd] = nil }
    real.close(fd)
  }

  package func read(_ fd: Int32, count: Int, offset: Int) throws(Errno) -> [UInt8] {
    try alive()
    return try real.read(fd, count: count, offset: offset)
  }

  package func write(_ fd: Int32, _ bytes: [UInt8], offset: Int) throws(Errno) {
    if try step("write \(name(fd))", tears: true) == .tear {
      try real.write(fd, Array(bytes[..<(bytes.count / 2)]), offset: offset)
      throw InterruptedSyscalls.crash
    }
    try real.write(fd, bytes, offset: offset)
  }

  package func append(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
    if try step("append \(name(fd))", tears: true) == .tear {
      _ = try real.append(fd, bytes.prefix(bytes.count / 2))
      throw InterruptedSyscalls.crash
    }
    return try real.append(fd, bytes)
  }

  package func truncate(_ fd: Int32, size: Int) throws(Errno) {
    _ = try step("truncate \(name(fd))")
    try real.truncate(fd, size: size)
  }

  package func rename(
    _ from: Int32, _ name: String, to: Int32, _ newName: String, replacing: Bool
  ) throws(Errno) {
    _ = try step("rename\(replacing ? " over" : "") \(path(from, name)) \(path(to, newName))")
    try real.rename(from, name, to: to, newName, replacing: replacing)
  }

  package func unlink(_ directory: Int32, _ name: String) throws(Errno) {
    _ = try step("unlink \(path(directory, name))")
    try real.unlink(directory, name)
  }

  package func sync(_ fd: Int32) throws(Errno) {
    _ = try step("sync \(name(fd))")
    try real.sync(fd)
    noteDurable(fd)
  }

  package func syncData(_ fd: Int32) throws(Errno) {
    _ = try step("syncdata \(name(fd))")
    try real.syncData(fd)
    noteDurable(fd)
  }

  package func syncFileSystem(_ fd: Int32) throws(Errno) {
    _ = try step("syncfs \(name(fd))")
    try real.syncFileSystem(fd)
  }

  package func fileSystem(_ fd: Int32) -> Int64 { magic }

  private func noteDurable(_ fd: Int32) {
    let size = (try? real.status(fd).size) ?? 0
    let name = name(fd)
    if name.hasPrefix("log/audit-") { state.withLock { $0.durable[name] = size } }
  }

  package func status(_ directory: Int32, _ name: String) throws(Errno) -> FileStatus {
    try alive()
    return try real.status(directory, name)
  }

  package func status(_ fd: Int32) throws(Errno) -> FileStatus {
    try alive()
    return try real.status(fd)
  }
}
