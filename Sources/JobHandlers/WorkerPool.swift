internal import Glibc
internal import JobEngine
internal import JobModel

/// The processes of one worker type with one set of settings: started when the first job needs them, kept, and replaced
/// when they end. A job goes to an idle process, else to a new one while there may be more, else to the one with the
/// least to do; when all are full, or none can be started just now, it waits here.
///
/// A process that ends by itself is started again after a wait that doubles from 100 ms to 30 s as long as no job
/// succeeds. When five in a row end without having read a byte, the type is broken: the jobs that wait are handed back,
/// and `start` throws for a while, which pauses the type with an alert and spends no attempt.
final class WorkerPool {
  /// What all pools share.
  struct Surroundings {
    var loop: EventLoop
    var strays: Strays
    /// Bytes just read; taken before anything else is.
    var buffer: UnsafeMutableBufferPointer<UInt8>
    var launch: (HandlerSettings) throws(StartProblem) -> Launch
    var nextNumber: () -> Int
    var running: () -> [String]
    var isHurrying: () -> Bool
    /// Something an administrator should know.
    var remark: (String) -> Void
  }

  private static let barrenLimit = 5
  private static let brokenPause = Duration.seconds(10)

  let settings: HandlerSettings
  let log: WorkerLog
  private let surroundings: Surroundings
  private let loop: EventLoop
  /// Any request of the type: where the spool is, its token and its settings are the same in all of them.
  private let sample: AttemptRequest
  private let most: Int
  private let share: Int

  private var processes: [WorkerProcess] = []
  private var waiting: [WorkerJob] = []
  private var watched: WatchedFiles
  private var isRetired = false
  /// Told when it is retired and its last process is gone.
  private var emptied: (() -> Void)?

  private var failures = 0
  /// Ends in a row without a byte read.
  private var barren = 0
  private var lastFailure = Duration.zero
  private var nextStart = Duration.zero
  private var broken: (until: Duration, problem: StartProblem)?
  private var pumpTimer: LoopTimer?

  init(_ request: AttemptRequest, _ surroundings: Surroundings) {
    settings = request.handler
    var sample = request
    sample.input = []
    self.sample = sample
    self.surroundings = surroundings
    loop = surroundings.loop
    most = min(settings.processes ?? settings.concurrency, settings.concurrency)
    share = (settings.concurrency + most - 1) / most
    watched = WatchedFiles(settings)
    log = WorkerLog(
      folder: "\(request.spoolPath)/log/workers", type: settings.type, failed: surroundings.remark)
  }

  var strays: Strays { surroundings.strays }
  var buffer: UnsafeMutableBufferPointer<UInt8> { surroundings.buffer }
  var isHurrying: Bool { surroundings.isHurrying() }
  var isEmpty: Bool { processes.isEmpty && waiting.isEmpty }
  /// Names of the processes, for `Strays`.
  var running: [String] { processes.map(\.name) }
  func others(than name: String) -> [String] { surroundings.running().filter { $0 != name } }

  // MARK: Jobs

  func start(_ request: AttemptRequest, report: @escaping (AttemptEvent) -> Void) throws(StartProblem) {
    let now = EventLoop.now
    if let broken {
      if now < broken.until { throw broken.problem }
      self.broken = nil
      nextStart = now
    }
    if watched.haveChanged(now) {
      log.note("a watched file has changed; the processes are replaced")
      recycle()
    }
    let process = waiting.isEmpty ? try place() : nil
    let job = WorkerJob(request, report: report)
    if let process { return process.feed(job) }
    waiting.append(job)
    pumpWhenAllowed()
  }

  /// Ends a job wherever it is; false when it is not here.
  func stop(_ id: String, _ reason: StopReason) -> Bool {
    if let index = waiting.firstIndex(where: { $0.id == id }) {
      let job = waiting.remove(at: index)
      job.stopReason = reason
      // Not from inside: who stops a job expects its end later.
      loop.after(.zero) { job.release() }
      return true
    }
    for process in processes {
      guard let job = process.jobs.first(where: { $0.id == id }) else { continue }
      process.stop(job, reason)
      return true
    }
    return false
  }

  /// Gives waiting jobs to whoever can take them.
  func pump() {
    while !waiting.isEmpty {
      do throws(StartProblem) {
        guard let process = try place() else { return pumpWhenAllowed() }
        process.feed(waiting.removeFirst())
      } catch {
        switch error.kind {
        case .broken: return breakDown(error)
        case .busy:
          surroundings.remark(error.message)
          nextStart = EventLoop.now + .seconds(1)
          return pumpWhenAllowed()
        }
      }
    }
  }

  /// Who takes the next job; nil when it has to wait. Throws when a process is needed and cannot be started.
  private func place() throws(StartProblem) -> WorkerProcess? {
    var best: WorkerProcess?
    for process in processes where process.takesJobs && process.jobs.count < best?.jobs.count ?? share {
      best = process
      if process.jobs.isEmpty { return process }
    }
    guard !isRetired, mayStart() else { return best }
    do throws(StartProblem) {
      return try startProcess()
    } catch {
      if let best, error.kind == .busy { return best }
      throw error
    }
  }

  // MARK: Processes

  /// Whether there may be one more. Those that only finish what they have do not count, or one long job would hold up
  /// all others after a change; but twice as many as allowed is the end of it.
  private func mayStart() -> Bool {
    guard EventLoop.now >= nextStart, processes.count < most * 2 else { return false }
    return processes.count { $0.phase != .retiring } < most
  }

  private func startProcess() throws(StartProblem) -> WorkerProcess {
    let process = try WorkerProcess(
      sample, number: surroundings.nextNumber(), launch: surroundings.launch(settings), pool: self, loop: loop)
    processes.append(process)
    // In bad times they come one by one.
    if failures > 0 { nextStart = EventLoop.now + backoff }
    return process
  }

  private var backoff: Duration { .milliseconds(min(100 << min(max(0, failures - 1), 10), 30_000)) }

  func succeeded() {
    failures = 0
    barren = 0
  }

  func takeBack(_ jobs: [WorkerJob]) {
    guard !jobs.isEmpty else { return }
    for job in jobs { job.failure = nil }
    waiting.insert(contentsOf: jobs, at: 0)
    if isRetired { releaseWaiting() } else { pump(at: EventLoop.now) }
  }

  /// A process is gone with everything it started; `death` says how, unless it was asked to go.
  func over(_ process: WorkerProcess, _ death: WorkerDeath?, unread: [WorkerJob]) {
    processes.removeAll { $0 === process }
    takeBack(unread)
    if let death { died(process, death) }
    if isRetired, processes.isEmpty {
      emptied?()
      emptied = nil
    }
  }

  /// A process failed, all by itself. One that leaves in good order after some work is just replaced.
  func died(_ process: WorkerProcess, _ death: WorkerDeath) {
    guard !death.isOrderly || process.successes == 0 else { return }
    log.note("\(process.name) \(death.text)")
    // Several that went down together failed once.
    guard process.startedAt >= lastFailure else { return }
    let now = EventLoop.now
    lastFailure = now
    failures += 1
    nextStart = now + backoff
    barren = death.hasRead || process.successes > 0 ? 0 : barren + 1
    if barren >= WorkerPool.barrenLimit {
      return breakDown(
        StartProblem(
          .broken,
          "\(settings.file): command: its worker processes end before they read a job; the last one \(death.text). "
            + "Run the command by hand and correct it"))
    }
    surroundings.remark(
      "\(settings.type): \(process.name) \(death.text); the next may start in \(DurationText.format(backoff))")
  }

  private func breakDown(_ problem: StartProblem) {
    broken = (EventLoop.now + WorkerPool.brokenPause, problem)
    // One more try, when the engine comes again.
    barren = WorkerPool.barrenLimit - 1
    releaseWaiting()
  }

  private func releaseWaiting() {
    let jobs = waiting
    waiting = []
    loop.after(.zero) { for job in jobs { job.release() } }
  }

  /// When only the wait between two starts is in the way. Otherwise all are busy, and the end of a job or of a process
  /// pumps.
  private func pumpWhenAllowed() {
    if nextStart > EventLoop.now { pump(at: nextStart) }
  }

  private func pump(at due: Duration) {
    if let timer = pumpTimer {
      if timer.due <= due { return }
      loop.cancel(timer)
    }
    pumpTimer = loop.at(due) { [weak self] in
      self?.pumpTimer = nil
      self?.pump()
    }
  }

  /// Every process finishes what it has and is replaced.
  private func recycle() {
    for process in processes { process.retire() }
  }

  /// No more jobs come; `emptied` is called when the last process is gone, perhaps at once.
  func retire(emptied: @escaping () -> Void) {
    isRetired = true
    releaseWaiting()
    recycle()
    if processes.isEmpty { emptied() } else { self.emptied = emptied }
  }

  /// Hands back every job there is.
  func stopAll() {
    for process in processes {
      for job in process.jobs { process.stop(job, .shutdown) }
    }
  }

  func hurry() {
    for process in processes { process.hurry() }
  }
}
