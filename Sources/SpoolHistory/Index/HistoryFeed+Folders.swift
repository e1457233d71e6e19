/// The folders are the truth: what lies in them and the index does not know comes in, what the index has and no folder
/// holds goes. Names alone are compared; only files whose place differs are opened, some at a time.
///
/// A job may move between the look at its folder and the look at its row. So each difference is looked at once more by
/// itself, and a row that changed since the folder was read is left alone.
internal import Glibc
internal import JobModel
package import SpoolStore

/// What was last seen of the folders.
struct FolderTimes {
  struct Seen {
    /// The folder's own time when it was read; a later one means that names came or went.
    var changed: Int64 = .min
    /// When that was, and how long it took, in microseconds.
    var at: Int64 = .min
    var took: Int64 = 0
  }
  var seen: [JobState: Seen] = [:]
}

extension HistoryFeed {
  /// Files opened in one go; the rest has its turn the next time.
  private static let mostFiles = 20_000
  /// The same for files of which only little is missing.
  private static let mostLooks = 2000
  /// A part of the time at most is spent on looking at folders.
  private static let share: Int64 = 20

  /// Compares folders that changed since they were looked at. What a daemon does is in the log, so while one runs this is
  /// for what somebody moved by hand, and need not be often.
  func compareChanged(now: Int64) throws(SpoolError) {
    for state in JobState.allCases {
      let changed = try time(of: spool.descriptor(state))
      let last = folders.seen[state] ?? FolderTimes.Seen()
      guard changed != last.changed else { continue }
      let least: Int64 = state == .done || state == .dead ? 30_000_000 : hasDaemon ? 2_000_000 : 100_000
      guard last.at == .min || now - last.at >= max(least, last.took * HistoryFeed.share) || now < last.at else {
        continue
      }
      try compare(state)
    }
  }

  /// Compares every folder, whatever its time.
  package func compareFolders(all: Bool) throws(SpoolError) {
    try inTurn { () throws(SpoolError) in
      for state in JobState.allCases { try compare(state) }
      try lookAtWaiting()
    }
  }

  private func compare(_ state: JobState) throws(SpoolError) {
    let began = now().microseconds
    let changed = try time(of: spool.descriptor(state))
    var strangers: [String] = []
    var isThere = [Bool](repeating: false, count: index.rows.count)
    // The one pass that may have a million names: no lock is held, because only this turn changes rows.
    try Scan.names(of: Spool.Folder(rawValue: state.rawValue) ?? .new, in: spool) { name in
      guard let id = JobID.fromFileName(name) else { return }
      if let row = index.find(id), index.rows[row].pointee.standing.state == state {
        if row < isThere.count { isThere[row] = true }
      } else {
        strangers.append(id)
      }
    }
    var missing: [String] = []
    let mask = state == .dead ? Standing.allOfDead : Standing(state).mask
    index.each(mask) { row in
      // One that came in while the folder was read may have been passed by.
      if row < isThere.count, !isThere[row], index.rows[row].pointee.updated < began - 1_000_000 {
        missing.append(index.rows.arena.string(index.rows[row].pointee.id, Int(index.rows[row].pointee.idLength)))
      }
    }
    for id in missing { try settle(id) }
    let isAll = strangers.count <= HistoryFeed.mostFiles
    for id in strangers.prefix(HistoryFeed.mostFiles) { try settle(id) }
    let took = now().microseconds - began
    folders.seen[state] = FolderTimes.Seen(changed: isAll ? changed : .min, at: began, took: took)
  }

  /// Puts one job where its file is.
  private func settle(_ id: String) throws(SpoolError) {
    guard let state = try spool.state(of: id) else {
      if let row = index.find(id) { changing { $0.remove(row) } }
      return
    }
    if let row = index.find(id), index.rows[row].pointee.standing.state == state { return }
    // Its end is in the log already and only waits to be seen: the line says more than the file.
    guard !isHeld(id), let file = try reader().file(id, in: state) else { return }
    changing { $0.take(file) }
  }

  /// Reads the files of waiting jobs for what the log does not hold: when they are due, and what they wait for.
  func lookAtWaiting() throws(SpoolError) {
    guard !index.unlooked.isEmpty else { return }
    let reader = reader()
    var opened = 0
    while opened < HistoryFeed.mostLooks, let number = changing({ $0.unlooked.popLast() }) {
      let row = Int(number)
      let place = index.rows[row].pointee
      // Most have been run by now.
      guard place.standing == .new || place.standing == .hold, !place.has(HistoryRow.Flag.looked) else { continue }
      let id = index.rows.arena.string(place.id, Int(place.idLength))
      opened += 1
      guard let state = place.standing.state, let file = try reader.file(id, in: state) else { continue }
      changing { $0.look(row, file) }
    }
  }
}

extension HistoryIndex {
  /// A job whose place the log does not tell, from its file.
  func take(_ file: JobFile) {
    var id = file.id
    guard let row = id.withUTF8({ self.row(for: UnsafeRawBufferPointer($0)) }) else { return }
    let record = file.record
    if let type = file.job?.type, !type.isEmpty {
      var type = type
      let number = type.withUTF8 { self.number(ofType: UnsafeRawBufferPointer($0)) }
      change(row) { $0.type = number }
    }
    let hasEnded = file.state == .done || file.state == .dead
    openAttempts[UInt32(row)] = nil
    change(row) {
      $0.standing = Standing(file.state, record?.outcome)
      $0.updated = (hasEnded ? record?.updatedAt ?? file.written : file.changed).microseconds
      $0.submitted = (record?.submittedAt ?? (file.state == .new ? file.changed : file.written)).microseconds
      $0.sequence = 0
      $0.attempt = UInt16(clamping: record?.attempt ?? 0)
      ($0.run, $0.wait, $0.error) = (0, 0, 0)
      if hasEnded, let run = record?.attempts.last {
        $0.run = UInt32(clamping: (run.endedAt - run.startedAt).inMicroseconds / 1000)
      }
    }
    if hasEnded, let error = record?.error {
      let number = number(ofError: error.code, error.message, type: file.job?.type ?? "")
      change(row) { $0.error = number }
    }
    look(row, file)
  }

  /// What a file tells that the log does not, or not any more.
  func look(_ row: Int, _ file: JobFile) {
    let waits = rows[row].pointee.standing == .new
    guard let job = file.job else { return change(row) { $0.set(HistoryRow.Flag.looked) } }
    if let by = file.record?.submittedBy ?? job.record?.submittedBy {
      let number = submitters.intern("\(by.uid)\0\(by.user)\0\(by.subject ?? "")")
      change(row) { $0.submitter = number }
    }
    if !rows[row].pointee.has(HistoryRow.Flag.described) { describe(row, job) }
    change(row) {
      $0.set(HistoryRow.Flag.looked)
      if waits { $0.due = job.due(firstSeen: WallTime(microseconds: $0.submitted)).microseconds }
      $0.set(HistoryRow.Flag.hasParents, waits && !job.after.isEmpty)
    }
    if waits, !job.after.isEmpty {
      parents[UInt32(row)] = WaitsFor(after: job.after, evenIfDead: job.onParentDead == .run)
    }
  }

  private func describe(_ row: Int, _ job: Job) {
    if !job.tags.isEmpty {
      var writer = JSONWriter()
      writer.value(.array(job.tags.map { .string($0) }))
      let list = writer.bytes.withUnsafeBytes { tags.intern($0) }
      change(row) { $0.tags = list }
    }
    if let meta = job.meta { job.bytes[meta].withUnsafeBytes { setMeta(row, $0) } }
    if job.batch != nil || job.parent != nil {
      let (batch, parent) = (Array((job.batch ?? "").utf8), Array((job.parent ?? "").utf8))
      batch.withUnsafeBytes { batch in parent.withUnsafeBytes { setKin(row, batch: batch, parent: $0) } }
    }
    change(row) {
      $0.priority = job.priority
      $0.set(HistoryRow.Flag.described)
    }
  }
}
