/// Reading the audit log: its files in order, its lines forwards or newest first, and what it says of given jobs. Needs no
/// lock: lines are only ever added, and a last line without a newline is still being written and not looked at.
internal import CSpoolShims
internal import Glibc
package import JobModel

/// `audit-NODE-YYYY-MM-DD.jsonl`.
package struct AuditFile: Sendable, Equatable {
  package var node: String
  package var day: String

  package var name: String { AuditFile.name(node: node, day: day) }

  package static func name(node: String, day: String) -> String { "audit-\(node)-\(day).jsonl" }

  package init?(name: String) {
    guard name.hasPrefix("audit-"), name.hasSuffix(".jsonl") else { return nil }
    let middle = name.dropFirst(6).dropLast(6)
    guard middle.utf8.count > 11, let dash = middle.dropLast(10).last, dash == "-" else { return nil }
    day = String(middle.suffix(10))
    node = String(middle.dropLast(11))
  }

  /// All files, oldest first; by node within a day.
  package static func list(_ spool: Spool) throws(SpoolError) -> [AuditFile] {
    var files: [AuditFile] = []
    try Scan.names(of: .log, in: spool) { name in
      if let file = AuditFile(name: name) { files.append(file) }
    }
    return files.sorted { ($0.day, $0.node) < ($1.day, $1.node) }
  }
}

/// A file's bytes without copying them; they stay as they were mapped while the log grows behind them.
package final class MappedFile {
  package let bytes: UnsafeRawBufferPointer

  package init(_ name: String, in spool: Spool) throws(SpoolError) {
    do throws(Errno) {
      let fd = try spool.syscalls.open(
        spool.descriptor(Spool.Folder.log), name, flags: O_RDONLY | O_NOFOLLOW, mode: 0)
      defer { spool.syscalls.close(fd) }
      let size = try spool.syscalls.status(fd).size
      guard size > 0 else {
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        return
      }
      guard let address = mmap(nil, size, PROT_READ, MAP_SHARED, fd, 0), address != MAP_FAILED else {
        throw Errno.current
      }
      bytes = UnsafeRawBufferPointer(start: address, count: size)
    } catch {
      throw SpoolError(doing: "reading the audit log", path: "\(spool.path)/log/\(name)", error)
    }
  }

  deinit {
    if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
  }

  /// Lets go of the pages that were read: they stay in the system's cache and count for nobody's memory.
  func release() { advise(0..<bytes.count, MADV_DONTNEED) }

  /// The same for a part.
  package func release(_ part: Range<Int>) { advise(part, MADV_DONTNEED) }

  /// Has the system fetch a part from the disk while another is being read.
  package func fetch(_ part: Range<Int>) { advise(part, MADV_WILLNEED) }

  private func advise(_ part: Range<Int>, _ advice: Int32) {
    guard let address = bytes.baseAddress, !part.isEmpty else { return }
    let start = part.lowerBound & ~4095
    madvise(UnsafeMutableRawPointer(mutating: address + start), part.upperBound - start, advice)
  }

  /// Lines without their newline, oldest first; `body` returns false to stop.
  package func lines(_ body: (UnsafeRawBufferPointer) -> Bool) {
    guard let base = bytes.baseAddress else { return }
    var start = 0
    while start < bytes.count, let found = memchr(base + start, 0x0A, bytes.count - start) {
      let end = UnsafeRawPointer(found) - base
      if !body(UnsafeRawBufferPointer(start: base + start, count: end - start)) { return }
      start = end + 1
    }
  }

  /// Lines newest first.
  ///
  /// - Parameter first: where the first line to be handed out begins.
  package func linesBackwards(from first: Int = 0, _ body: (UnsafeRawBufferPointer) -> Bool) {
    guard let base = bytes.baseAddress else { return }
    var end = bytes.count
    while end > first, bytes[end - 1] != 0x0A { end -= 1 }
    while end > first {
      let found = end > first + 1 ? spool_memrchr(base + first, 0x0A, end - 1 - first) : nil
      let start = found.map { UnsafeRawPointer($0) - base + 1 } ?? first
      if !body(UnsafeRawBufferPointer(start: base + start, count: end - 1 - start)) { return }
      end = start
    }
  }
}

extension MappedFile {
  /// The whole line that begins there, without its newline.
  func line(at offset: Int) -> UnsafeRawBufferPointer? {
    guard let base = bytes.baseAddress, offset >= 0, offset < bytes.count, offset == 0 || bytes[offset - 1] == 0x0A,
      let found = memchr(base + offset, 0x0A, bytes.count - offset)
    else { return nil }
    return UnsafeRawBufferPointer(start: base + offset, count: UnsafeRawPointer(found) - base - offset)
  }
}

/// The fields every line begins with, found by their place: our own writer fixed their order, so no line has to be parsed
/// to be passed over.
package struct AuditLineHead {
  package var event: AuditEvent
  package var job: String?

  package init?(_ line: UnsafeRawBufferPointer) {
    // {"ts":"2026-11-21T01:39:02.512Z","seq":N,"event":"…","job":"…"
    var at = 39
    guard line.count > 60, line[at - 1] == UInt8(ascii: ":") else { return nil }
    while at < line.count, line[at] >= 48, line[at] <= 57 { at += 1 }
    guard let event = AuditLineHead.text(line, after: ",\"event\":\"", at: &at),
      let known = AuditEvent(rawValue: event)
    else { return nil }
    self.event = known
    job = AuditLineHead.text(line, after: ",\"job\":\"", at: &at)
  }

  /// The job's id alone, as it stands in the line: to pass over lines about others.
  package static func job(of line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    var at = 39
    guard line.count > 60, line[38] == UInt8(ascii: ":"), let base = line.baseAddress else { return nil }
    while at < line.count, line[at] >= 48, line[at] <= 57 { at += 1 }
    // ,"event":"…","job":"…"
    at += 10
    guard at < line.count, let event = memchr(base + at, 0x22, line.count - at) else { return nil }
    at = UnsafeRawPointer(event) - base + 1
    let key: StaticString = ",\"job\":\""
    guard at + key.utf8CodeUnitCount < line.count, memcmp(base + at, key.utf8Start, key.utf8CodeUnitCount) == 0 else {
      return nil
    }
    at += key.utf8CodeUnitCount
    guard let end = memchr(base + at, 0x22, line.count - at) else { return nil }
    return UnsafeRawBufferPointer(start: base + at, count: UnsafeRawPointer(end) - base - at)
  }

  private static func text(_ line: UnsafeRawBufferPointer, after key: StaticString, at: inout Int) -> String? {
    let length = key.utf8CodeUnitCount
    guard at + length < line.count else { return nil }
    for index in 0..<length where line[at + index] != key.utf8Start[index] { return nil }
    let start = at + length
    var end = start
    while end < line.count, line[end] != UInt8(ascii: "\"") { end += 1 }
    guard end < line.count else { return nil }
    at = end + 1
    return String(decoding: UnsafeRawBufferPointer(rebasing: line[start..<end]), as: UTF8.self)
  }
}

/// What the log says last about a job.
package struct AuditTrace: Sendable {
  /// The newest event of the job.
  package var last: AuditEvent
  /// The newest line is the end of an attempt, or of a claim that was judged: only the rename may be missing.
  package var isSettled = false
  /// The newest `claimed` line, when no end of an attempt is newer.
  package var claim: JSONValue?
  /// The newest line with a record.
  package var settle: JSONValue?
  /// The `submitted` line, when nothing newer holds a record: the only place that knows the owner of an adopted file.
  package var submitted: JSONValue?
  /// It was requeued after `settle`: the file whose end that was has left `done/` or `dead/`.
  package var isRequeued = false
  /// Further claims before `claim` without an end between them; a job that keeps taking the machine down shows here.
  package var repeatedClaims = 0

  /// The record in the settling line, as bytes; nil when only its hash is there.
  package var record: [UInt8]? {
    guard case .raw(let bytes)? = settle?["record"] else { return nil }
    return bytes
  }

  /// Whether the log bears out this record: word for word, or by its hash.
  package func bearsOut(_ bytes: [UInt8]) -> Bool {
    if let record { return record == bytes }
    return settle?["record_sha256"]?.string == Digest.sha256(bytes)
  }
}

package enum AuditReader {
  /// Reads newest first until everything asked for is found. Ids the log does not know are missing in the answer.
  ///
  /// - Parameter index: one that is open already; as it was when last refreshed will do.
  package static func traces(
    of ids: Set<String>, in spool: Spool, index: AuditIndex? = nil
  ) throws(SpoolError) -> [String: AuditTrace] {
    guard !ids.isEmpty else { return [:] }
    var traces: [String: AuditTrace] = [:]
    try AuditIndex.open(index, spool).lines(about: ids) { job, head, line in
      guard !head.event.isAboutSchedule else { return true }
      var goesOn = true
      var trace = traces[job] ?? AuditTrace(last: head.event)
      if head.event == .requeued, trace.settle == nil { trace.isRequeued = true }
      if head.event == .claimed {
        if trace.claim == nil, trace.settle == nil {
          trace.claim = try? JSONReader.parse(Array(line))
        } else {
          trace.repeatedClaims += 1
        }
      }
      if head.event.settles || head.event == .edited || head.event == .released {
        let parsed = try? JSONReader.parse(Array(line), rawKeys: ["record"], slack: JSONReader.ownLevels)
        // A run that was handed back is settled like any other; a held job that is let go has no record in its line.
        if head.event != .released || parsed?["from"]?.string == JobState.cur.rawValue {
          trace.settle = parsed
          trace.isSettled = traces[job] == nil && head.event != .edited
          goesOn = false
        }
      }
      if head.event == .submitted {
        trace.submitted = try? JSONReader.parse(Array(line), rawKeys: ["meta"])
        goesOn = false
      }
      traces[job] = trace
      return goesOn
    }
    return traces
  }

  /// Those of `ids` the log has any line about; and of these the ones of which it says last that they are refused, which
  /// they were not yet.
  package static func known(
    _ ids: Set<String>, in spool: Spool, index: AuditIndex? = nil
  ) throws(SpoolError) -> (ids: Set<String>, refused: Set<String>) {
    var known = Set<String>()
    var refused = Set<String>()
    try AuditIndex.open(index, spool).lines(about: ids) { job, head, line in
      // A firing is named before its job has been looked at; its `submitted` line is still to come.
      guard !head.event.isAboutSchedule else { return true }
      known.insert(job)
      if head.event == .submitted, AuditLine.find(",\"refused\":", in: line) != nil,
        (try? JSONReader.parse(Array(line), rawKeys: ["meta"]))?["refused"] != nil
      {
        refused.insert(job)
      }
      return false
    }
    return (known, refused)
  }

  /// Every line of the log, oldest first, parsed; `body` returns false to stop.
  package static func lines(
    in spool: Spool, from day: String? = nil, _ body: (UnsafeRawBufferPointer, AuditFile) -> Bool
  ) throws(SpoolError) {
    for file in try AuditFile.list(spool) where day.map({ file.day >= $0 }) ?? true {
      let map = try MappedFile(file.name, in: spool)
      var go = true
      map.lines { line in
        go = body(line, file)
        return go
      }
      if !go { return }
    }
  }
}
