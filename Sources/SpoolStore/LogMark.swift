/// A moment of the audit log: how many bytes of whole lines each of its files had. Two marks tell what happened in between;
/// a copy of the log can be cut back to one.
internal import Glibc
internal import JobModel

package struct LogMark: Sendable, Equatable {
  /// File name → bytes up to the end of its last whole line.
  package var sizes: [String: Int]

  package init(sizes: [String: Int] = [:]) { self.sizes = sizes }

  /// Now.
  package init(_ spool: Spool) throws(SpoolError) {
    sizes = [:]
    for file in try AuditFile.list(spool) {
      // Retention may take it away between the two looks.
      guard spool.hasRoot("log/\(file.name)") else { continue }
      let map = try MappedFile(file.name, in: spool)
      sizes[file.name] = map.bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    }
  }

  /// The lines that came after `earlier`, oldest first.
  package func lines(
    since earlier: LogMark, in spool: Spool, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(SpoolError) {
    for file in try AuditFile.list(spool) {
      guard let end = sizes[file.name] else { continue }
      let start = earlier.sizes[file.name] ?? 0
      guard end > start else { continue }
      let map = try MappedFile(file.name, in: spool)
      guard map.bytes.count >= end else { continue }
      for line in UnsafeRawBufferPointer(rebasing: map.bytes[start..<end]).split(separator: 0x0A) {
        body(UnsafeRawBufferPointer(rebasing: line))
      }
    }
  }

  /// What the lines since `earlier` say of jobs, and which jobs they leave where only the job's own file tells all.
  package func changes(since earlier: LogMark, in spool: Spool) throws(SpoolError) -> LogChanges {
    var changes = LogChanges()
    try lines(since: earlier, in: spool) { changes.take($0) }
    return changes
  }
}

/// The jobs that lines of the audit log are about.
package struct LogChanges: Sendable {
  /// Everyone named.
  package private(set) var jobs = Set<String>()
  /// Those of them that have no file any more: removed, or discarded as a repetition.
  package private(set) var gone = Set<String>()
  /// Those whose lines do not hold all that their files do: a record too large for the log, an edited text.
  package private(set) var fileOnly = Set<String>()

  package init() {}

  mutating func take(_ line: UnsafeRawBufferPointer) {
    guard let head = AuditLineHead(line), let job = head.job, !head.event.isAboutSchedule else { return }
    jobs.insert(job)
    gone.remove(job)
    switch head.event {
    case .purged:
      gone.insert(job)
      fileOnly.remove(job)
    case .edited:
      fileOnly.insert(job)
    case _ where head.event.settles || head.event == .released:
      let value = try? JSONReader.parse(Array(line), rawKeys: ["record"], slack: JSONReader.ownLevels)
      if value?["discarded"]?.bool == true { gone.insert(job) }
      if value?["record_sha256"] != nil { fileOnly.insert(job) }
    default: break
    }
  }
}
