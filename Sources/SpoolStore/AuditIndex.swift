/// Look-ups in the audit log that do not read it: which lines are about a job, and who is in a batch. Behind what the index
/// covers, a tail of some megabytes at most, the lines themselves are read. Without an index the tail is the whole log, and
/// the answers are the same.
///
/// An index in use stays open, so that a look-up costs a search per audit file; `refresh` takes notice of what was added.
internal import CSpoolShims
internal import Glibc
internal import JobModel

package final class AuditIndex {
  /// One audit file with the segments that count.
  private final class Part {
    let file: AuditFile
    let segments: [IndexSegment]
    /// The lines before this are found by the segments.
    let covered: Int
    private var opened: MappedFile?

    init(_ file: AuditFile, _ segments: [IndexSegment], opened: MappedFile?) {
      self.file = file
      self.segments = segments
      self.opened = opened
      covered = segments.last?.to ?? 0
    }

    func release() {
      guard let opened else { return }
      opened.release()
      for segment in segments { segment.release() }
    }

    /// At least `size` bytes of the file, which may have grown since.
    func map(_ size: Int, in spool: Spool) throws(SpoolError) -> MappedFile {
      if let opened, opened.bytes.count >= size { return opened }
      let map = try MappedFile(file.name, in: spool)
      opened = map
      return map
    }
  }

  private let spool: Spool
  private var parts: [Part] = []
  private var known: Set<String> = []

  package init(_ spool: Spool) throws(SpoolError) {
    self.spool = spool
    try refresh()
  }

  /// The one that is open, or a fresh one.
  static func open(_ index: AuditIndex?, _ spool: Spool) throws(SpoolError) -> AuditIndex {
    if let index { return index }
    return try AuditIndex(spool)
  }

  /// Looks which audit files and segments there are.
  package func refresh() throws(SpoolError) {
    let files = try AuditFile.list(spool)
    let names = Set(AuditIndex.names(in: spool))
    let old = Dictionary(parts.map { ($0.file.name, $0) }) { first, _ in first }
    let byFile = Dictionary(grouping: names.compactMap(IndexSegment.range)) { $0.audit }
    parts = []
    for file in files {
      let before = old[file.name]
      let wanted = AuditIndex.chain(byFile[file.name] ?? [])
      if let before, before.segments.map(\.name) == wanted.map({ IndexSegment.name(file.name, $0.from, $0.to) }) {
        parts.append(before)
        continue
      }
      var segments: [IndexSegment] = []
      var map: MappedFile?
      for range in wanted {
        let name = IndexSegment.name(file.name, range.from, range.to)
        if let kept = before?.segments.first(where: { $0.name == name }) {
          segments.append(kept)
          continue
        }
        if map == nil { map = try MappedFile(file.name, in: spool) }
        guard let map, let segment = IndexSegment(name, in: spool), segment.isBorneOut(by: map) else { break }
        segments.append(segment)
      }
      parts.append(Part(file, segments, opened: nil))
    }
    known = names
  }

  /// Without gaps from the file's beginning, each step as far as possible.
  static func chain(_ ranges: [(audit: String, from: Int, to: Int)]) -> [(audit: String, from: Int, to: Int)] {
    var chain: [(audit: String, from: Int, to: Int)] = []
    while let next = ranges.filter({ $0.from == chain.last?.to ?? 0 }).max(by: { $0.to < $1.to }) { chain.append(next) }
    return chain
  }

  static func names(in spool: Spool) -> [String] {
    var names: [String] = []
    let log = spool.descriptor(Spool.Folder.log)
    // Not there: no index yet.
    try? Scan.names(of: IndexSegment.folder, under: log, shown: "\(spool.path)/log/index", spool: spool) {
      names.append($0)
    }
    return names
  }

  /// Whether the audit file was there when this was last refreshed.
  package func knows(_ audit: String) -> Bool { parts.contains { $0.file.name == audit } }

  /// Up to where the audit file is covered.
  package func covered(_ audit: String) -> Int { parts.first { $0.file.name == audit }?.covered ?? 0 }

  /// Bytes of the log that are not covered.
  package var uncovered: Int {
    parts.reduce(0) { sum, part in
      let status = try? spool.syscalls.status(spool.descriptor(Spool.Folder.log), part.file.name)
      return sum + max(0, (status?.size ?? 0) - part.covered)
    }
  }

  // MARK: Look-ups

  /// Hands out the lines about these jobs, newest first for each, until `body` has enough of it (false).
  package func lines(
    about ids: Set<String>, _ body: (String, AuditLineHead, UnsafeRawBufferPointer) -> Bool
  ) throws(SpoolError) {
    defer { release() }
    var open = ids
    let wanted = Set(ids.map { KeyedHash.of($0, seed: 0) })
    for part in parts.reversed() where !open.isEmpty {
      try tail(of: part) { line in
        guard let bytes = AuditLineHead.job(of: line), wanted.contains(KeyedHash.of(bytes, seed: 0)),
          let head = AuditLineHead(line),
          let job = head.job, open.contains(job)
        else { return true }
        if !body(job, head, line) { open.remove(job) }
        return !open.isEmpty
      }
      guard part.covered > 0 else { continue }
      for id in open {
        try candidates(part, of: id) { line in
          guard let head = AuditLineHead(line), head.job == id else { return true }
          guard !body(id, head, line) else { return true }
          open.remove(id)
          return false
        }
      }
    }
  }

  /// What was looked at is not held in memory between two questions.
  private func release() { for part in parts { part.release() } }

  /// Members of each batch, by their `submitted` lines.
  package func members(of batches: Set<String>) throws(SpoolError) -> [String: Set<String>] {
    defer { release() }
    var found: [String: Set<String>] = [:]
    func take(_ line: UnsafeRawBufferPointer) {
      guard let head = AuditLineHead(line), head.event == .submitted, let id = head.job,
        let batch = AuditIndex.batch(of: line), batches.contains(batch)
      else { return }
      found[batch, default: []].insert(id)
    }
    for part in parts.reversed() {
      try tail(of: part) { line in
        take(line)
        return true
      }
      guard part.covered > 0 else { continue }
      for batch in batches {
        try candidates(part, of: AuditIndex.key(ofBatch: batch)) { line in
          take(line)
          return true
        }
      }
    }
    return found
  }

  /// Lines behind what the segments cover, last first.
  private func tail(of part: Part, _ body: (UnsafeRawBufferPointer) -> Bool) throws(SpoolError) {
    let size: Int
    do throws(Errno) {
      size = try spool.syscalls.status(spool.descriptor(Spool.Folder.log), part.file.name).size
    } catch {
      // Retention has taken it away.
      if error == .noEntry { return }
      throw SpoolError(doing: "looking at the audit log", path: "\(spool.path)/log/\(part.file.name)", error)
    }
    guard size > part.covered else { return }
    try part.map(size, in: spool).linesBackwards(from: part.covered, body)
  }

  private func candidates(
    _ part: Part, of key: String, _ body: (UnsafeRawBufferPointer) -> Bool
  ) throws(SpoolError) {
    for segment in part.segments.reversed() {
      for offset in segment.offsets(of: KeyedHash.of(key, seed: segment.seed))
      where offset >= segment.from && offset < segment.to {
        guard let line = try part.map(segment.to, in: spool).line(at: offset) else { continue }
        if !body(line) { return }
      }
    }
  }

  /// No id begins like this.
  static func key(ofBatch name: String) -> String { "\0\(name)" }

  /// The batch a `submitted` line names.
  static func batch(of line: UnsafeRawBufferPointer) -> String? {
    guard AuditLine.find(",\"batch\":\"", in: line) != nil else { return nil }
    return (try? JSONReader.parse(Array(line), rawKeys: ["meta"]))?["batch"]?.string
  }
}
