internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobModel

/// One attempt in `exec` mode: a process of its own from start to the last trace of it.
///
/// It lives through four phases: its process is being started; the handler runs and its pipes are read; its first process
/// has ended and what it left is cleared away; the pipes are drained and `ended` is reported, exactly once, never from
/// inside the initialiser. (A start on another thread that fails reports `notStarted` instead.)
/// Reading the pipes does not decide when an attempt is over: a descendant may hold them open for ever.
final class ExecAttempt {
  private enum Phase { case starting, running, clearing, over }

  let request: AttemptRequest
  private let loop: EventLoop
  private let strays: Strays
  private let report: (AttemptEvent) -> Void
  /// Told when it is over, before `ended` is reported.
  private let over: (ExecAttempt) -> Void
  private let othersRunning: () -> [String]

  private var phase = Phase.starting
  private var pipes: Pipes
  private var neverBlocks = false
  private var pid: pid_t = 0
  private var pidFile: Int32 = -1
  private let log: JobLog
  private var timers: [LoopTimer] = []

  private var inputRest: ArraySlice<UInt8>
  private var output: [UInt8] = []
  private var outputTooLarge = false
  private var controlLines = Lines(limit: ControlLine.limit)
  private var words = LastWords()

  private var result: [UInt8]?
  private var resultTooLarge = false
  private var error: JobError?
  private var retryIn: Duration?
  private var stopReason: StopReason?
  /// Its grace was over before it had started.
  private var isDoomed = false
  private var lastSign = Duration.zero
  private var complaints = 0

  /// Starts the process, or has `spawner` start it. Throws when nothing was started; nothing is left open then.
  init(
    _ request: AttemptRequest, launch: Launch, spawner: Spawner?, loop: EventLoop, strays: Strays,
    othersRunning: @escaping () -> [String], over: @escaping (ExecAttempt) -> Void,
    report: @escaping (AttemptEvent) -> Void
  ) throws(StartProblem) {
    self.request = request
    self.loop = loop
    self.strays = strays
    self.othersRunning = othersRunning
    self.over = over
    self.report = report
    inputRest = request.input[...]
    log = JobLog(
      path: request.logPath, header: "--- attempt \(request.attempt) \(WallTime.now.rfc3339) ---",
      limit: Limits.jobLogBytes, reader: request.reader)
    pipes = try Pipes()
    if inputRest.count > Pipes.holdsAtOnce { neverBlock() }
    // Most jobs fit into the pipe: then the handler finds its input complete and nobody has to come back for it.
    writeInput()
    let start = launch.start(
      variables: Environment.variables(request), directory: request.spoolPath, files: pipes.childEnds)
    guard let spawner else {
      try begin(launch, start, start.carryOut())
      return
    }
    spawner.carryOut(start) { [self] outcome in
      do throws(StartProblem) {
        try begin(launch, start, outcome)
        if stopReason != nil { if isDoomed { killNow() } else { terminate() } }
      } catch {
        abort(error)
      }
    }
    timers.append(loop.after(ExecAttempt.startsWithin) { [self] in noteSlowStart() })
  }

  private static let startsWithin = Duration.seconds(10)

  private func noteSlowStart() {
    guard phase == .starting else { return }
    let time = DurationText.format(ExecAttempt.startsWithin)
    report(
      .log(
        LogLine(
          level: "warning", category: "jobspool", code: "slow_start",
          message: "it has not started after \(time): the disk of its program does not answer")))
  }

  private func begin(_ launch: Launch, _ start: Launch.Start, _ outcome: Launch.Outcome) throws(StartProblem) {
    do throws(StartProblem) { pid = try launch.result(of: start, outcome) } catch {
      pipes.closeAll()
      throw error
    }
    pipes.closeChildEnds()
    do throws(EventLoop.Failure) {
      try listen()
    } catch {
      abandon()
      throw StartProblem(.busy, "cannot watch a handler: \(error)")
    }
    phase = .running
    lastSign = EventLoop.now
    timers.append(loop.at(lastSign + request.timeout) { [self] in stop(.timeout, grace: request.handler.grace) })
    if let silence = request.stalledAfter { watchSilence(silence) }
  }

  /// A start on another thread came to nothing.
  private func abort(_ problem: StartProblem) {
    for timer in timers { loop.cancel(timer) }
    timers = []
    phase = .over
    var end = AttemptEnd(ending: .signalled(SIGKILL))
    end.stopReason = stopReason
    guard pid == 0 else {
      // It ran, for a moment, and may have left something.
      end.error = JobError(code: "system", message: problem.message)
      return strays.clear(remains) { [self] in
        over(self)
        report(.ended(end))
      }
    }
    over(self)
    strays.exonerate(request.id)
    // Who wanted it to stop gets what was asked for.
    report(stopReason == nil ? .notStarted(problem) : .ended(end))
  }

  private var remains: Strays.Remains {
    Strays.Remains(
      id: request.id, mark: "JOBSPOOL_ID=\(request.id)", leader: pid, token: request.token, running: othersRunning)
  }

  private func listen() throws(EventLoop.Failure) {
    pidFile = spool_pidfd_open(pid)
    guard pidFile >= 0 else { throw EventLoop.Failure("pidfd_open", errno: errno) }
    try loop.watch(pidFile, for: .read) { [self] _ in leaderEnded() }
    if pipes.input >= 0 { try loop.watch(pipes.input, for: .write) { [self] _ in writeInput() } }
    let wait = min(ExecAttempt.readsAfter, request.stalledAfter.map { $0 / 2 } ?? ExecAttempt.readsAfter)
    timers.append(loop.after(wait) { [self] in readOn() })
  }

  private func neverBlock() {
    guard !neverBlocks else { return }
    neverBlocks = true
    pipes.neverBlock()
  }

  /// Many handlers are done before anybody has to read what they write, and three more descriptors to watch, which tell of
  /// their ends one by one, are a good part of what the daemon does for such a job. A pipe holds what is written this soon.
  private static let readsAfter = Duration.milliseconds(5)

  /// From now on what the handler writes is read as it comes.
  private func readOn() {
    guard phase == .running else { return }
    neverBlock()
    // What is there counts as a sign of life, of which another timer may want to know in a moment.
    readOutput()
    readErrors()
    readControl()
    do throws(EventLoop.Failure) {
      if pipes.output >= 0 { try loop.watch(pipes.output, for: .read) { [self] _ in readOutput() } }
      if pipes.errors >= 0 { try loop.watch(pipes.errors, for: .read) { [self] _ in readErrors() } }
      if pipes.control >= 0 { try loop.watch(pipes.control, for: .read) { [self] _ in readControl() } }
    } catch {
      for file in [pipes.output, pipes.errors, pipes.control] { loop.unwatch(file) }
      note("its output cannot be watched just now (\(error)); it is looked at ten times a second")
      timers.append(loop.after(.milliseconds(100)) { [self] in readOn() })
    }
  }

  /// The start went wrong half-way: the process ends before it did anything worth reporting.
  private func abandon() {
    kill(-pid, SIGKILL)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    OwnChildren.shared.remove(pid)
    closeEverything()
    phase = .over
  }

  // MARK: Streams

  /// A handler need not read its input: a closed pipe (EPIPE, SIGPIPE is ignored) just ends the writing.
  private func writeInput() {
    while !inputRest.isEmpty {
      let count = inputRest.withUnsafeBytes { write(pipes.input, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return }
        break
      }
      inputRest = inputRest.dropFirst(count)
    }
    inputRest = []
    end(&pipes.input)
  }

  private func readOutput() {
    let reading = read(pipes.output) { bytes in
      let room = request.handler.maxResultBytes - output.count
      // The rest is read and dropped: a full pipe would hold up the handler until its timeout.
      outputTooLarge = outputTooLarge || bytes.count > room
      output.append(contentsOf: bytes.prefix(max(0, room)))
    }
    switch reading {
    case .more: sign()
    case .nothing: break
    case .end: end(&pipes.output)
    }
  }

  private func readErrors() {
    let reading = read(pipes.errors) { bytes in
      words.hear(bytes)
      log.append(bytes)
      complain()
    }
    switch reading {
    case .more: sign()
    case .nothing: break
    case .end: end(&pipes.errors)
    }
  }

  private func readControl() {
    let reading = read(pipes.control) { bytes in controlLines.feed(bytes, obey) }
    switch reading {
    case .more: sign()
    case .nothing: break
    case .end:
      end(&pipes.control)
      controlLines.finish(obey)
    }
  }

  private enum Reading { case more, nothing, end }

  private func read(_ file: Int32, _ take: (UnsafeBufferPointer<UInt8>) -> Void) -> Reading {
    guard file >= 0 else { return .nothing }
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 65536) { buffer in
      let count = Glibc.read(file, buffer.baseAddress, buffer.count)
      if count > 0 {
        take(UnsafeBufferPointer(rebasing: buffer[..<count]))
        return .more
      }
      return count < 0 && (errno == EAGAIN || errno == EINTR) ? .nothing : .end
    }
  }

  private func end(_ file: inout Int32) {
    guard file >= 0 else { return }
    loop.unwatch(file)
    close(file)
    file = -1
  }

  private func obey(_ line: Lines.Line) {
    guard case .whole(let text) = line else {
      return note("a control line on descriptor 3 is longer than \(ControlLine.limit) bytes and was ignored")
    }
    guard text.contains(where: { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }) else { return }
    do throws(ControlLine.Problem) {
      let line = try ControlLine(parsing: text)
      if !line.unknown.isEmpty {
        note("a control line on descriptor 3 has unknown keys: \(line.unknown.joined(separator: ", "))")
      }
      if let given = line.result {
        resultTooLarge = given.count > request.handler.maxResultBytes
        result = resultTooLarge ? nil : given
      }
      retryIn = line.retryIn ?? retryIn
      error = line.error ?? error
      if let entry = line.log {
        log.enter(entry)
        complain()
        report(.log(entry))
      }
      if line.isProgress { report(.progress(line.progress)) }
    } catch {
      note("a control line on descriptor 3 was ignored: \(error.message)")
    }
  }

  /// A line of ours in the job's log; the same mistake in a loop may not fill it.
  private func note(_ text: String) {
    complaints += 1
    guard complaints <= 100 else { return }
    log.note(complaints == 100 ? "\(text); further remarks are left out" : text)
    complain()
  }

  private func complain() {
    guard let failure = log.failure, !complained else { return }
    complained = true
    report(.log(LogLine(level: "error", category: "jobspool", code: "log_unwritable", message: failure)))
  }
  private var complained = false

  // MARK: Ending it

  /// TERM to the group, KILL after `grace`. Only the first reason counts.
  func stop(_ reason: StopReason, grace: Duration) {
    guard phase == .running || phase == .starting, stopReason == nil else { return }
    stopReason = reason
    if phase == .running { terminate() }
    timers.append(loop.after(grace) { [self] in killNow() })
  }

  private func terminate() {
    kill(-pid, SIGTERM)
    // A stopped process would only take the signal when it is continued.
    kill(-pid, SIGCONT)
  }

  /// The grace is over: also for `hurry`, when the attempt is being stopped.
  func killNow() {
    guard stopReason != nil else { return }
    isDoomed = true
    if phase == .running { kill(-pid, SIGKILL) }
  }

  private func sign() { lastSign = EventLoop.now }

  /// One timer that looks when it was last heard from, instead of a new one for each sign of life.
  private func watchSilence(_ silence: Duration) {
    timers.append(
      loop.at(lastSign + silence) { [self] in
        timers.removeAll { $0.due <= EventLoop.now }
        if EventLoop.now - lastSign >= silence {
          stop(.stalled, grace: request.handler.grace)
        } else {
          watchSilence(silence)
        }
      })
  }

  private func leaderEnded() {
    guard phase == .running else { return }
    // While the dead process is not reaped nobody else can have its number: the one moment when its group can be killed
    // without a doubt.
    kill(-pid, SIGKILL)
    var status: Int32 = 0
    var usage = rusage()
    let reaped = spool_reap(pid, &status, &usage)
    if reaped == 0 { return }
    OwnChildren.shared.remove(pid)
    phase = .clearing
    for timer in timers { loop.cancel(timer) }
    timers = []
    end(&pidFile)
    end(&pipes.input)
    let summary = summary(reaped: reaped == pid, status: status, usage: usage)
    strays.clear(remains) { [self] in finish(summary) }
  }

  private func summary(reaped: Bool, status: Int32, usage: rusage) -> AttemptEnd {
    // Not reaped by us: someone ignores SIGCHLD or waits for every child. The end is certain, how is not known.
    guard reaped else { return AttemptEnd(ending: .crashed) }
    let signal = spool_status_signalled(status)
    var end = AttemptEnd(ending: signal >= 0 ? .signalled(signal) : .exited(spool_status_exited(status)))
    end.peakMemory = usage.ru_maxrss * 1024
    end.cpuTime =
      .seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + .microseconds(Int64(usage.ru_utime.tv_usec) + Int64(usage.ru_stime.tv_usec))
    return end
  }

  /// Nothing of the handler is alive: what is in the pipes is all there will be. A process that is not the handler's may
  /// hold one open or even write to it, so this neither waits for their ends nor reads for ever.
  private func finish(_ summary: AttemptEnd) {
    for _ in 0..<64 { if !readRest() { break } }
    if pipes.control >= 0 { controlLines.finish(obey) }
    let end = conclude(summary)
    log.close()
    closeEverything()
    phase = .over
    over(self)
    report(.ended(end))
  }

  /// Reads a piece of each stream that has one. False when none has.
  private func readRest() -> Bool {
    let streams = (pipes.output, pipes.errors, pipes.control)
    return withUnsafeTemporaryAllocation(of: pollfd.self, capacity: 3) { entries in
      // A closed one is -1, which poll(2) passes over.
      entries[0] = pollfd(fd: streams.0, events: Int16(POLLIN), revents: 0)
      entries[1] = pollfd(fd: streams.1, events: Int16(POLLIN), revents: 0)
      entries[2] = pollfd(fd: streams.2, events: Int16(POLLIN), revents: 0)
      var found: Int32
      repeat { found = poll(entries.baseAddress, 3, 0) } while found < 0 && errno == EINTR
      guard found > 0, entries.contains(where: { $0.revents & Int16(POLLIN) != 0 }) else { return false }
      // Somebody else with an end of it may be faster.
      neverBlock()
      func hasBytes(_ place: Int) -> Bool { entries[place].revents & Int16(POLLIN) != 0 }
      if hasBytes(0) { readOutput() }
      if hasBytes(1) { readErrors() }
      if hasBytes(2) { readControl() }
      return true
    }
  }

  private func conclude(_ summary: AttemptEnd) -> AttemptEnd {
    var end = summary
    end.stopReason = stopReason
    end.retryIn = retryIn
    if result == nil {
      let text = outputTooLarge ? ResultText.Result() : ResultText.make(output)
      if text.repaired { note("standard output is not UTF-8; what is none was replaced in the result") }
      end.result = text.json
    } else {
      end.result = result
      // The result came on descriptor 3, so this was meant to be read by people.
      if !output.isEmpty { output.withUnsafeBufferPointer { log.append($0) } }
    }
    end.error = error
    if end.ending == .exited(0), let said = error {
      note("it exited with 0 after reporting the error \"\(said.code)\" on descriptor 3: the exit code counts")
      end.error = nil
    }
    if resultTooLarge || (result == nil && outputTooLarge) {
      let limit = SizeText.format(request.handler.maxResultBytes)
      end.error = JobError(
        code: "result_too_large",
        message: "the result is larger than \(limit); write less, or raise max_result_bytes in \(request.handler.file)")
      end.result = nil
    }
    end.error = end.error ?? FailureText.describe(end, lastWords: words.text, request: request)
    complain()
    return end
  }

  private func closeEverything() {
    end(&pidFile)
    end(&pipes.input)
    end(&pipes.output)
    end(&pipes.errors)
    end(&pipes.control)
    pipes.closeAll()
  }
}
