/// Keeps an index as new as the spool: reads the whole log once, the newest file first, then what is added to it, and
/// compares the outcome with the folders, which are the truth. Readers ask under a lock that lets them in together.
///
/// It costs nothing while nobody asks: `refresh` looks at the sizes of files, and is called by whoever wants an answer, or
/// every few milliseconds by somebody who has listeners.
///
/// An end is taken in only once its file is visible where the line says: the line is written before the rename, and is not
/// even durable at first. Until then it waits, and with it whatever else the log says of that job.
internal import Glibc
package import JobModel
package import SpoolConfig
package import SpoolStore

package final class HistoryFeed: @unchecked Sendable {
  /// One event of one job, with the job as it was right after.
  package struct Event: Sendable {
    package var sequence: UInt32
    /// nil: its progress, which the log does not have.
    package var event: AuditEvent?
    package var row: JobRow
  }

  /// What `refresh` found.
  package struct News: Sendable {
    /// In the order of the log.
    package var events: [Event] = []
    /// Alerts that were not there before.
    package var alerts: [DaemonStatus.Alert] = []

    package var isEmpty: Bool { events.isEmpty && alerts.isEmpty }
  }

  package let spool: Spool
  let index: HistoryIndex
  private let gate = ReadersGate()
  /// One at a time changes the index; guards everything below.
  private let turn = Turn()
  let rollups = RollupShelf()
  private let clock: @Sendable () -> WallTime
  private let configuration: Configuration?

  private var tails: [String: LogTail] = [:]
  private var logChanged: Int64 = .min
  private var held: [HeldLine] = []
  private var statusChanged: Int64 = .min
  private var status: DaemonStatus?
  /// Changed with both the turn and the gate, so that either is enough to read it.
  private var isLoaded = false
  var folders = FolderTimes()
  private var listener: (@Sendable (News) -> Void)?

  struct LogTail {
    var file: AuditFile
    var offset: Int
    var node: UInt8
  }

  struct HeldLine {
    var bytes: [UInt8]
    var job: String
    var node: UInt8
    /// nil: only waits for another line of its job.
    var to: JobState?
  }

  /// - Parameter configuration: which types hide parts of their `meta`.
  package init(_ spool: Spool, configuration: Configuration?, clock: @escaping @Sendable () -> WallTime) {
    self.spool = spool
    self.clock = clock
    self.configuration = configuration
    var redactions: [String: Redaction] = [:]
    for (type, handler) in configuration?.handlers ?? [:] {
      let pointers = (handler.redact + handler.encrypt).filter { $0.hasPrefix("/meta") }
      if !pointers.isEmpty { redactions[type] = Redaction(pointers.compactMap { JSONPointer($0) }) }
    }
    index = HistoryIndex(redactions: redactions)
  }

  /// The whole log has been read and the folders compared.
  package var isComplete: Bool { read { _, _ in isLoaded } }

  /// Called with what `refresh` found, one call after the other; nil: nobody listens.
  package func listen(_ body: (@Sendable (News) -> Void)?) { turn.with { listener = body } }

  /// Asks the index; many may at once. `status` is what the daemon published, nil when none runs.
  package func read<Result>(_ body: (HistoryIndex, DaemonStatus?) throws -> Result) rethrows -> Result {
    gate.enter()
    defer { gate.leave() }
    return try body(index, status)
  }

  // MARK: The beginning

  /// Reads the log, the newest part of it first, then compares with the folders. Answers can be had meanwhile: of the newest
  /// jobs at once, of the older ones later.
  ///
  /// - Parameter part: called after each file; false stops.
  package func load(_ part: () -> Bool = { true }) throws(SpoolError) {
    let files = try AuditFile.list(spool)
    turn.with { gate.changing { index.beginsBackwards() } }
    defer { turn.with { gate.changing { index.endsBackwards() } } }
    for file in files.reversed() {
      try load(file)
      guard part() else { return }
      // Whoever waits for an answer gets it now.
      usleep(200)
    }
    _ = try turn.with { () throws(SpoolError) in try update(slices: .max) }
    try compareFolders(all: true)
    turn.with { gate.changing { isLoaded = true } }
  }

  private func load(_ file: AuditFile) throws(SpoolError) {
    let map = try MappedFile(file.name, in: spool)
    let now = clock().microseconds
    try turn.with { () throws(SpoolError) in
      guard tails[file.name] == nil else { return }
      let node = gate.changing { index.number(ofNode: file.node) }
      let ends = HistoryFeed.slices(map.bytes)
      // In slices, so that questions get their turn; the last first, because what is newest is asked for most.
      for place in ends.indices.reversed() {
        let slice = (place > 0 ? ends[place - 1] : 0)..<ends[place]
        if place > 0 { map.fetch((place > 1 ? ends[place - 2] : 0)..<slice.lowerBound) }
        gate.changing {
          var start = slice.lowerBound
          while start < slice.upperBound,
            let found = memchr(map.bytes.baseAddress! + start, 0x0A, slice.upperBound - start)
          {
            let stop = UnsafeRawPointer(found) - map.bytes.baseAddress!
            take(UnsafeRawBufferPointer(rebasing: map.bytes[start..<stop]), node, now: now, events: nil)
            start = stop + 1
          }
        }
        map.release(slice)
      }
      tails[file.name] = LogTail(file: file, offset: ends.last ?? 0, node: node)
    }
  }

  /// Where slices of about a megabyte of whole lines end.
  private static func slices(_ bytes: UnsafeRawBufferPointer) -> [Int] {
    var ends: [Int] = []
    while let end = slice(bytes, from: ends.last ?? 0) { ends.append(end) }
    return ends
  }

  /// The end of about a megabyte of whole lines; nil when there is no whole line any more.
  private static func slice(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard start < bytes.count, let base = bytes.baseAddress else { return nil }
    let ahead = min(start + 1 << 20, bytes.count)
    if let found = memchr(base + ahead - 1, 0x0A, bytes.count - ahead + 1) { return UnsafeRawPointer(found) - base + 1 }
    var end = bytes.count
    while end > start, bytes[end - 1] != 0x0A { end -= 1 }
    return end > start ? end : nil
  }

  // MARK: What is added

  /// Takes in what came since. Cheap when nothing did: some looks at the sizes and times of files.
  ///
  /// - Parameter slices: of each file at most so many megabytes, so that who passes the news on is not flooded by it.
  /// - Returns: whether there is more.
  @discardableResult
  package func refresh(slices: Int = .max) throws(SpoolError) -> Bool {
    var hasMore = false
    // While a month of log is being read, an answer that is not complete is better than none for seconds.
    if isComplete {
      try turn.with { () throws(SpoolError) in hasMore = try update(slices: slices) }
    } else {
      try turn.ifFree { () throws(SpoolError) in hasMore = try update(slices: slices) }
    }
    return hasMore
  }

  private func update(slices: Int) throws(SpoolError) -> Bool {
    let now = clock().microseconds
    var events: [Event]? = listener == nil ? nil : []
    let before = status
    readStatus()
    if !held.isEmpty { try release(now: now, &events) }
    let hasMore = try readTails(now: now, slices: slices, &events)
    // What the log still has to say would be taken for something done by hand: a million files would be opened for it.
    if isLoaded, !hasMore {
      try lookAtWaiting()
      try compareChanged(now: now)
    }
    guard let listener else { return hasMore }
    var news = News(events: events ?? [])
    addProgress(since: before, now: now, &news)
    if !news.isEmpty { listener(news) }
    return hasMore
  }

  /// What moved on among the running jobs, and what needs attention now.
  private func addProgress(since before: DaemonStatus?, now: Int64, _ news: inout News) {
    guard let status, status != before else { return }
    let known = Progress(before)
    let progress = Progress(status)
    let blocked = Blocked(index)
    for job in status.running where !job.progress.isEmpty && known[job.id]?.progress != job.progress {
      // The log may not say yet that it runs, or may say already that it does not.
      guard let row = index.find(job.id), index.rows[row].pointee.standing == .cur else { continue }
      news.events.append(
        Event(sequence: index.lastSequence, event: nil, row: index.jobRow(row, blocked, progress, now: now)))
    }
    news.alerts = status.alerts.filter { alert in !(before?.alerts.contains(alert) ?? false) }
  }

  private func readTails(now: Int64, slices: Int, _ events: inout [Event]?) throws(SpoolError) -> Bool {
    let log = try time(of: spool.descriptor(Spool.Folder.log))
    if log != logChanged {
      for file in try AuditFile.list(spool) where tails[file.name] == nil {
        // Files of earlier days are `load`'s; this is for the next one.
        guard isLoaded || file.day >= WallTime(microseconds: now).day else { continue }
        tails[file.name] = LogTail(file: file, offset: 0, node: gate.changing { index.number(ofNode: file.node) })
      }
      logChanged = log
    }
    var hasMore = false
    // A node writes its newest file only; the one before may have got its last lines since the last look.
    for (_, tails) in Dictionary(grouping: tails.values, by: \.file.node).sorted(by: { $0.key < $1.key }) {
      for name in tails.map(\.file.name).sorted().suffix(2) {
        // The older file first, whole.
        guard try readTail(name, now: now, slices: slices, &events) else { continue }
        hasMore = true
        break
      }
    }
    return hasMore
  }

  /// Whether there is more.
  private func readTail(
    _ name: String, now: Int64, slices: Int, _ events: inout [Event]?
  ) throws(SpoolError) -> Bool {
    guard let tail = tails[name] else { return false }
    guard let size = try? spool.syscalls.status(spool.descriptor(Spool.Folder.log), name).size, size != tail.offset
    else { return false }
    var reader = LogFileReader(name, offset: tail.offset)
    var left = slices
    while left > 0 {
      let stop = try reader.slice(in: spool, bytes: 1 << 20) { line in
        takeOrHold(line, tail.node, now: now, &events)
        return true
      }
      tails[name]?.offset = reader.offset
      if stop != .more { return false }
      left -= 1
    }
    return true
  }

  /// Takes a line in, or sets it aside until the file it speaks of can be seen.
  private func takeOrHold(_ line: UnsafeRawBufferPointer, _ node: UInt8, now: Int64, _ events: inout [Event]?) {
    if let scan = LineScan(line), let job = scan.job {
      let to = HistoryFeed.place(ofEnd: scan, line)
      let waits = !held.isEmpty && held.contains { job.elementsEqual($0.job.utf8) }
      let id = to != nil || waits ? String(decoding: job, as: UTF8.self) : ""
      if waits || to.map({ !isVisible(id, $0) }) ?? false {
        held.append(HeldLine(bytes: Array(line), job: id, node: node, to: to))
        return
      }
    }
    gate.changing { take(line, node, now: now, events: &events) }
  }

  /// Where the file of an ended job has to be; nil for a line that is no end.
  private static func place(ofEnd scan: LineScan, _ line: UnsafeRawBufferPointer) -> JobState? {
    switch scan.event {
    case .finished: return .done
    case .buried, .rejected, .expired, .cancelled: return .dead
    case .duplicate:
      var rest = scan.rest
      while let (key, value) = rest.next() {
        if key.equals("to") { return value.equals("\"dead\"") ? .dead : nil }
        if key.equals("discarded") || key.equals("record") { return nil }
      }
      return nil
    default: return nil
    }
  }

  private func isVisible(_ id: String, _ state: JobState) -> Bool {
    (try? spool.exists(id, in: state)) ?? true
  }

  /// Takes in what could not be seen before and can be now. What has left its folder again, or the spool, was there.
  private func release(now: Int64, _ events: inout [Event]?) throws(SpoolError) {
    var waiting: [HeldLine] = []
    var blocked = Set<String>()
    for line in held {
      if !blocked.contains(line.job) {
        var isThere = line.to.map { isVisible(line.job, $0) } ?? true
        if !isThere { isThere = try spool.state(of: line.job) != .cur }
        if isThere {
          line.bytes.withUnsafeBytes { bytes in gate.changing { take(bytes, line.node, now: now, events: &events) } }
          continue
        }
      }
      blocked.insert(line.job)
      waiting.append(line)
    }
    held = waiting
  }

  private func take(
    _ line: UnsafeRawBufferPointer, _ node: UInt8, now: Int64, events: UnsafeMutablePointer<[Event]?>?
  ) {
    let isHeard = events.map { $0.pointee != nil } ?? false
    var gone: JobRow?
    if isHeard, let scan = LineScan(line), scan.event == .purged, let job = scan.job, let row = index.rows.find(job) {
      gone = index.jobRow(row, Blocked(index), Progress(nil), now: now)
    }
    guard let (scan, row) = index.take(line, node: node, now: now), isHeard else { return }
    if let row {
      let job = index.jobRow(row, Blocked(index), Progress(status), now: now)
      events?.pointee?.append(Event(sequence: scan.sequence, event: scan.event, row: job))
    } else if let gone, scan.event == .purged, index.find(gone.id) == nil {
      events?.pointee?.append(Event(sequence: scan.sequence, event: .purged, row: gone))
    }
  }

  // MARK: The rest of the spool

  private func readStatus() {
    let reader = SpoolLock.holder(spool)
    guard reader?.program == "jobspoold" else {
      gate.changing { status = nil }
      statusChanged = .min
      return
    }
    guard let file = try? spool.syscalls.status(spool.root, "status.json"), file.changed != statusChanged else {
      return
    }
    let read = DaemonStatus.read(spool)
    gate.changing { status = read }
    statusChanged = file.changed
  }

  /// When names were last added to or taken from a folder.
  func time(of descriptor: Int32) throws(SpoolError) -> Int64 {
    do throws(Errno) { return try spool.syscalls.status(descriptor).modified } catch {
      throw SpoolError(doing: "looking at a folder", path: spool.path, error)
    }
  }

  func changing<Result>(_ body: (HistoryIndex) throws -> Result) rethrows -> Result {
    try gate.changing { try body(index) }
  }

  func knowsLog(of rollup: RollupFile) -> Bool {
    turn.with { tails[AuditFile.name(node: rollup.node, day: rollup.day)] != nil }
  }
  func isHeld(_ id: String) -> Bool { held.contains { $0.job == id } }
  var hasDaemon: Bool { status != nil }
  func now() -> WallTime { clock() }
  func reader() -> SpoolReader { SpoolReader(spool, configuration: configuration, now: clock()) }
  func inTurn<Result>(_ body: () throws(SpoolError) -> Result) throws(SpoolError) -> Result { try turn.with(body) }
}
