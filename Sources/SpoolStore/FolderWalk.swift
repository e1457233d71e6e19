/// Retention for what the audit log does not know (any more): files that were there before the log's beginning, put there by
/// hand, or touched. A walk over `done/`, `dead/` and `log/jobs/` that takes a few names at a time; it looks at a file's times
/// and opens only those that may have to go and whose type decides.
internal import CSpoolShims
internal import Glibc
package import JobModel

package final class FolderWalk {
  private enum Part: CaseIterable { case done, dead, logs }

  package struct Found: Sendable {
    package var jobs: [ExpiredJob] = []
    package var logs: [String] = []
    package var goesOn = false
  }

  private let spool: Spool
  private let rules: RetentionRules
  private let now: WallTime
  /// Ends from here on are in the log, and found there.
  private let logBegins: WallTime
  private var parts: ArraySlice<Part> = Part.allCases[...]
  private var descriptor: Int32 = -1
  private var names: [String] = []

  package init(_ spool: Spool, _ rules: RetentionRules, now: WallTime) throws(SpoolError) {
    self.spool = spool
    self.rules = rules
    self.now = now
    let first = try AuditFile.list(spool).first.flatMap { WallTime(rfc3339: "\($0.day)T00:00:00Z") }
    logBegins = first ?? .latest
  }

  deinit { if descriptor >= 0 { spool.syscalls.close(descriptor) } }

  /// Looks at up to `limit` names.
  package func next(limit: Int) throws(SpoolError) -> Found {
    var found = Found()
    guard let part = parts.first else { return found }
    found.goesOn = true
    if names.isEmpty, try !readNames(of: part) {
      parts.removeFirst()
      found.goesOn = !parts.isEmpty
      return found
    }
    for name in names.suffix(limit) {
      switch part {
      case .done: try judge(name, in: .done, &found)
      case .dead: try judge(name, in: .dead, &found)
      case .logs: try judge(log: name, &found)
      }
    }
    names.removeLast(min(limit, names.count))
    return found
  }

  /// One read of the folder; false at its end.
  private func readNames(of part: Part) throws(SpoolError) -> Bool {
    let folder =
      switch part {
      case .done: "done"
      case .dead: "dead"
      case .logs: "log/jobs"
      }
    let path = "\(spool.path)/\(folder)"
    if descriptor < 0 {
      do throws(Errno) {
        descriptor = try spool.syscalls.open(spool.root, folder, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
      } catch {
        if part == .logs, error == .noEntry { return false }
        throw SpoolError(doing: "listing the folder", path: path, error)
      }
    }
    guard let read = try Scan.some(descriptor, path: path) else {
      spool.syscalls.close(descriptor)
      descriptor = -1
      return false
    }
    names = read
    return true
  }

  private func judge(_ name: String, in state: JobState, _ found: inout Found) throws(SpoolError) {
    guard let id = JobID.fromFileName(name), let status = status(spool.descriptor(state), name) else { return }
    let ages = rules.range(of: state)
    let age = Duration.microseconds(now.microseconds - status.modified)
    guard age >= ages.lowerBound, age >= ages.upperBound || status.modified < logBegins.microseconds else { return }
    let bytes = try spool.read(id, in: state, limit: 64 << 20) ?? []
    let type = (try? JobScanner.scan(bytes))?.type
    guard let kept = rules.age(of: type, in: state), age >= kept else { return }
    found.jobs.append(
      ExpiredJob(
        id: id, state: state, type: type,
        reason: "retention: \(state.rawValue) jobs are kept for \(DurationText.format(kept))"))
  }

  private func judge(log name: String, _ found: inout Found) throws(SpoolError) {
    guard name.hasSuffix(".log"), let status = status(spool.descriptor(Spool.Folder.log), "jobs/\(name)"),
      Duration.microseconds(now.microseconds - status.modified) >= rules.longestLogAge
    else { return }
    found.logs.append(String(name.dropLast(4)))
  }

  private func status(_ directory: Int32, _ name: String) -> FileStatus? {
    guard let status = try? spool.syscalls.status(directory, name), status.kind == .regular else { return nil }
    return status
  }
}

extension Scan {
  /// The names of one read of an open folder, some thousands at most; nil at its end.
  static func some(_ descriptor: Int32, path: String) throws(SpoolError) -> [String]? {
    let size = 1 << 16
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { buffer.deallocate() }
    let got = spool_getdents(descriptor, buffer, size)
    if got == 0 { return nil }
    guard got > 0 else { throw SpoolError(doing: "listing the folder", path: path, .current) }
    var names: [String] = []
    var offset = 0
    while offset < got {
      // As in `names`.
      let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
      let name = String(cString: (buffer + offset + 19).assumingMemoryBound(to: CChar.self))
      if name != ".", name != ".." { names.append(name) }
      offset += length
    }
    return names
  }
}
