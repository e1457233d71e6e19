/// The engine: decides what happens to jobs, by the agenda's order and the handlers' ends, and has it done by the store
/// and the runner. It lives on one thread, the loop's; nothing in it is locked, and only the durable step happens
/// elsewhere (`Committer`).
///
/// Everything that comes in between two waits is dealt with in one `turn`, in an order that makes few writes of many:
///
///     arrivals    names from the watcher or a scan are looked at and go onto the agenda
///     settles     ended attempts get their record and their audit line
///     claims      what may start is renamed into cur/ and gets its `claimed` line
///     flush       one write for all lines of this turn
///     starts      only now: with its line written, a run counts
///     commit      one durable step for all settles, if none is under way; their renames follow it
///
/// What the disk refuses (full, or nearly) stays where it is in this order and is tried again every second.
internal import CSpoolShims
internal import Glibc
package import JobModel
package import JobSchema
package import JobSecrets
internal import Logging
package import SpoolStore

package final class Engine {
  let spool: Spool
  let transitions: Transitions
  let runner: any JobRunner
  let loop: EventLoop
  var effects: Effects
  let logger: Logger
  let node: String
  let token: String
  var settings: EngineSettings
  /// Reads the configuration anew; throws what to say when it does not load.
  var reload: (() throws -> EngineSettings)?
  /// Told how the daemon as a whole is.
  package var news: ((DaemonNews) -> Void)?
  /// Called when the engine has stopped.
  var stopped: (() -> Void)?

  var agenda: Agenda
  var accounts = Accounts()
  /// Names to look at, in order.
  var incoming: [String] = []
  var incomingNext = 0
  var slowArrivals = SlowArrivals()
  /// Ids with a file in `cur/` that is ours, with the hash of what was dropped.
  var occupied: [String: String] = [:]
  /// Attempts whose handlers run.
  var running: [String: Attempt] = [:]
  /// Claimed, and waiting for their copies to be durable.
  var adopting = Adopting()
  /// Claimed, and waiting for their `claimed` line to be written.
  var starting: [Attempt] = []
  /// Settles on their way, by how far they are.
  var settling = Settling()
  /// Who waits for whom.
  var flows = Flows()
  var waitingFor: [String: BlockedArrival] = [:]
  var blockedArrivals: [BlockedArrival] = []
  /// Waiting jobs that can only be buried, and why.
  var condemned: [String: (outcome: JobOutcome, transition: Transition, error: JobError)] = [:]
  /// Accepted submissions of types whose rate refuses.
  var submissions: [String: RateWindow] = [:]
  /// Serial values held by jobs that have not come to rest.
  var holding: [String: (type: Agenda.TypeNumber, value: UInt64)] = [:]
  /// Records in `new/` that this daemon itself put there: id → hash of the record's text.
  var proven: [String: String] = [:]
  /// Arrivals of this turn whose records nobody has vouched for yet.
  var unproven: [String] = []
  /// Ids that had a line in the log when we started.
  var announced: Set<String> = []
  /// Those of them whose last line says that they are one too many for their type's rate: they were not refused yet.
  var refusedBefore: Set<String> = []
  /// Requeued by an operator a moment ago, so that the log has it; seen without that, it was `mv`.
  var requeued: Set<String> = []
  /// Odd names and directories, reported once.
  var reported: Set<String> = []
  /// Files that do not parse yet, and when to look again.
  var young: Set<String> = []

  var status = StatusFile()
  var housekeeping = Housekeeping()
  var sweeping: Sweeping?
  var sweepsAt = Duration.zero
  var pausedTypes: Set<String> = []
  var isPaused = false
  var isLowOnDisk = false
  /// A folder of the spool is not where it was.
  var isAdrift = false
  /// The system has no room for another process just now.
  var isBusy = false
  var spaceChecked = Duration.zero
  var drain = Drain.no
  var notices = NoticeDesk()
  var heldBackIsDue = false
  /// Who asked for the end of a job, for its audit line.
  var operators: [String: String] = [:]
  /// Since when jobs were waiting that somebody set aside in `hold/`, which overwrites what the file tells.
  var held: [String: WallTime] = [:]
  var requests: [ControlRequest] = []
  /// Requests that could not be removed after their answer.
  var answered: Set<String> = []
  var switchOwners: [String: String] = [:]
  /// Who is turning a switch by a request at this moment.
  var switchActors: [String: String] = [:]
  var controlIsDue = false
  var controlQueue = ControlQueue()
  var statusIsScheduled = false
  let startedAt: WallTime
  /// Until when claims are synced before their handlers start.
  var carefulUntil: Duration?
  var scanning = ScanProgress()
  var restoring: Restoring?
  var checkpointing = Checkpointing()
  /// The audit log's index, as it was when last looked at; nil until the start. Ask `index`.
  var openIndex: AuditIndex?
  var isIndexing = false
  /// To be brought up to date however little there is.
  var indexIsOwed = false
  var indexAgainAt = Duration.zero
  /// So much of the log is not covered that each look-up takes long.
  var indexIsFar = false
  let clerk = Clerk(yields: true)
  /// Writes the files of notices.
  let courier = Clerk(yields: false)
  private(set) var clerkMailbox: Mailbox<ClerkReport>?
  var turnIsScheduled = false
  private var committer: Committer?
  var isCommitting = false
  var schedules = ScheduleBook()
  var firingTimer: LoopTimer?
  /// When waiting jobs with `expires_at` are to be looked at again.
  var expiries = Deadlines<String>()
  var clock = ClockWatch()
  private var timer: LoopTimer?
  private var rescanTimer: LoopTimer?

  enum Drain { case no, waiting, stopping }

  package init(
    spool: Spool, transitions: Transitions, settings: EngineSettings, node: String, token: String,
    runner: any JobRunner, loop: EventLoop, effects: Effects
  ) {
    self.spool = spool
    self.transitions = transitions
    self.settings = settings
    self.node = node
    self.token = token
    self.runner = runner
    self.loop = loop
    self.effects = effects
    logger = effects.logger
    agenda = Agenda(maxJobs: settings.daemon.maxJobs, seed: spool_random())
    startedAt = effects.now()
    transitions.sealing = { [unowned self] (job) throws(SpoolError) in try seal(job) }
  }

  // MARK: Start

  /// Recovers what a dead daemon left, reads the switches in `ctl/`, and begins. Surviving handlers have been ended.
  ///
  /// - Parameters:
  ///   - reload: reads the configuration anew.
  ///   - stopped: called once, when a drain is complete and everything durable.
  package func start(reload: @escaping () throws -> EngineSettings, stopped: @escaping () -> Void) throws {
    self.reload = reload
    self.stopped = stopped
    let mailbox = try loop.mailbox(of: Committer.Outcome.self) { [unowned self] in committed($0) }
    committer = Committer(spool) { mailbox.post($0) }
    clerkMailbox = try loop.mailbox(of: ClerkReport.self) { [unowned self] in take($0) }
    let now = effects.now()
    try recallSchedules()
    configureSchedules(now)
    let previous = try noteStart(now)
    configureAgenda()
    raiseBrokenSchedules()
    let left = try Scan.ids(in: .cur, of: spool)
    let recovery = Recovery(
      transitions: transitions, maxJobBytes: settings.daemon.maxJobBytes, now: now,
      policy: { [settings] in settings.handlers[$0]?.retry }, random: effects.random)
    let hadPowerCut = !previous.wasClean && previous.boot != Effects.bootID
    transitions.mendsTorn = hadPowerCut
    let takenUp = hadPowerCut ? try recovery.takeUpEnds() : 0
    var report = try recovery.run()
    if hadPowerCut { report.repaired += try recovery.completeTornEnds() }
    for problem in report.problems { raise("recovery", problem) }
    if !report.isEmpty || hadPowerCut {
      if hadPowerCut {
        logger.notice("the machine went down with the daemon at work; \(takenUp + report.repaired) files were mended")
      }
      logger.notice(
        "recovered \(report.crashed) interrupted, \(report.completed) finished, \(report.returned) unstarted jobs")
      try transitions.audit.append(.recovered, at: now) { writer in
        for (key, count) in [("crashed", report.crashed), ("completed", report.completed)] {
          writer.key(escaping: key)
          writer.int(count)
        }
        writer.key("returned")
        writer.int(report.returned)
        writer.key("twins")
        writer.int(report.twins)
        writer.key("repaired")
        writer.int(report.repaired)
      }
    }
    recallHeldBack()
    retell(left)
    if !previous.wasClean { carefulUntil = EventLoop.now + .seconds(Limits.carefulSeconds) }
    let index = try AuditIndex(spool)
    openIndex = index
    // An old spool has a long log and no index of it: the first scan waits for that once it has seen some names.
    indexIsFar = index.uncovered > 16 * IndexWriter.stretch
    // A new day leaves a file that is closed, and an old spool may have none of it.
    indexIsOwed = true
    try rebuildRates(now: now)
    try adoptFirings()
    beginRestore()
    readSwitches()
    checkSpace()
    loop.beforeWait = { [unowned self] in turn() }
    scan()
    scheduleRescan()
    keepHouse()
  }

  /// Writes `daemon_started`; tells whether the daemon before us stopped in order, and in which boot it began. A start of
  /// this boot that did not get through its recovery does not count: the one before it is still to be made good.
  private func noteStart(_ now: WallTime) throws(SpoolError) -> (wasClean: Bool, boot: String?) {
    var last: AuditEvent?
    var boot: String?
    var isSettled = false
    var hasStartedBefore = false
    var wasAtWork = false
    for file in try AuditFile.list(spool).reversed() where file.node == node && boot == nil {
      try MappedFile(file.name, in: spool).linesBackwards { line in
        guard let event = AuditLineHead(line)?.event else { return true }
        last = last ?? event
        if event == .recovered || event == .daemonStopped {
          isSettled = true
          if hasStartedBefore { boot = Effects.bootID }
          return boot == nil
        }
        guard event == .daemonStarted else {
          // Jobs may be submitted before the first daemon; all else tells of one.
          if event != .submitted { wasAtWork = true }
          return true
        }
        let began = (try? JSONReader.parse(Array(line)))?["boot"]?.string ?? ""
        hasStartedBefore = began == Effects.bootID && !isSettled
        if !hasStartedBefore { boot = began }
        wasAtWork = false
        return boot == nil
      }
    }
    // The log begins with this boot, so no other has been at work here.
    if boot == nil, hasStartedBefore, !wasAtWork { boot = Effects.bootID }
    let audit = transitions.audit
    if audit.repaired > 0 {
      raise("audit_repaired", "cut \(audit.repaired) bytes of a torn line off the audit log; a crash left them")
    }
    try audit.append(.daemonStarted, at: now) { writer in
      writer.key("version")
      writer.string(jobspoolVersion)
      writer.key("pid")
      writer.int(getpid())
      writer.key("boot")
      writer.string(Effects.bootID)
      schedules.write(to: &writer)
    }
    try audit.commit()
    return (last == nil || last == .daemonStopped, boot)
  }

  // MARK: Turns

  /// Does what is to be done now. Called before every wait of the loop.
  func turn() {
    turnIsScheduled = false
    watchClock()
    checkSpaceIfDue()
    guard !isAdrift else { return publishStatus() }
    noteExpired()
    fireSchedules()
    restoreOn()
    scanOn()
    takeArrivals()
    settle()
    judge()
    claim()
    flush()
    startClaimed()
    commit()
    noteLate()
    sendNotices()
    checkpointOn()
    indexOn()
    publishStatus()
    finishDrain()
    scheduleTimer()
    scheduleFirings()
  }

  /// Makes the loop take another turn without waiting for an event.
  func turnSoon() {
    guard !turnIsScheduled else { return }
    turnIsScheduled = true
    loop.after(.zero) {}
  }

  /// Writes the lines of this turn. When the disk is full they stay, and nothing that depends on them goes on.
  func flush() {
    guard transitions.audit.hasPending else { return }
    do throws(SpoolError) {
      try transitions.audit.flush()
      if status.alerts[Engine.diskError] != nil { calm(Engine.diskError) }
    } catch {
      troubled(error)
    }
  }

  private static let diskError = "disk_error"

  private func scheduleTimer() {
    if let timer { loop.cancel(timer) }
    timer = nil
    let dues = [agenda.nextDue(), notices.deadlines.next(), expiries.next(), notices.nextDigest]
    guard drain == .no, let due = dues.compactMap(\.self).min() else { return }
    // Wall time may jump; a look at least once a minute finds out. Rounded up, so as not to wake just before.
    let wait = max(.milliseconds(1), min(due - effects.now() + .milliseconds(1), .seconds(60)))
    timer = loop.after(wait) {}
  }

  private func scheduleRescan() {
    rescanTimer = loop.after(settings.daemon.rescan) { [unowned self] in
      checkFolders()
      guard !isAdrift else { return scheduleRescan() }
      rescan()
      scanControl()
      probeBroken()
      buryForsaken()
      sweep()
      keepHouse()
      accounts.forgetMemberships()
      scheduleRescan()
    }
  }

  // MARK: Durable steps

  /// Begins a durable step for everything that waits for one.
  private func commit() {
    guard !isCommitting, !transitions.audit.hasPending, let committer else { return }
    var files = settling.beginCommit()
    if settings.daemon.durability == .relaxed, files?.isEmpty == true {
      // Renames first; the sync follows within a second.
      publish(settling.finishCommit().durable)
      scheduleRelaxedSync()
      files = nil
    }
    let copies = adopting.beginCommit()
    guard files != nil || !copies.isEmpty else { return }
    isCommitting = true
    // An end that somebody is to be told of has its notice on the disk first.
    let ends = files == nil || hasListeners || isAdrift ? [] : settling.beginMoves()
    committer.commit(
      Committer.Batch(
        copies: copies, files: files ?? [], logs: files == nil ? [] : transitions.audit.descriptors, ends: ends))
  }

  private var relaxedSyncIsDue = false

  private func scheduleRelaxedSync() {
    guard !relaxedSyncIsDue else { return }
    relaxedSyncIsDue = true
    loop.after(.seconds(1)) { [unowned self] in
      relaxedSyncIsDue = false
      guard !isCommitting, let committer else { return scheduleRelaxedSync() }
      isCommitting = true
      committer.commit(Committer.Batch(files: [], logs: transitions.audit.descriptors))
    }
  }

  private func committed(_ outcome: Committer.Outcome) {
    isCommitting = false
    adopted(outcome.copies)
    guard outcome.hasLog else { return }
    if let failure = outcome.rest {
      settling.abandonCommit()
      if failure.isFullDisk {
        return troubled(SpoolError(doing: "syncing the audit log", path: "\(spool.path)/log", failure))
      }
      // After a failed sync the kernel forgets what it could not write: nothing later would be the truth. A fresh start
      // reads what the disk really has.
      logger.critical("the disk failed to sync (\(failure.message)); stopping, because nothing written can be trusted")
      exit(74)
    }
    transitions.audit.synced()
    let (visible, durable) = settling.finishCommit(unmoved: outcome.unmoved)
    becameVisible(visible)
    publish(durable)
  }

  func stopCommitter() {
    committer?.stop()
    committer = nil
  }

  // MARK: Trouble

  /// The disk refused something. What was to be done stays in its place; we look again in a second.
  func troubled(_ error: SpoolError) {
    // A disk that is full or fails refuses one thing after another; it is said once, since every saying is a line that
    // waits to be written.
    if error.isDiskFailure {
      if status.alerts[Engine.diskError] == nil { raise(Engine.diskError, "the disk fails: \(error)") }
    } else if error.code != .noSpace || status.alerts[error.code.name] == nil {
      raise(error.code.name, error.description)
    }
    isLowOnDisk = isLowOnDisk || error.code == .noSpace
    guard !retryIsScheduled else { return }
    retryIsScheduled = true
    loop.after(.seconds(1)) { [unowned self] in retryIsScheduled = false }
  }

  /// Says something an administrator should know: in the log, the audit log and status.json. The same thing is said once
  /// until it changes.
  func raise(_ code: String, _ message: String) {
    guard status.alert(code, message, at: effects.now()) else { return }
    logger.warning("\(message)", metadata: ["alert": "\(code)"])
    do throws(SpoolError) {
      try transitions.audit.append(.alert, at: effects.now()) { writer in
        writer.key("code")
        writer.string(code)
        writer.key("message")
        writer.string(message)
      }
    } catch {
      logger.error("\(error)")
    }
    raiseNotice(ofAlert: code, message)
  }

  /// The same for the composition root.
  package func raiseAlert(_ code: String, _ message: String) {
    raise(code, message)
    turnSoon()
  }

  /// The same, for who stands outside.
  package func calmAlert(_ code: String) {
    calm(code)
    turnSoon()
  }

  /// Something is well again.
  func calm(_ code: String) {
    guard status.clear(code) else { return }
    logger.notice("\(code): well again")
  }

  private var retryIsScheduled = false

  func checkSpaceIfDue() {
    let now = EventLoop.now
    guard now - spaceChecked >= (isLowOnDisk ? .seconds(1) : .milliseconds(250)) else { return }
    spaceChecked = now
    checkFolders()
    checkSpace()
  }

  func checkSpace() {
    do throws(SpoolError) {
      let space = try FreeSpace(spool)
      let isBelow = space.isBelow(settings.daemon.minFree)
      // With a min_free of next to nothing a disk that has just refused us needs room for some lines at least.
      let isLow = isBelow || (isLowOnDisk && space.bytes < Limits.roomAfterFullDisk)
      if isLow {
        if isBelow {
          raise(
            "disk", "less than min_free is left on the disk of \(spool.path): nothing is claimed until there is more")
        }
        loop.after(.seconds(1)) {}
      } else if isLowOnDisk {
        calm("disk")
        calm(SpoolError.Code.noSpace.name)
        logger.notice("the disk has room again")
      }
      if isLow != isLowOnDisk { status.touch() }
      isLowOnDisk = isLow
    } catch {
      raise("disk", "\(error)")
    }
    updatePause()
  }

  func updatePause() {
    agenda.isPaused =
      isPaused || isLowOnDisk || isAdrift || isBusy || drain != .no || settling.count >= Limits.settlesWaiting
  }

  // MARK: Configuration

  /// Takes a new configuration; running attempts keep the one they started with.
  package func apply(_ new: EngineSettings) {
    var new = new
    // A bad edit keeps what was there before.
    for name in new.brokenSchedules.keys { new.schedules[name] = settings.schedules[name] }
    let old = settings.handlers
    let rerated = Set(new.handlers.values.filter { old[$0.type]?.rate != $0.rate }.map(\.type))
    settings = new
    slowArrivals.forgetVerdicts()
    // What waits is held by the values it was looked at with; under other rules it has others.
    let rekeyed = Set(
      new.handlers.values.filter { old[$0.type]?.serialBy != $0.serialBy || old[$0.type]?.rate != $0.rate }.map(\.type))
    if !rekeyed.isEmpty {
      for id in agenda.ids where agenda.waiting(id).map({ rekeyed.contains($0.type) }) ?? false { incoming.append(id) }
    }
    agenda.maxJobs = new.daemon.maxJobs
    forgiveReceivers()
    accounts.forgetMemberships()
    configureAgenda()
    if !rerated.isEmpty {
      do throws(SpoolError) { try rebuildRates(of: rerated, now: effects.now()) } catch { troubled(error) }
    }
    configureSchedules(effects.now())
    raiseBrokenSchedules()
    status.touch()
    // Names refused for want of a handler may have one now, and the other way round; a look decides.
    scan()
  }

  package func reloadConfiguration(by who: String) {
    guard let reload else { return }
    news?(.reloading)
    defer { news?(.reloaded) }
    do {
      let new = try reload()
      calm("config")
      guard new != settings else {
        // Who asks without an edit may have installed a missing program.
        probeBroken()
        return turnSoon()
      }
      try transitions.audit.append(.configReloaded, at: effects.now(), by: who)
      apply(new)
      logger.notice("configuration reloaded")
    } catch {
      raise("config", "the configuration was changed but does not load; the old one stays: \(error)")
    }
    turnSoon()
  }

  /// Whether the type has a handler file. One written a moment ago may come before its event: it is read now, since only a
  /// type without a file is unknown.
  func isKnown(_ type: String) -> Bool {
    if settings.handlers[type] != nil || settings.broken[type] != nil { return true }
    let path = "\(settings.handlersFolder)/\(type).toml"
    guard !settings.handlersFolder.isEmpty, !JobType.isReserved(type), access(path, F_OK) == 0 else { return false }
    reloadConfiguration(by: "a job of a new type")
    if settings.handlers[type] == nil, settings.broken[type] == nil {
      settings.broken[type] = "\(path) is there, but the configuration as a whole does not load"
      configureAgenda()
    }
    return true
  }

  private func configureAgenda() {
    agenda.maxJobs = settings.daemon.maxJobs
    agenda.setPools(settings.daemon.pools)
    for (type, handler) in settings.handlers {
      let rate = handler.rate.flatMap { $0.over == .wait ? $0.rate : nil }
      agenda.configure(
        type, concurrency: handler.concurrency, pool: handler.pool, rate: rate, isBeside: type == Notice.type)
      calm("handler:\(type)")
    }
    for (type, reason) in settings.broken {
      agenda.configure(type, concurrency: 1, broken: reason)
      raise("handler:\(type)", "\(type) is paused, its handler file cannot be used: \(reason)")
    }
  }

  /// Types that could not start are tried again: the program may be there now.
  private func probeBroken() {
    for type in agenda.types where type.broken != nil && settings.broken[type.name] == nil {
      agenda.markBroken(type.name, nil)
    }
  }
}

/// The configuration as the engine uses it.
package struct EngineSettings: Sendable, Equatable {
  package var daemon: DaemonSettings
  package var handlers: [String: HandlerSettings]
  /// Types whose handler file does not load, with the reason.
  package var broken: [String: String]
  /// What payloads have to look like, by type.
  package var schemas: [String: PayloadSchema] = [:]
  /// What `encrypt` of the handlers seals, and the key; nil: nothing.
  package var secrets: Secrets?
  /// Where handler files lie; empty: nowhere.
  package var handlersFolder: String
  package var schedules: [String: ScheduleSettings]
  /// Schedules whose file does not load, with the reason.
  package var brokenSchedules: [String: String]

  package init(
    daemon: DaemonSettings, handlers: [String: HandlerSettings], broken: [String: String] = [:],
    handlersFolder: String = "", schedules: [String: ScheduleSettings] = [:], brokenSchedules: [String: String] = [:]
  ) {
    self.daemon = daemon
    self.handlers = handlers
    self.broken = broken
    self.handlersFolder = handlersFolder
    self.schedules = schedules
    self.brokenSchedules = brokenSchedules
  }
}
