/// The part of a start that a power cut makes necessary, or a disk that failed and was mounted again: one sync covers the
/// log and nothing else, so the log may tell of ends whose records, renames or very files the disk does not have.
/// `TornText` deals with the opposite, what is in a file without its line.
internal import Glibc
internal import JobModel

extension Recovery {
  /// So far back the disk may lack what the log tells.
  package static let window = Duration.seconds(120)

  /// What a power cut can have undone although the log tells of it, because only the log is synced. Everything that ended
  /// shortly before the cut is compared with its file. The kernel writes dirty pages back within 35 s by default
  /// (dirty_expire_centisecs, dirty_writeback_centisecs).
  ///
  /// Before `run`: a file whose end is durable, but not the rename of its claim (btrfs syncs a file without the names of
  /// others), is taken up, so that it is completed and not run again. Returns how many.
  ///
  /// - Parameter afterPowerCut: without one, a file that came after the end is a new submission, which the daemon had no time
  ///   to note: its change time, which no user can set, tells.
  package func takeUpEnds(
    window: Duration = Recovery.window, afterPowerCut: Bool = true
  ) throws(SpoolError) -> Int {
    var count = 0
    let spool = transitions.spool
    try forEachRecentEnd(window) { id, bytes throws(SpoolError) in
      guard try spool.exists(id, in: .new), let line = parse(bytes), let state = target(of: line),
        state == .done || state == .dead, try !spool.exists(id, in: state),
        try afterPowerCut ? true : cameBefore(line, id), let file = try spool.read(id, in: .new, limit: recordLimit),
        let job = (try? JobScanner.scan(file)) ?? TornText.mended(file, id: id)
      else { return }
      if case .raw(let record)? = line["record"] {
        // With a record of its own it was moved back by hand, and is to run again.
        guard job.record?.state != .done, job.record?.state != .dead,
          Recovery.record(record)?.sha256 == job.record?.sha256 ?? Digest.sha256(job.original)
        else { return }
      } else {
        guard let text = job.recordBytes, line["record_sha256"]?.string == Digest.sha256(text) else { return }
      }
      if try transitions.takeUp(id) { count += 1 }
    }
    return count
  }

  /// Times in the log are cut to milliseconds.
  private func cameBefore(_ line: JSONValue, _ id: String) throws(SpoolError) -> Bool {
    guard let ended = line["ts"]?.string.flatMap(WallTime.init(rfc3339:)) else { return false }
    let spool = transitions.spool
    do throws(Errno) {
      let status = try spool.syscalls.status(spool.descriptor(JobState.new), JobID.fileName(id))
      return status.changed < ended.microseconds + 1000
    } catch {
      if error == .noEntry { return false }
      throw SpoolError(doing: "looking at the job", path: spool.path(of: id, in: .new), error)
    }
  }

  /// After `run`: ends that are durable and renamed may still lack their record in the file, or all of the file.
  ///
  /// Returns how many files were completed.
  ///
  /// - Parameter afterPowerCut: without one, somebody took away what is gone, and what lies elsewhere was dropped anew: only
  ///   files in their places are completed, or stood in for.
  package func completeTornEnds(
    window: Duration = Recovery.window, afterPowerCut: Bool = true
  ) throws(SpoolError) -> Int {
    var completed = 0
    try forEachRecentEnd(window, throughMoves: true) { id, bytes throws(SpoolError) in
      if let line = parse(bytes), try completeTornEnd(id, line, afterPowerCut) { completed += 1 }
    }
    return completed
  }

  private func parse(_ line: UnsafeRawBufferPointer) -> JSONValue? {
    try? JSONReader.parse(Array(line), rawKeys: ["record"], slack: JSONReader.ownLevels)
  }

  /// The ends that are the last the log has about their jobs, newest first. There may be a million of them, so none is kept;
  /// `body` must not add to the log.
  ///
  /// How far back they reach is counted from line to line, a second at most for each step. The last lines may have been
  /// written after the cut, by `run` or a command, and how long the machine was off must not use up the window.
  ///
  /// - Parameter throughMoves: also those of jobs that were held, released or requeued since, by a rename that left the file
  ///   as it was.
  private func forEachRecentEnd(
    _ window: Duration, throughMoves: Bool = false, _ body: (String, UnsafeRawBufferPointer) throws(SpoolError) -> Void
  ) throws(SpoolError) {
    var seen = Set<Int>()
    var newer: WallTime?
    var covered: Int64 = 0
    for file in try AuditFile.list(transitions.spool).reversed() {
      var isOver = false
      var failure: SpoolError?
      try MappedFile(file.name, in: transitions.spool).linesBackwards { bytes in
        guard let head = AuditLineHead(bytes), let id = head.job else { return true }
        // By 64 bits of hash: two of a million jobs that share them are less likely than the disk's own errors.
        let isMove = throughMoves && Recovery.isMove(head.event, bytes)
        if !isMove, seen.insert(id.hashValue).inserted, head.event.settles || head.event == .released {
          do throws(SpoolError) { try body(id, bytes) } catch {
            failure = error
            return false
          }
        }
        guard bytes.count > 31, let time = WallTime(rfc3339: String(decoding: bytes[7..<31], as: UTF8.self)) else {
          return true
        }
        if let newer { covered += min(max(newer.microseconds - time.microseconds, 0), 1_000_000) }
        newer = time
        isOver = covered > window.inMicroseconds
        return !isOver
      }
      if let failure { throw failure }
      if isOver { break }
    }
  }

  private static func isMove(_ event: AuditEvent, _ line: UnsafeRawBufferPointer) -> Bool {
    switch event {
    case .held, .requeued: true
    case .released: AuditLine.find(",\"from\":\"hold\"", in: line) != nil
    default: false
    }
  }

  private func target(of line: JSONValue) -> JobState? { line["to"]?.string.flatMap(JobState.init(rawValue:)) }

  private func completeTornEnd(_ id: String, _ line: JSONValue, _ afterPowerCut: Bool) throws(SpoolError) -> Bool {
    guard let target = target(of: line), let head = line["head"]?.int, case .raw(let record)? = line["record"] else {
      return false
    }
    let spool = transitions.spool
    let isEnd = target == .done || target == .dead
    guard let state = try place(of: id, target) else {
      return isEnd && afterPowerCut ? try standIn(id, target, record) : false
    }
    guard state != .cur, afterPowerCut || state == target,
      let bytes = try spool.read(id, in: state, limit: recordLimit)
    else { return false }
    if let job = try? JobScanner.scan(bytes, id: nil) {
      if job.recordBytes == record { return false }
      // Where it waits it may have been replaced since: then the record is another file's.
      if state == .new || state == .hold, let sha256 = Recovery.record(record)?.sha256,
        sha256 != Digest.sha256(job.original)
      {
        return false
      }
    }
    if try transitions.restore(id, in: state, head: head, tail: Recovery.tail(line), record: record) == nil {
      return true
    }
    return isEnd && state == target ? try standIn(id, target, record) : false
  }

  /// Where the file of a job is whose end led to `target`: there, or where it was moved since. One that is in `cur/` is taken
  /// care of by `run`; nil: nowhere.
  private func place(of id: String, _ target: JobState) throws(SpoolError) -> JobState? {
    if try transitions.spool.exists(id, in: target) { return target }
    return try transitions.spool.state(of: id)
  }

  private func standIn(_ id: String, _ state: JobState, _ json: [UInt8]) throws(SpoolError) -> Bool {
    guard let record = Recovery.record(json) else { return false }
    try transitions.standIn(id, in: state, record: record)
    return true
  }
}
