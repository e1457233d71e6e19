/// The lock of the daemon: an OFD write lock on the file `lock`. It goes with the process, however that ends, so there is
/// no stale lock to clean up. Readers test it and never take it.
internal import CSpoolShims
internal import Glibc

package final class SpoolLock: Sendable {
  private let fd: Int32

  /// Who holds the lock, from what it wrote into the file.
  package struct Holder: Sendable, Equatable, CustomStringConvertible {
    package var pid: Int32
    package var node: String
    /// `jobspoold`, or the command that works on a spool without one.
    package var program: String

    package var description: String { "\(program), pid \(pid) on \(node)" }
  }

  /// Takes the lock or throws `locked`, naming the holder.
  ///
  /// - Parameters:
  ///   - patience: for how many seconds to wait for a command that holds it. A daemon that holds it is not waited for.
  ///   - onWait: told once, after a second, for whom.
  package init(
    _ spool: Spool, node: String, program: String, patience: Double = 0, onWait: ((Holder) -> Void)? = nil
  ) throws(SpoolError) {
    let path = "\(spool.path)/lock"
    do throws(Errno) {
      fd = try spool.syscalls.open(spool.root, "lock", flags: O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o640)
    } catch {
      throw SpoolError(doing: "opening the lock", path: path, error)
    }
    var looks = 0
    let clock = SuspendingClock()
    let began = clock.now
    var tell = onWait
    while spool_lock(fd) != 0 {
      let failure = Errno.current
      guard failure == Errno(EAGAIN) || failure == .access else {
        close(fd)
        throw SpoolError(doing: "locking the spool", path: path, failure)
      }
      let holder = SpoolLock.holder(spool)
      // A child that was just being started when its daemon was killed has the daemon's files, and with them the lock,
      // until it is another program.
      if let holder, holder.node == node, SpoolLock.isGone(holder.pid), looks < 100 {
        looks += 1
        usleep(20_000)
        continue
      }
      if let holder, holder.program == "jobspool", clock.now - began < .seconds(patience) {
        if clock.now - began > .seconds(1) {
          tell?(holder)
          tell = nil
        }
        usleep(20_000)
        continue
      }
      close(fd)
      let who = holder.map(\.description) ?? "another process"
      throw SpoolError(.locked, "the spool \(spool.path) is held by \(who)")
    }
    do throws(Errno) {
      let text = "\(getpid()) \(node) \(program)\n"
      // Written over the old text, whose block a full disk would not give twice.
      try spool.syscalls.write(fd, Array(text.utf8), offset: 0)
      try spool.syscalls.truncate(fd, size: text.utf8.count)
    } catch {
      close(fd)
      throw SpoolError(doing: "writing the lock", path: path, error)
    }
  }

  deinit { close(fd) }

  private static func isGone(_ pid: Int32) -> Bool { kill(pid, 0) != 0 && errno == ESRCH }

  /// Whether anybody holds the lock, tested with F_OFD_GETLK; nil when this user may not know. (A producer of a system
  /// spool may not open the file: with a read lock on it he could keep the daemon from starting.)
  package static func isHeld(_ spool: Spool) -> Bool? {
    do throws(Errno) {
      let fd = try spool.syscalls.open(spool.root, "lock", flags: O_RDONLY | O_NOFOLLOW, mode: 0)
      defer { close(fd) }
      return spool_is_locked(fd) == 1
    } catch {
      return error == .access ? nil : false
    }
  }

  /// Who holds it; nil when nobody does, or the file does not say.
  package static func holder(_ spool: Spool) -> Holder? {
    guard let fd = try? spool.syscalls.open(spool.root, "lock", flags: O_RDONLY | O_NOFOLLOW, mode: 0) else {
      return nil
    }
    defer { close(fd) }
    guard spool_is_locked(fd) == 1, let bytes = try? spool.syscalls.read(fd, count: 512, offset: 0) else { return nil }
    let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" })
    guard words.count >= 3, let pid = Int32(words[0]) else { return nil }
    return Holder(pid: pid, node: String(words[1]), program: String(words[2]))
  }
}
