internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobModel

/// One long-lived process of a worker type: jobs go in as lines, answers come out as lines.
///
/// What it promises: it holds at most the jobs it was fed; each of them ends exactly once, or goes back to the pool when
/// it is certain that the process never read it; when it tells the pool that it is over, no process of its session is
/// alive. Who lives through what:
///
///     serving     takes jobs
///     retiring    takes none; finishes those it has
///     closing     has none; its standard input is closed, and it has its grace to end
///     stopping    got TERM, and KILL when its grace is over
///     clearing    its first process has ended, what it left behind is being ended
///     over
///
/// A job that has to be ended takes its process with it: nothing else ends what a program does in between two lines.
/// The others in there are handed back, since it was not their fault.
final class WorkerProcess {
  enum Phase { case serving, retiring, closing, stopping, clearing, over }

  let number: Int
  private(set) var phase = Phase.serving
  /// Given to it and not ended, in the order they were given.
  private(set) var jobs: [WorkerJob] = []
  /// Jobs it ended with `"ok": true`.
  private(set) var successes = 0
  let startedAt = EventLoop.now

  private unowned let pool: WorkerPool
  private let loop: EventLoop
  private let settings: HandlerSettings
  private let token: String
  private var pid: pid_t = 0
  private var pidFile: Int32 = -1
  private var pipes: Pipes

  private let input: WorkerInput
  private let output: WorkerOutput
  private var fed = 0
  private var words = LastWords()
  private var complaints = 0

  private var deadlineTimer: LoopTimer?
  private var graceTimer: LoopTimer?

  /// Starts the process; `request` is any job of its type. Throws when nothing was started; nothing is left open then.
  init(
    _ request: AttemptRequest, number: Int, launch: Launch, pool: WorkerPool, loop: EventLoop
  ) throws(StartProblem) {
    self.number = number
    self.pool = pool
    self.loop = loop
    settings = request.handler
    token = request.token
    // A result in a line may have as many bytes as it likes, escapes and the other keys need some more.
    output = WorkerOutput(limit: settings.maxResultBytes + 65536)
    pipes = try Pipes(control: false)
    pipes.neverBlock()
    do throws(StartProblem) {
      let start = launch.start(
        variables: Environment.variables(worker: number, request), directory: request.spoolPath, files: pipes.childEnds)
      pid = try launch.result(of: start, start.carryOut())
    } catch {
      pipes.closeAll()
      throw error
    }
    pipes.closeChildEnds()
    input = WorkerInput(pipes.input, loop)
    pipes.input = -1
    do throws(EventLoop.Failure) {
      pidFile = spool_pidfd_open(pid)
      guard pidFile >= 0 else { throw EventLoop.Failure("pidfd_open", errno: errno) }
      try loop.watch(pidFile, for: .read) { [unowned self] _ in leaderEnded() }
      try input.open(
        // Mostly the process is just ending, so it gets a moment for that.
        shut: { [unowned self] in loop.after(.milliseconds(100)) { [weak self] in self?.refused() } },
        failed: { [unowned self] in replace("its standard input cannot be watched (\($0))") })
      try loop.watch(pipes.output, for: .read) { [unowned self] _ in readOutput() }
      try loop.watch(pipes.errors, for: .read) { [unowned self] _ in readErrors() }
    } catch {
      abandon()
      throw StartProblem(.busy, "cannot watch a worker: \(error)")
    }
  }

  /// The start went wrong half-way: the process ends before it was given anything.
  private func abandon() {
    kill(-pid, SIGKILL)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    OwnChildren.shared.remove(pid)
    closeEverything()
    phase = .over
  }

  var takesJobs: Bool { phase == .serving && !input.isShut }

  /// How `Strays` and the remarks call it.
  var name: String { "worker \(number)" }

  // MARK: Jobs in

  /// Gives it a job; the line leaves with the others of this round.
  func feed(_ job: WorkerJob) {
    precondition(takesJobs, "only a serving worker takes jobs")
    if jobs.isEmpty { words = LastWords() }
    let now = EventLoop.now
    job.deadline = now + job.request.timeout
    job.lastSign = now
    job.lineStart = input.put(job.request.input)
    jobs.append(job)
    fed += 1
    watchDeadline(of: job)
    if let most = settings.recycleAfter, fed >= most { phase = .retiring }
  }

  /// It goes on without its standard input: it may finish what it has read, and no more.
  private func refused() {
    guard phase == .serving || phase == .retiring else { return }
    phase = .retiring
    let hasRead = input.wasRead
    pool.takeBack(takeUnread())
    pool.died(self, WorkerDeath(text: "closed its standard input", isOrderly: false, hasRead: hasRead))
    closeIfDone()
  }

  /// The jobs of which it did not read a single byte. Only certain when it cannot read any more.
  private func takeUnread() -> [WorkerJob] {
    let start = input.unreadFrom
    return take { $0.lineStart >= start }
  }

  private func take(_ isTaken: (WorkerJob) -> Bool) -> [WorkerJob] {
    let taken = jobs.filter { $0.stopReason == nil && isTaken($0) }
    if !taken.isEmpty { jobs.removeAll { job in taken.contains { $0 === job } } }
    return taken
  }

  // MARK: Answers out

  private func readOutput() {
    guard pipes.output >= 0 else { return }
    // What it complained of before it answered belongs to the job that is about to end.
    readErrors()
    let buffer = pool.buffer
    let count = read(pipes.output, buffer.baseAddress, buffer.count)
    if count > 0 {
      output.hear(
        UnsafeBufferPointer(rebasing: buffer[..<count]), take: { take(line: $0) }, tooLong: { tooLong($0) })
    } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
      end(&pipes.output)
      fellSilent()
    }
  }

  private func take(line: UnsafeBufferPointer<UInt8>) {
    let head = WorkerLine.Head(line)
    if let head, head.isWhole, head.ok == true {
      guard let index = place(of: head.id) else { return noteUnknown(String(decoding: head.id, as: UTF8.self)) }
      return succeed(index, result: nil)
    }
    guard line.contains(where: { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }) else { return }
    do throws(ControlLine.Problem) {
      let parsed = try WorkerLine(parsing: line)
      var id = parsed.id
      guard let index = id.withUTF8({ place(of: $0) }) else { return noteUnknown(id) }
      obey(parsed, index)
    } catch {
      malformed(head, error.message)
    }
  }

  private func place(of id: UnsafeBufferPointer<UInt8>) -> Int? { jobs.firstIndex { $0.isCalled(id) } }

  private func obey(_ line: WorkerLine, _ index: Int) {
    let job = jobs[index]
    if job.request.stalledAfter != nil { job.lastSign = EventLoop.now }
    if let problem = line.problem { note("in a line for job \(job.id): \(problem)", in: job) }
    if let entry = line.content.log { job.enter(entry) }
    if line.content.progress != ProgressUpdate() || (line.ok == nil && line.content.log == nil) {
      job.report(.progress(line.content.progress))
    }
    // Whoever heard that may have stopped things.
    guard let ok = line.ok, let index = jobs.firstIndex(where: { $0 === job }) else { return }
    if ok { succeed(index, result: line.content.result) } else { fail(index, line) }
  }

  private func succeed(_ index: Int, result: [UInt8]?) {
    // It is being ended, together with the process: what it says now comes too late.
    guard jobs[index].stopReason == nil else { return }
    let job = jobs.remove(at: index)
    if let result, result.count > settings.maxResultBytes {
      var end = AttemptEnd(ending: .exited(0))
      end.error = tooLarge
      finished(job, end)
    } else {
      successes += 1
      pool.succeeded()
      var end = AttemptEnd(ending: .exited(0))
      end.result = result
      finished(job, end)
    }
  }

  private func fail(_ index: Int, _ line: WorkerLine) {
    guard jobs[index].stopReason == nil else { return }
    let job = jobs.remove(at: index)
    var end = AttemptEnd(ending: .exited(0))
    end.error = line.content.error ?? JobError(code: "failed", message: "the worker gave no reason")
    end.permanent = line.permanent
    end.retryIn = line.content.retryIn
    if let result = line.content.result {
      let fits = result.count <= settings.maxResultBytes
      if fits { end.result = result } else { job.note("left out: \(tooLarge.message)") }
    }
    finished(job, end)
  }

  private func finished(_ job: WorkerJob, _ end: AttemptEnd) {
    job.end(end)
    closeIfDone()
    pool.pump()
  }

  private var tooLarge: JobError {
    JobError(
      code: "result_too_large",
      message: "the result is larger than \(SizeText.format(settings.maxResultBytes)); "
        + "write less, or raise max_result_bytes in \(settings.file)")
  }

  // MARK: Lines that are none

  /// Not JSON. If it still tells which job it ends, that job failed and all is well again; if it tells the job and no
  /// more, the job may run on in there, so the process has to go. All else is noise.
  private func malformed(_ head: WorkerLine.Head?, _ problem: String) {
    guard let head, let index = place(of: head.id) else {
      return note("a line on standard output was ignored: \(problem)", in: nil)
    }
    let job = jobs[index]
    guard job.stopReason == nil else { return }
    let error = JobError(code: "bad_answer", message: "the worker's answer is not JSON: \(problem)")
    if head.ok != nil {
      jobs.remove(at: index)
      var end = AttemptEnd(ending: .exited(0))
      end.error = error
      return finished(job, end)
    }
    job.failure = job.failure ?? error
    replace("it wrote a line for job \(job.id) that is not JSON: \(problem)")
  }

  /// Where the next line begins is anyone's guess once a line has been cut.
  private func tooLong(_ beginning: UnsafeBufferPointer<UInt8>) {
    let culprit = WorkerLine.Head(beginning).flatMap { place(of: $0.id) }
    distrust(culprit.map { [jobs[$0]] } ?? jobs, tooLarge, "it wrote a line of more than \(output.limit) bytes")
  }

  /// Without its standard output no answer can come. Mostly it is just ending, so it gets a moment for that.
  private func fellSilent() {
    guard phase == .serving || phase == .retiring else { return }
    phase = .retiring
    loop.after(.seconds(1)) { [weak self] in
      guard let self, phase == .serving || phase == .retiring else { return }
      distrust(
        jobs, JobError(code: "worker_silent", message: "its worker process closed its standard output"),
        "it closed its standard output")
    }
  }

  /// Nothing it says counts any more. If it is not known whose fault it was, it counts for all: a job that spoils its
  /// worker each time must come to an end some day.
  private func distrust(_ culprits: [WorkerJob], _ error: JobError, _ reason: String) {
    output.deafen()
    for job in culprits where job.failure == nil { job.failure = error }
    replace(reason)
  }

  private func noteUnknown(_ id: String) {
    note("a line on standard output names the job \"\(id.prefix(Limits.idLength))\", which it does not have", in: nil)
  }

  /// The same mistake in a loop may not fill the disk.
  private func note(_ text: String, in job: WorkerJob?) {
    complaints += 1
    guard complaints <= 100 else { return }
    let text = complaints == 100 ? "\(text); further remarks are left out" : text
    if let job { job.note(text) } else { pool.log.note("\(name): \(text)") }
  }

  private func readErrors() {
    guard pipes.errors >= 0 else { return }
    let buffer = pool.buffer
    let count = read(pipes.errors, buffer.baseAddress, buffer.count)
    if count > 0 {
      let bytes = UnsafeBufferPointer(rebasing: buffer[..<count])
      words.hear(bytes)
      // Which of several jobs a line is about cannot be told.
      if jobs.count == 1 {
        jobs[0].lastSign = EventLoop.now
        jobs[0].append(bytes)
      } else {
        pool.log.append(bytes)
      }
    } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
      end(&pipes.errors)
    }
  }

  private func end(_ file: inout Int32) {
    guard file >= 0 else { return }
    loop.unwatch(file)
    close(file)
    file = -1
  }

  // MARK: Time

  /// One timer for the earliest that can happen: jobs that end in time never touch it.
  private func watchDeadline(of job: WorkerJob) {
    let due = job.due
    if let timer = deadlineTimer {
      if timer.due <= due { return }
      loop.cancel(timer)
    }
    deadlineTimer = loop.at(due) { [unowned self] in
      deadlineTimer = nil
      let now = EventLoop.now
      for job in jobs {
        if let reason = job.overdue(now) { stop(job, reason) }
      }
      guard let next = jobs.filter({ $0.stopReason == nil }).min(by: { $0.due < $1.due }) else { return }
      watchDeadline(of: next)
    }
  }

  // MARK: Ending it

  /// Ends one job, and so the process.
  func stop(_ job: WorkerJob, _ reason: StopReason) {
    guard job.stopReason == nil else { return }
    job.stopReason = reason
    terminate()
  }

  /// Takes no more jobs, finishes those it has and goes.
  func retire() {
    guard phase == .serving || phase == .retiring else { return }
    phase = .retiring
    closeIfDone()
  }

  private func closeIfDone() {
    guard phase == .retiring, jobs.isEmpty else { return }
    phase = .closing
    input.close()
    setGrace { [unowned self] in terminate() }
  }

  private func replace(_ reason: String) {
    note("\(reason); the process is replaced", in: nil)
    terminate()
  }

  /// TERM to the group, KILL after `grace`. What was not written yet was certainly not read and goes back to the pool.
  private func terminate() {
    guard phase == .serving || phase == .retiring || phase == .closing else { return }
    phase = .stopping
    let unsent = take { input.isUnsent($0.lineStart) }
    input.stop()
    kill(-pid, SIGTERM)
    // A stopped process would only take the signal when it is continued.
    kill(-pid, SIGCONT)
    setGrace { [unowned self] in kill(-pid, SIGKILL) }
    pool.takeBack(unsent)
  }

  private func setGrace(_ over: @escaping () -> Void) {
    if let timer = graceTimer { loop.cancel(timer) }
    graceTimer = loop.after(pool.isHurrying ? .zero : settings.grace, over)
  }

  /// The grace is over for whoever has one.
  func hurry() {
    switch phase {
    case .closing: terminate()
    case .stopping: kill(-pid, SIGKILL)
    default: break
    }
  }

  private func leaderEnded() {
    guard phase != .clearing, phase != .over else { return }
    // While the dead process is not reaped nobody else can have its number: the one moment when its group can be killed
    // without a doubt.
    kill(-pid, SIGKILL)
    var status: Int32 = 0
    var usage = rusage()
    let reaped = spool_reap(pid, &status, &usage)
    if reaped == 0 { return }
    OwnChildren.shared.remove(pid)
    let wasStopped = phase == .stopping || phase == .closing
    phase = .clearing
    // What it left behind may hold the pipe open; what has not left goes back to the pool.
    input.stop()
    for timer in [deadlineTimer, graceTimer] { if let timer { loop.cancel(timer) } }
    end(&pidFile)
    var ending = HandlerEnding.crashed
    if reaped == pid {
      let signal = spool_status_signalled(status)
      ending = signal >= 0 ? .signalled(signal) : .exited(spool_status_exited(status))
    }
    let remains = Strays.Remains(
      id: name, mark: "JOBSPOOL_WORKER=\(number)", leader: pid, token: token,
      running: { [pool, name] in pool.others(than: name) })
    pool.strays.clear(remains) { [self] in finish(ending, wasStopped: wasStopped) }
  }

  /// Nothing of it is alive. What it said before it went still counts.
  private func finish(_ ending: HandlerEnding, wasStopped: Bool) {
    // The last process of a retired pool takes the pool with it.
    let pool = pool
    for _ in 0..<64 where drain(pipes.output) { readOutput() }
    for _ in 0..<64 where drain(pipes.errors) { readErrors() }
    let line = output.takeRest()
    if !line.isEmpty {
      // Nothing but a whole object ends with its brace: an answer that only lacks its newline is one.
      line.withUnsafeBufferPointer { line in
        if (try? WorkerLine(parsing: line)) != nil {
          take(line: line)
        } else {
          note("its last line on standard output is only half a line", in: nil)
        }
      }
    }
    let hasRead = input.wasRead
    let unread = takeUnread()
    closeEverything()
    phase = .over
    let rest = jobs
    jobs = []
    let death: WorkerDeath? =
      wasStopped
      ? nil
      : WorkerDeath(
        text: WorkerDeath.text(ending, words.text), isOrderly: ending == .exited(0) && rest.isEmpty, hasRead: hasRead)
    pool.over(self, death, unread: unread)
    for job in rest { conclude(job, ending, death) }
    pool.pump()
  }

  private func drain(_ file: Int32) -> Bool {
    guard file >= 0 else { return false }
    var entry = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLIN) != 0
  }

  private func conclude(_ job: WorkerJob, _ ending: HandlerEnding, _ death: WorkerDeath?) {
    var end = AttemptEnd(ending: ending)
    // Its code speaks of the process, not of this one of its jobs.
    end.permanent = false
    end.stopReason = job.stopReason
    if let failure = job.failure, job.stopReason == nil {
      end.error = failure
    } else if job.stopReason == nil, let death {
      end.error = JobError(code: "worker_died", message: "its worker process \(death.text) before it answered")
    } else {
      end.stopReason = job.stopReason ?? .shutdown
      end.error = FailureText.describe(end, lastWords: rest(of: job), request: job.request)
    }
    job.end(end)
  }

  private func rest(of job: WorkerJob) -> String? { job.stopReason == .shutdown ? nil : words.text }

  private func closeEverything() {
    end(&pidFile)
    input.close()
    end(&pipes.output)
    end(&pipes.errors)
  }
}
