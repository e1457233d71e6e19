/// Asking the daemon through `ctl/`: requests that it answers, and switches whose presence counts. A request appears by
/// rename and is whole; its answer appears the same way and is taken away by who asked.
internal import CSpoolShims
internal import Glibc
package import JobModel

package struct Control: Sendable {
  package let spool: Spool

  package init(_ spool: Spool) { self.spool = spool }

  /// Sends a request and waits for its answer.
  ///
  /// Throws `locked` (try later) when the daemon ends or says nothing within `timeout`; the request is then taken back.
  package func ask(_ request: [UInt8], at time: WallTime, timeout: Duration) throws(SpoolError) -> JSONValue {
    let name = JobID.make(at: time, random: (spool_random(), spool_random()))
    try put(request, name: "\(name).json")
    let clock = ContinuousClock()
    let deadline = clock.now + timeout
    var pause: UInt32 = 500
    while clock.now < deadline {
      if let answer = try take("\(name).reply") { return answer }
      usleep(pause)
      pause = min(pause * 2, 20_000)
      if pause == 20_000, SpoolLock.isHeld(spool) == false { break }
    }
    if let answer = try take("\(name).reply") { return answer }
    // Nobody has taken it up; left there, the next daemon would.
    try? spool.syscalls.unlink(folder, "\(name).json")
    throw SpoolError(
      .locked,
      SpoolLock.isHeld(spool) ?? true
        ? "the daemon of \(spool.path) did not answer within \(DurationText.format(timeout)); try again, or see its log"
        : "the daemon of \(spool.path) has just ended; try again")
  }

  /// Whether a switch is on, as far as its file goes.
  package func isOn(_ name: String) -> Bool { spool.hasRoot("ctl/\(name)") }

  /// Makes the file of a switch, or takes it away. Already so: nothing happens.
  ///
  /// Throws `denied` for a producer of a system spool, whose file the daemon would only take away again.
  package func turn(_ name: String, on: Bool) throws(SpoolError) {
    guard SpoolLock.isHeld(spool) != nil else {
      throw SpoolError(.denied, "only root, the daemon's user and the group of operators may do that on \(spool.path)")
    }
    do throws(Errno) {
      if on {
        let fd = try spool.syscalls.open(folder, name, flags: O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o644)
        spool.syscalls.close(fd)
      } else {
        try spool.syscalls.unlink(folder, name)
      }
      if spool.isReadable(.ctl) { try spool.syscalls.sync(folder) }
    } catch {
      if !on, error == .noEntry { return }
      throw SpoolError(
        doing: on ? "turning on a switch" : "turning off a switch", path: "\(spool.path)/ctl/\(name)", error)
    }
  }

  private var folder: Int32 { spool.descriptor(Spool.Folder.ctl) }

  private func put(_ request: [UInt8], name: String) throws(SpoolError) {
    let staged = ".\(name)"
    do throws(Errno) {
      let fd = try spool.syscalls.open(folder, staged, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
      defer { spool.syscalls.close(fd) }
      do throws(Errno) {
        try spool.syscalls.write(fd, request, offset: 0)
        try spool.syscalls.rename(folder, staged, to: folder, name, replacing: false)
      } catch {
        try? spool.syscalls.unlink(folder, staged)
        throw error
      }
    } catch {
      throw SpoolError(doing: "asking the daemon", path: "\(spool.path)/ctl/\(name)", error)
    }
  }

  private func take(_ name: String) throws(SpoolError) -> JSONValue? {
    guard spool.hasRoot("ctl/\(name)") else { return nil }
    guard let bytes = spool.readRoot("ctl/\(name)", limit: 64 << 20), let answer = try? JSONReader.parse(bytes) else {
      throw SpoolError(.system, "the daemon's answer cannot be read", path: "\(spool.path)/ctl/\(name)")
    }
    // In a system spool it may be the daemon's alone to remove; then its sweeper does.
    try? spool.syscalls.unlink(folder, name)
    return answer
  }
}

extension SpoolError.Code {
  /// The code of that name, as answers carry it; an unknown one is `system`.
  package static func named(_ name: String) -> SpoolError.Code {
    let known: [SpoolError.Code] = [
      .system, .noSpool, .badFileSystem, .locked, .denied, .noSpace, .exists, .noSuchJob, .wrongState,
      .badJob, .needsDaemon,
    ]
    return known.first { $0.name == name } ?? .system
  }
}
