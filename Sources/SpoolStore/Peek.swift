/// A look at a file in `new/`: its type, priority and time, so that the agenda can order it. Nothing is judged, changed or
/// removed here, and the file is opened so that it can do nothing to us: no link is followed, no pipe waited for.
internal import Glibc
package import JobModel

package enum Glimpse {
  /// Not there any more.
  case gone
  /// No job and no file: left where it is, and reported.
  case directory
  /// Does not parse and was touched a moment ago: somebody may still be copying. Look again.
  case young
  /// Has to be claimed to be refused: unreadable, too large, no JSON, no file.
  case faulty
  case job(Job, firstSeen: WallTime, uid: UInt32, inode: UInt64)
}

extension Spool {
  /// Looks at `new/ID.json`. Throws only what is no property of the file (no descriptors left, an I/O error).
  package func peek(_ id: String, limit: Int, now: WallTime) throws(SpoolError) -> Glimpse {
    let name = JobID.fileName(id)
    let new = descriptor(JobState.new)
    do throws(Errno) {
      // A device must not even be opened; whoever swaps the file after this look gets it opened without effects.
      let before = try syscalls.status(new, name)
      switch before.kind {
      case .directory: return .directory
      case .symbolicLink, .other: return .faulty
      case .regular: break
      }
      guard before.size <= limit else { return .faulty }
      let fd = try syscalls.open(new, name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, mode: 0)
      defer { syscalls.close(fd) }
      let status = try syscalls.status(fd)
      guard status.kind == .regular, status.size <= limit else { return .faulty }
      let bytes = try syscalls.read(fd, count: status.size, offset: 0)
      do throws(JobProblem) {
        let job = try JobScanner.scan(bytes, id: id)
        return .job(job, firstSeen: WallTime(microseconds: status.changed), uid: status.uid, inode: status.inode)
      } catch {
        let age = now.microseconds - max(status.modified, status.changed)
        return age >= 0 && age < Int64(Limits.youngFileMilliseconds) * 1000 ? .young : .faulty
      }
    } catch {
      switch error {
      case .noEntry: return .gone
      // Its owner holds a lease on it (fcntl(2), F_SETLEASE): only his own job waits for that.
      case Errno(EAGAIN): return .young
      case .access, .permission, Errno(ELOOP), Errno(ENXIO), Errno(ENOTDIR): return .faulty
      default: throw SpoolError(doing: "looking at the job", path: path(of: id, in: .new), error)
      }
    }
  }
}
