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
internal import JobModel
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
  /// Out of the agenda, and being claimed.
  var picked: [Agenda.Pick] = []
  var burst = Burst()
  let claimer: Claimer
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
  /// Arrivals with a record whose ids the log was searched for in vain; no line about them came since.
  var unheardOf: Set<String> = []
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
  var clerkMailbox: Mailbox<ClerkReport>?
  var committer: Committer?
  var isCommitting = false
  var commitBegan = Duration.zero
  var gatherTimer: LoopTimer?
  /// What an operator moved is to be synced again.
  var movesAreDue = false
  var relaxedSyncIsDue = false
  var retryIsScheduled = false
  var schedules = ScheduleBook()
  var firingTimer: LoopTimer?
  /// When waiting jobs with `expires_at` are to be looked at again.
  var expiries = Deadlines<String>()
  var clock = ClockWatch()
  private var timer: LoopTimer?
  private var turnIsScheduled = false
  /// How long names are looked at, or jobs claimed, in one turn.
  var turnLength = Duration.milliseconds(Limits.turnMilliseconds)
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
    claimer = Claimer(spool)
    logger = effects.logger
    agenda = Agenda(maxJobs: settings.daemon.maxJobs, seed: spool_random())
    startedAt = effects.now()
    transitions.sealing = { [unowned self] (job) throws(SpoolError) in try seal(job) }
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
    beginClaims()
    settle()
    judge()
    claim()
    flush()
    startClaimed()
    // What claims and starts came to: ends that have missed `settle`. When the disk refuses them, it is tried again later.
    if !settling.fresh.isEmpty, !retryIsScheduled { turnSoon() }
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

  /// Makes the loop take another turn without waiting for an event. One follows every callback anyhow.
  func turnSoon() {
    guard loop.isAboutToWait, !turnIsScheduled else { return }
    turnIsScheduled = true
    loop.after(.zero) {}
  }

  /// Writes the lines of this turn. When the disk is full they stay, and nothing that depends on them goes on.
  func flush() {
    if let failure = transitions.audit.failure { giveUp(failure) }
    guard transitions.audit.hasPending else { return }
    do throws(SpoolError) {
      try transitions.audit.flush()
      if status.alerts[Engine.diskError] != nil { calm(Engine.diskError) }
    } catch {
      troubled(error)
    }
  }

  private func scheduleTimer() {
    if let timer { loop.cancel(timer) }
    timer = nil
    let dues = [agenda.nextDue(), notices.deadlines.next(), expiries.next(), notices.nextDigest]
    guard drain == .no, let due = dues.compactMap(\.self).min() else { return }
    // Wall time may jump; a look at least once a minute finds out. Rounded up, so as not to wake just before.
    let wait = max(.milliseconds(1), min(due - effects.now() + .milliseconds(1), .seconds(60)))
    timer = loop.after(wait) {}
  }

  func scheduleRescan() {
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
}
