/// Takes lines of the audit log into the index.
internal import Glibc
internal import JobModel
internal import SpoolStore

extension HistoryIndex {
  /// Takes one line, without its newline.
  ///
  /// - Parameters:
  ///   - node: as `number(ofNode:)` tells.
  ///   - now: numbers of the last hour and day begin before this.
  /// - Returns: the job and what happened to it, unless it is about none or older than what is known.
  func take(_ line: UnsafeRawBufferPointer, node: UInt8, now: Int64) -> (scan: LineScan, row: Int?)? {
    guard var scan = LineScan(line) else { return nil }
    if scan.sequence > lastSequence { lastSequence = scan.sequence }
    if scan.event == .paused || scan.event == .resumed { takeSwitch(scan) }
    // A damaged line may have an id of no length.
    guard let id = scan.job, !id.isEmpty else { return nil }
    switch scan.event {
    case .scheduleFired, .scheduleMissed, .scheduleSkipped, .scheduleEnabled, .scheduleDisabled, .alert, .paused,
      .resumed,
      .refused, .configReloaded, .daemonStarted, .daemonStopped, .recovered:
      return nil
    default: break
    }
    let known = rows.find(id)
    let fields = JobLine(&scan, isDescribed: known.map { rows[$0].pointee.has(HistoryRow.Flag.described) } ?? false)
    let numbers = numbers(ofDay: scan.time)
    let type = fields.type.map(number(ofType:))
    count(scan, fields, type ?? 0, numbers, now: now)
    if scan.event == .stalled { return (scan, nil) }
    if scan.event == .purged {
      guard let row = known else {
        noteGone(id, at: scan.time)
        return (scan, nil)
      }
      // A copy of the job in another folder was removed, or the job came back since.
      if fields.from == rows[row].pointee.standing.state, isNewer(scan, node, than: rows[row].pointee) {
        noteGone(id, at: scan.time)
        remove(row)
      }
      return (scan, nil)
    }
    if known == nil, isGone(id, since: scan.time) { return (scan, nil) }
    guard let row = known ?? rows.insert(id) else { return (scan, nil) }
    if let type, type != rows[row].pointee.type { change(row) { $0.type = type } }
    if isNewer(scan, node, than: rows[row].pointee) {
      move(row, scan, fields, node)
      if rows[row].pointee.standing == .gone {
        noteGone(id, at: scan.time)
        remove(row)
        return (scan, nil)
      }
      if scan.event == .held || (scan.event == .released && fields.from == .hold) {
        if known == nil { openAttempts[UInt32(row)] = .min }
      } else if scan.event != .edited, scan.event != .stage {
        openAttempts[UInt32(row)] = nil
      }
    } else {
      takeAttempt(row, scan, fields)
      if scan.event == .claimed, let waited = fields.waited, rows[row].pointee.standing != .new,
        !rows[row].pointee.has(HistoryRow.Flag.waited)
      {
        change(row) {
          $0.wait = waited
          $0.set(HistoryRow.Flag.waited)
        }
      }
    }
    if !rows[row].pointee.has(HistoryRow.Flag.described) { describe(row, scan, fields) }
    return (scan, row)
  }

  /// What an older line says of the attempt, where the newer ones do not; of several the newest counts.
  private func takeAttempt(_ row: Int, _ scan: LineScan, _ fields: JobLine) {
    guard let known = openAttempts[UInt32(row)], scan.time >= known else { return }
    var attempt = fields.attempt ?? 0
    var error: UInt32 = 0
    switch scan.event {
    case .submitted, .requeued: attempt = 0
    case .claimed: break
    case .released where fields.from == .cur: break
    case .retried:
      if let told = fields.error {
        error = number(ofError: told.code, told.message, type: types.string(UInt32(rows[row].pointee.type)))
      }
    default: return
    }
    openAttempts[UInt32(row)] = scan.time
    change(row) { ($0.attempt, $0.error) = (attempt, error) }
  }

  /// nil: it is no list.
  private static func parents(_ json: UnsafeRawBufferPointer) -> [Job.Parent]? {
    (try? JSONReader.parse(Array(json)))?.array?.compactMap { entry in
      entry.string.map { $0.hasPrefix("batch:") ? .batch(String($0.dropFirst(6))) : .job($0) }
    }
  }

  private func isNewer(_ scan: LineScan, _ node: UInt8, than row: HistoryRow) -> Bool {
    if row.standing == .gone { return true }
    // One node numbers its lines, whatever its clock does; of two nodes, and against a file's times, the clock decides.
    if row.sequence != 0, row.node == node, node != 15 { return scan.sequence >= row.sequence }
    // A file's time is that of its rename, and the line of the same move may have been stamped before.
    if row.sequence == 0 { return scan.time >= row.updated - 5_000_000 }
    return scan.time / 1000 >= row.updated / 1000
  }

  /// Where the job is from now on.
  private func move(_ row: Int, _ scan: LineScan, _ fields: JobLine, _ node: UInt8) {
    func settle(_ to: Standing, _ body: (inout HistoryRow) -> Void = { _ in }) {
      change(row) {
        let wasWaiting = $0.standing == .new || $0.standing == .gone
        $0.standing = to
        $0.updated = scan.time
        $0.sequence = scan.sequence
        $0.node = node
        if $0.submitted == 0 { $0.submitted = fields.submittedAt ?? scan.time }
        // What stood there was when it is due.
        if wasWaiting, to != .new { ($0.run, $0.wait) = (0, 0) }
        body(&$0)
      }
      if to != .new { parents[UInt32(row)] = nil }
    }
    let error = fields.error.map { error in
      number(ofError: error.code, error.message, type: types.string(UInt32(rows[row].pointee.type)))
    }
    func end(_ to: Standing) {
      settle(to) {
        if let attempt = fields.attempt { $0.attempt = attempt }
        if let run = fields.run { $0.run = run }
        $0.error = error ?? 0
      }
    }
    func wait(_ due: Int64, look: Bool) {
      if look, unlooked.last != UInt32(row) { unlooked.append(UInt32(row)) }
      settle(.new) {
        $0.due = due
        $0.set(HistoryRow.Flag.looked, !look)
        $0.set(HistoryRow.Flag.waited, false)
      }
    }
    switch scan.event {
    case .submitted:
      let after = fields.after.map(HistoryIndex.parents)
      // A list that was too long for the line is in the file alone.
      wait(fields.due ?? fields.submittedAt ?? scan.time, look: after == .some(nil))
      change(row) {
        ($0.attempt, $0.error) = (0, 0)
        $0.submitted = fields.submittedAt ?? scan.time
        $0.set(HistoryRow.Flag.hasParents, after != nil)
      }
      if let after = after ?? nil {
        parents[UInt32(row)] = WaitsFor(after: after, evenIfDead: fields.runsIfDead)
      }
    case .claimed:
      settle(.cur) {
        $0.attempt = fields.attempt ?? $0.attempt
        $0.error = 0
        $0.wait = fields.waited ?? 0
        $0.set(HistoryRow.Flag.waited)
      }
    case .finished:
      end(.done)
      noteSuccess(row, scan.time)
    case .buried: end(.failed)
    case .rejected: end(fields.outcome == .rateLimited ? .rateLimited : .rejected)
    case .expired: end(.expired)
    case .cancelled: end(.cancelled)
    case .duplicate: if fields.isDiscarded { change(row) { $0.standing = .gone } } else { end(.duplicate) }
    case .retried:
      wait(fields.runAt ?? scan.time, look: false)
      change(row) {
        $0.attempt = fields.attempt ?? $0.attempt
        $0.error = error ?? 0
      }
    case .requeued:
      wait(scan.time, look: false)
      change(row) { ($0.attempt, $0.error) = (0, 0) }
    case .released:
      wait(rows[row].pointee.standing == .new ? rows[row].pointee.due : scan.time, look: fields.from == .hold)
      if fields.from == .cur { change(row) { $0.attempt = fields.attempt ?? 0 } }
    case .held: settle(.hold)
    case .edited:
      change(row) {
        $0.set(HistoryRow.Flag.described, false)
        $0.set(HistoryRow.Flag.looked, false)
      }
      unlooked.append(UInt32(row))
    default: break
    }
  }

  /// What does not change while the job lives; from its `submitted` line, or as much as a record tells.
  private func describe(_ row: Int, _ scan: LineScan, _ fields: JobLine) {
    if let user = fields.user {
      let number = number(ofSubmitter: user, uid: fields.uid, subject: fields.subject)
      change(row) { $0.submitter = number }
    }
    if let submitted = fields.submittedAt { change(row) { $0.submitted = submitted } }
    guard scan.event == .submitted else { return }
    let list = fields.tags.map { tags.intern($0) } ?? 0
    change(row) {
      $0.priority = fields.priority ?? 5
      $0.tags = list
      $0.set(HistoryRow.Flag.described)
    }
    if let meta = fields.meta { setMeta(row, meta) }
    if fields.batch != nil || fields.parent != nil {
      func text(_ json: UnsafeRawBufferPointer?) -> [UInt8] { json?.unquoted { Array($0) } ?? [] }
      let (batch, parent) = (text(fields.batch), text(fields.parent))
      batch.withUnsafeBytes { batch in parent.withUnsafeBytes { setKin(row, batch: batch, parent: $0) } }
    }
  }

  private func number(
    ofSubmitter user: UnsafeRawBufferPointer, uid: UnsafeRawBufferPointer?, subject: UnsafeRawBufferPointer?
  ) -> UInt32 {
    scratch.removeAll(keepingCapacity: true)
    if let uid { scratch.append(contentsOf: uid) }
    scratch.append(0)
    user.unquoted { scratch.append(contentsOf: $0) }
    scratch.append(0)
    subject?.unquoted { scratch.append(contentsOf: $0) }
    return scratch.withUnsafeBytes { submitters.intern($0) }
  }

  /// When a schedule's job last succeeded.
  private func noteSuccess(_ row: Int, _ time: Int64) {
    let id = rows.id(row)
    guard let base = id.baseAddress, memchr(base, 0x2E, id.count) != nil,
      let schedule = FiringID.schedule(of: String(decoding: id, as: UTF8.self))
    else { return }
    successes[schedule] = max(successes[schedule] ?? 0, time)
  }
}
