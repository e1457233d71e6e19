/// Makes and keeps the audit log's index (`AuditIndex`). Reads lines that are written and writes files of its own in
/// `log/index/`, so it may run on any thread beside the daemon's; one at a time.
///
/// A new stretch of log becomes a segment; two neighbours of like size become one, so that a day has only a handful
/// however long it is. A segment is synced before it gets its name: half of one would be an answer that is wrong.
internal import CSpoolShims
internal import Glibc
internal import JobModel

package struct IndexWriter {
  /// Lines of this many bytes make a segment.
  package static let stretch = 4 << 20
  /// Of an old log, which has much to be read at once.
  private static let longStretch = 16 << 20

  private let spool: Spool
  private let seed: UInt64

  /// - Parameter seed: for a spool that has no index yet.
  package init(_ spool: Spool, seed: UInt64) {
    self.spool = spool
    let there = AuditIndex.names(in: spool).lazy.compactMap { IndexSegment($0, in: spool) }.first
    self.seed = there?.seed ?? seed
  }

  /// Covers what is not covered yet, and removes what is of no use any more. Returns how many segments were written.
  ///
  /// - Parameters:
  ///   - minimum: the file being written gets a segment only when it has grown by so much.
  ///   - goesOn: asked before each segment; what is left then is another time's.
  package func update(
    minimum: Int = IndexWriter.stretch, goesOn: () -> Bool = { true }
  ) throws(SpoolError) -> Int {
    var written = 0
    let files = try AuditFile.list(spool)
    let names = AuditIndex.names(in: spool)
    let ranges = Dictionary(grouping: names.compactMap(IndexSegment.range)) { $0.audit }
    var kept = Set<String>()
    for file in files {
      let isClosed = files.contains { $0.node == file.node && $0.day > file.day }
      var chain = AuditIndex.chain(ranges[file.name] ?? [])
      let log = try MappedFile(file.name, in: spool)
      chain = Array(
        chain.prefix {
          IndexSegment(IndexSegment.name(file.name, $0.from, $0.to), in: spool)?.isBorneOut(by: log) ?? false
        })
      while let end = end(of: log, from: chain.last?.to ?? 0, minimum: isClosed ? 1 : minimum) {
        let range = (audit: file.name, from: chain.last?.to ?? 0, to: end)
        try write(range, log)
        written += 1
        guard goesOn() else { return written }
        chain.append(range)
        while chain.count > 1, try merge(&chain, log) { written += 1 }
      }
      for range in chain { kept.insert(IndexSegment.name(file.name, range.from, range.to)) }
    }
    for name in names where !kept.contains(name) { try remove(name) }
    return written
  }

  /// Where a stretch that begins at `start` ends; nil: not enough of it yet.
  private func end(of log: MappedFile, from start: Int, minimum: Int) -> Int? {
    let rest = log.bytes.count - start
    guard rest >= minimum, let base = log.bytes.baseAddress,
      start + IndexWriter.longStretch < 1 << IndexSegment.offsetBits
    else { return nil }
    let length = min(rest, rest >= 2 * IndexWriter.longStretch ? IndexWriter.longStretch : rest)
    guard let found = spool_memrchr(base + start, 0x0A, length) else { return nil }
    return UnsafeRawPointer(found) - base + 1
  }

  private func write(_ range: (audit: String, from: Int, to: Int), _ log: MappedFile) throws(SpoolError) {
    var entries: [UInt64] = []
    var at = range.from
    var last = UnsafeRawBufferPointer(start: nil, count: 0)
    while at < range.to, let line = log.line(at: at) {
      last = line
      if let head = AuditLineHead(line), let job = head.job {
        entries.append(IndexSegment.entry(KeyedHash.of(job, seed: seed), at))
        if head.event == .submitted, let batch = AuditIndex.batch(of: line) {
          entries.append(IndexSegment.entry(KeyedHash.of(AuditIndex.key(ofBatch: batch), seed: seed), at))
        }
      }
      at += line.count + 1
    }
    entries.sort()
    try store(range, hash: Array(Digest.sha256(last).utf8), count: entries.count) { next in
      entries.withUnsafeBytes { next(Array($0)) }
    }
  }

  /// Makes one of the last two, when they are of like size.
  private func merge(_ chain: inout [(audit: String, from: Int, to: Int)], _ log: MappedFile) throws(SpoolError) -> Bool
  {
    let (left, right) = (chain[chain.count - 2], chain[chain.count - 1])
    guard left.to - left.from <= 2 * (right.to - right.from),
      let first = IndexSegment(IndexSegment.name(left.audit, left.from, left.to), in: spool),
      let second = IndexSegment(IndexSegment.name(right.audit, right.from, right.to), in: spool),
      first.seed == seed, second.seed == seed
    else { return false }
    let range = (audit: left.audit, from: left.from, to: right.to)
    try store(range, hash: second.lastHash, count: first.count + second.count) { next in
      var (one, two) = (0, 0)
      var block: [UInt64] = []
      block.reserveCapacity(1 << 15)
      while one < first.count || two < second.count {
        if two == second.count || (one < first.count && first[one] <= second[two]) {
          block.append(first[one])
          one += 1
        } else {
          block.append(second[two])
          two += 1
        }
        guard block.count == 1 << 15 else { continue }
        block.withUnsafeBytes { next(Array($0)) }
        block.removeAll(keepingCapacity: true)
      }
      block.withUnsafeBytes { next(Array($0)) }
    }
    chain.removeLast(2)
    chain.append(range)
    try remove(first.name)
    try remove(second.name)
    return true
  }

  private func store(
    _ range: (audit: String, from: Int, to: Int), hash: [UInt8], count: Int,
    _ entries: ((_ block: [UInt8]) -> Void) -> Void
  ) throws(SpoolError) {
    let log = spool.descriptor(Spool.Folder.log)
    let name = "\(IndexSegment.folder)/\(IndexSegment.name(range.audit, range.from, range.to))"
    let staged = "\(IndexSegment.folder)/.staged"
    do throws(Errno) {
      if mkdirat(log, IndexSegment.folder, 0o750) != 0, errno != EEXIST { throw Errno.current }
      let fd = try spool.syscalls.open(log, staged, flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o640)
      defer { spool.syscalls.close(fd) }
      var header: [UInt8] = []
      for word in [IndexSegment.magic, seed, UInt64(range.from), UInt64(range.to), UInt64(count)] {
        withUnsafeBytes(of: word) { header.append(contentsOf: $0) }
      }
      try spool.syscalls.write(fd, header + hash, offset: 0)
      var offset = IndexSegment.headerSize
      var failure: Errno?
      entries { block in
        guard failure == nil else { return }
        do throws(Errno) { try spool.syscalls.write(fd, block, offset: offset) } catch { failure = error }
        offset += block.count
      }
      if let failure { throw failure }
      try spool.syscalls.syncData(fd)
      try spool.syscalls.rename(log, staged, to: log, name, replacing: true)
    } catch {
      throw SpoolError(doing: "writing the log's index", path: "\(spool.path)/log/\(name)", error)
    }
  }

  private func remove(_ name: String) throws(SpoolError) {
    let path = "\(IndexSegment.folder)/\(name)"
    do throws(Errno) { try spool.syscalls.unlink(spool.descriptor(Spool.Folder.log), path) } catch {
      guard error != .noEntry else { return }
      throw SpoolError(doing: "removing an old index", path: "\(spool.path)/log/\(path)", error)
    }
  }
}
