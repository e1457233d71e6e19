/// Raises notices: each becomes a job of the type `jobspool.notify`, one for every `[[notify]]` entry that is told, so it
/// is durable, tried again, visible and kept like any other job. Which events are told to whom is `NoticeRules`'; sending
/// is the handler's, a program of its own (`jobspool notify-run`).
///
/// An end is told only once it is durable, and before its rename, so that a crash loses none:
///
///     the end's audit line is durable
///     the notice's job is durable in new/      crash before: recovery completes the end, and `retell` raises it then
///     the rename                               crash before: raised again, under the same id, which is taken
///
/// The id is made of what the notice says, so nothing is told twice as long as the first file is kept.
internal import JobModel
internal import Logging
internal import SpoolStore

/// What the engine remembers about notices.
struct NoticeDesk {
  /// Raised, but not on the disk yet.
  var pending: [(notice: Notice, key: String)] = []
  /// Being written by the courier.
  var sending: [(notice: Notice, key: String)] = []
  var sendingIDs: [String] = []
  /// Entries whose receiver said that it is gone (410); until the configuration is loaded anew.
  var gone: Set<String> = []
  /// When jobs of types with `sla` will have missed it.
  var deadlines = Deadlines<String>()
  var retryIsScheduled = false
  /// What each entry was told of late, and what was held back from it.
  private var told: [String: RateWindow] = [:]
  private var heldBack: [String: HeldBack] = [:]
  /// When what was held back is told.
  private(set) var nextDigest: WallTime?

  /// The counts changed since they were written.
  private(set) var heldBackChanged = false

  private struct HeldBack {
    var since: WallTime
    var atMost: Rate
    var counts: [Notice.Occasion: Int] = [:]
  }

  /// Above this, notices that cannot be written are dropped, and the log says so.
  static let pendingLimit = 10_000

  /// Whether one more may be sent to the entry; if not, it is counted among those held back.
  mutating func admits(_ notice: Notice, to key: String, atMost: Rate, now: WallTime) -> Bool {
    var window = told[key] ?? RateWindow(atMost)
    if window.rate != atMost { window = RateWindow(atMost) }
    defer { told[key] = window }
    guard let free = window.next(0, now: now) else {
      window.count(0, at: now)
      return true
    }
    heldBack[key, default: HeldBack(since: now, atMost: atMost)].counts[notice.occasion, default: 0] += 1
    heldBackChanged = true
    nextDigest = min(nextDigest ?? free, free)
    return false
  }

  /// Notices that stand for what was held back, once another may be sent.
  ///
  /// - Parameter atOnce: whatever the time: the daemon stops, and nobody would remember.
  mutating func digests(now: WallTime, atOnce: Bool = false) -> [(notice: Notice, key: String)] {
    guard let due = nextDigest, atOnce || due <= now else { return [] }
    nextDigest = nil
    var digests: [(notice: Notice, key: String)] = []
    for (key, held) in heldBack.sorted(by: { $0.key < $1.key }) {
      if !atOnce, let free = told[key]?.next(0, now: now) {
        nextDigest = min(nextDigest ?? free, free)
        continue
      }
      heldBack[key] = nil
      heldBackChanged = true
      told[key]?.count(0, at: now)
      digests.append((NoticeRules.digest(held.counts, since: held.since, now: now, atMost: held.atMost), key))
    }
    return digests
  }

  /// The counts as `log/notices.json` keeps them, for a start after a crash.
  mutating func writeHeldBack() -> [UInt8] {
    heldBackChanged = false
    var writer = JSONWriter()
    writer.beginArray()
    for (key, held) in heldBack.sorted(by: { $0.key < $1.key }) {
      writer.beginObject()
      writer.key("to")
      writer.string(key)
      writer.key("since")
      writer.time(held.since)
      writer.key("at_most")
      writer.string(held.atMost.text)
      writer.key("counts")
      writer.beginObject()
      for (occasion, count) in held.counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        writer.key(escaping: occasion.rawValue)
        writer.int(count)
      }
      writer.endObject()
      writer.endObject()
    }
    writer.endArray()
    return writer.bytes
  }

  /// Takes up what a daemon that is gone held back; it is told with the next turn.
  mutating func recallHeldBack(_ json: [UInt8], now: WallTime) {
    for entry in (try? JSONReader.parse(json))?.array ?? [] {
      guard let key = entry["to"]?.string, let since = entry["since"]?.string.flatMap({ WallTime(rfc3339: $0) }),
        let atMost = entry["at_most"]?.string.flatMap({ Rate(text: $0) })
      else { continue }
      var held = HeldBack(since: since, atMost: atMost)
      for member in entry["counts"]?.members ?? [] {
        guard let occasion = Notice.Occasion(rawValue: member.key), let count = member.value.int, count > 0 else {
          continue
        }
        held.counts[occasion] = min(count, 1 << 40)
      }
      guard !held.counts.isEmpty else { continue }
      heldBack[key] = held
      nextDigest = now
    }
  }

  mutating func clockSetBack(to now: WallTime) {
    for key in told.keys { told[key]?.clockSetBack(to: now) }
    if nextDigest != nil { nextDigest = now }
  }
}

extension Engine {
  // MARK: What is held back

  private static let heldBackFile = "notices.json"

  /// What was counted outlives a crash but for its last second. Cleared only when the notices that tell of it are on the
  /// disk: told twice they have the same id.
  func keepHeldBack() {
    guard notices.heldBackChanged, !heldBackIsDue else { return }
    heldBackIsDue = true
    loop.after(.seconds(1)) { [unowned self] in
      heldBackIsDue = false
      writeHeldBack()
    }
  }

  func writeHeldBack() {
    guard notices.heldBackChanged, notices.pending.isEmpty, notices.sending.isEmpty else { return }
    do throws(SpoolError) {
      try spool.replaceLogFile(Engine.heldBackFile, with: notices.writeHeldBack() + [0x0A], durably: false)
    } catch {
      logger.warning("\(error); a crash now would forget how many notices were held back")
    }
  }

  func recallHeldBack() {
    guard hasListeners, let json = spool.readRoot("log/\(Engine.heldBackFile)", limit: 1 << 20) else { return }
    notices.recallHeldBack(json, now: effects.now())
  }

  // MARK: Ends

  /// For settles that are durable and about to become visible. Those somebody is told of have to wait for their notices.
  func raiseNotices(for settlements: [Settlement]) -> (told: [Settlement], silent: [Settlement]) {
    guard hasListeners else { return ([], settlements) }
    var told: [Settlement] = []
    var silent: [Settlement] = []
    for settlement in settlements {
      let before = notices.pending.count
      for occasion in NoticeRules.occasions(settlement.transition, settlement.record) {
        raise(occasion, settlement.record, settlement.job)
      }
      noteLateEnd(settlement)
      if notices.pending.count > before { told.append(settlement) } else { silent.append(settlement) }
    }
    return (told, silent)
  }

  /// Ends that recovery completed: their notices may not have been raised before the crash.
  ///
  /// - Parameter ids: what lay in `cur/` at the start.
  func retell(_ ids: [String]) {
    guard hasListeners else { return }
    for id in ids {
      guard let state = (try? spool.state(of: id)) ?? nil, state != .hold, state != .cur,
        let bytes = try? spool.read(id, in: state, limit: 64 << 20), let job = try? JobScanner.scan(bytes),
        let record = job.record, record.state == state, !record.attempts.isEmpty || record.outcome != nil
      else { continue }
      let transition: Transition =
        switch (state, record.outcome) {
        case (.done, _): .finish
        case (.dead, .cancelled?): .cancel
        case (.dead, .expired?): .expire
        case (.dead, .rejected?): .reject
        case (.dead, .duplicate?): .refuseTwin
        case (.dead, _): .bury
        // A run that was handed back left no new attempt, and nothing to tell.
        default: record.attempts.last?.endedAt == record.updatedAt ? .retry : .release
        }
      for occasion in NoticeRules.occasions(transition, record) { raise(occasion, record, job) }
    }
    sendNotices()
  }

  var hasListeners: Bool { !settings.daemon.notices.isEmpty }

  private func raise(
    _ occasion: Notice.Occasion, _ record: JobRecord, _ job: Job?, sla: Duration? = nil, at: WallTime? = nil
  ) {
    let type = job?.type ?? ""
    let entries = NoticeRules.entries(
      for: occasion, type: type, asked: job?.notify, among: settings.daemon.notices)
    guard !entries.isEmpty else { return }
    let subject = Notice.Subject(record, job)
    tell(
      Notice(
        occasion, at: at ?? record.updatedAt, message: NoticeRules.message(occasion, subject, sla: sla), job: subject),
      to: entries, asked: job?.notify)
  }

  private func tell(_ notice: Notice, to entries: [NoticeSettings], asked: [String]? = nil) {
    // Entries with the same address are one receiver.
    let limits = Dictionary(entries.map { ($0.key, $0.atMost) }) { first, _ in first }
    for (key, atMost) in limits.sorted(by: { $0.key < $1.key }) where !notices.gone.contains(key) {
      if NoticeRules.mayBeHeldBack(notice, asked: asked),
        !notices.admits(notice, to: key, atMost: atMost, now: effects.now())
      {
        continue
      }
      guard notices.pending.count < NoticeDesk.pendingLimit else {
        logger.error("a notice is lost, because the disk takes none and too many wait: \(notice.message)")
        continue
      }
      notices.pending.append((notice, key))
    }
  }

  // MARK: Alerts

  /// An alert was raised; some are told.
  func raiseNotice(ofAlert code: String, _ message: String) {
    guard hasListeners, let (occasion, type) = NoticeRules.occasion(ofAlert: code) else { return }
    let entries = NoticeRules.entries(for: occasion, type: type, among: settings.daemon.notices)
    tell(Notice(occasion, at: effects.now(), message: message, code: code), to: entries)
    turnSoon()
  }

  // MARK: Time limits

  /// A job that waits has until its deadline.
  func watchDeadline(_ id: String, _ job: Job, firstSeen: WallTime) {
    guard hasListeners, let sla = settings.handlers[job.type]?.sla,
      let deadline = NoticeRules.deadline(job, firstSeen: firstSeen, sla: sla)
    else { return }
    notices.deadlines.set(id, deadline)
  }

  /// Raises `sla` for what is late while it still waits or runs.
  func noteLate() {
    let now = effects.now()
    while let id = notices.deadlines.take(now: now) {
      if let attempt = running[id] {
        raise(.sla, attempt.record, attempt.job, sla: attempt.handler.sla, at: now)
      } else if let state = (try? spool.state(of: id)) ?? nil, state == .new || state == .cur,
        let bytes = try? spool.read(id, in: state, limit: 64 << 20), let job = try? JobScanner.scan(bytes)
      {
        let deadline = settings.handlers[job.type]?.sla
        let since = cameIn(id)
        var record = job.record ?? JobRecord(id: id, state: state, submittedAt: since, updatedAt: now, node: node)
        record.startOverIfEnded(at: since)
        raise(.sla, record, job, sla: deadline, at: now)
      }
    }
  }

  private func cameIn(_ id: String) -> WallTime {
    let status = try? spool.syscalls.status(spool.descriptor(JobState.new), JobID.fileName(id))
    return status.map { min(WallTime(microseconds: $0.changed), effects.now()) } ?? effects.now()
  }

  /// An end that came too late, of which no look at the clock has told.
  private func noteLateEnd(_ settlement: Settlement) {
    guard let finished = settlement.record.finishedAt, let deadline = notices.deadlines[settlement.id] else { return }
    notices.deadlines.remove(settlement.id)
    guard finished > deadline, let job = settlement.job else { return }
    raise(.sla, settlement.record, job, sla: settings.handlers[job.type]?.sla)
  }

  // MARK: To the disk

  /// Has the courier submit what was raised; the engine does not wait for the disk. What it refuses is tried again every
  /// second.
  func sendNotices() {
    notices.pending += notices.digests(now: effects.now(), atOnce: drain != .no)
    keepHeldBack()
    guard !notices.pending.isEmpty, notices.sending.isEmpty else { return }
    guard !notices.retryIsScheduled else {
      // Nobody knows when there is room again: what ended becomes visible without it.
      settling.beginNotices()
      return makeVisible(settling.finishNotices())
    }
    notices.sending = notices.pending
    notices.pending.removeAll()
    keepHeldBack()
    let submissions = notices.sending.map { notice, key in
      Intake.Submission(
        id: "notify-\(notice.occasion.rawValue)-\(Digest.sha256(Array("\(key)\n\(notice.identity)".utf8)).prefix(20))",
        bytes: notice.jobFile(to: key, node: node))
    }
    notices.sendingIDs = submissions.map(\.id)
    settling.beginNotices()
    courier.run { [spool, clerkMailbox] in clerkMailbox?.post(.notices(Engine.submit(submissions, to: spool))) }
  }

  /// On the courier's thread.
  private static func submit(_ submissions: [Intake.Submission], to spool: Spool) -> [Result<Void, SpoolError>] {
    // Not bound by `min_free`: a full disk is what somebody may be waiting to hear of.
    let intake = Intake(spool)
    // One sync of the file system for many; a few are cheaper one by one.
    if submissions.count > 4 {
      do throws(SpoolError) { return try intake.submit(bulk: submissions) } catch {
        return submissions.map { _ in .failure(error) }
      }
    }
    return submissions.map { submission in
      do throws(SpoolError) { return .success(try intake.submit(submission)) } catch { return .failure(error) }
    }
  }

  /// The courier is back: what ended becomes visible.
  func noticesSent(_ results: [Result<Void, SpoolError>]) {
    let sent = notices.sending
    let ids = notices.sendingIDs
    notices.sending = []
    notices.sendingIDs = []
    var failure: SpoolError?
    for (index, result) in results.enumerated() {
      switch result {
      case .success: incoming.append(ids[index])
      // Raised before, by a daemon that went down after it.
      case .failure(let error) where error.code == .exists: break
      case .failure(let error):
        failure = error
        notices.pending.append(sent[index])
      }
    }
    if let failure {
      logger.warning("cannot raise \(notices.pending.count) notices now: \(failure)")
      notices.retryIsScheduled = true
      loop.after(.seconds(1)) { [unowned self] in notices.retryIsScheduled = false }
    }
    makeVisible(settling.finishNotices())
    sendNotices()
    turnSoon()
  }

  /// The end of a notice: a receiver that is gone is not bothered again.
  func noticeEnded(_ attempt: Attempt, _ end: AttemptEnd) {
    guard attempt.job.type == Notice.type, end.error?.code == "gone",
      let key = attempt.job.value(at: "/payload/notify")?.string, notices.gone.insert(key).inserted
    else { return }
    raise(
      "notify:\(key)",
      "the receiver of the [[notify]] entry \(key) answered 410 Gone: it is told nothing more until the "
        + "configuration is loaded anew; correct or remove the entry")
  }

  /// The configuration was loaded anew: every entry gets a new chance.
  func forgiveReceivers() {
    for key in notices.gone { calm("notify:\(key)") }
    notices.gone.removeAll()
  }
}
