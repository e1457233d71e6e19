/// From a handler's end to a file in `done/` or `dead/`, or back in `new/`.
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  // MARK: What handlers report

  func attemptReported(_ attempt: Attempt, _ event: AttemptEvent) {
    switch event {
    case .progress(let update): progressed(attempt, update)
    case .log(let line): said(attempt, line)
    case .ended(let end): ended(attempt, end)
    case .notStarted(let problem): notStarted(attempt, problem)
    }
  }

  /// A handler's line in the daemon's own log, which many share: one that does not stop is cut off. The job's log has its
  /// lines too, and a bound of its own.
  private func said(_ attempt: Attempt, _ line: LogLine) {
    attempt.logLines += 1
    guard attempt.logLines <= Limits.logLines, attempt.logBytes <= Limits.logLinesBytes else { return }
    attempt.logBytes += line.message.utf8.count + line.category.utf8.count + line.code.utf8.count
    let metadata: Logger.Metadata = ["job": "\(attempt.id)", "type": "\(attempt.job.type)"]
    if attempt.logLines == Limits.logLines || attempt.logBytes > Limits.logLinesBytes {
      logger.warning(
        "\(attempt.id): its handler says more than belongs here; the rest is left out, see log/jobs/\(attempt.id).log",
        metadata: metadata)
      attempt.logLines = Limits.logLines
    } else {
      logger.log(
        level: line.loggerLevel, "\(attempt.id): \(line.level) \(line.category) \(line.code) \(line.message)",
        metadata: metadata)
    }
  }

  private func progressed(_ attempt: Attempt, _ update: ProgressUpdate) {
    attempt.lastSign = effects.now()
    if let percent = update.percent { attempt.progress.percent = min(max(percent, 0), 100) }
    if let message = update.message { attempt.progress.message = JobRecord.cut(message) }
    if let stage = update.stage.map(JobRecord.cut), stage != attempt.progress.stage {
      attempt.progress.stage = stage
      note(stage, of: attempt)
    }
    status.touch()
  }

  /// The line of a stage. Who names a hundred of them may mean it; who goes on has a line a second, which counts the others.
  private func note(_ stage: String, of attempt: Attempt) {
    let now = EventLoop.now
    attempt.stages += 1
    guard attempt.stages <= Limits.stagesAtOnce || now - attempt.stageNoted >= .seconds(1) else {
      attempt.stagesSkipped += 1
      return
    }
    do throws(SpoolError) {
      try transitions.audit.append(
        .stage, at: effects.now(), job: attempt.id, type: attempt.job.type, attempt: attempt.number
      ) { writer in
        writer.key("stage")
        writer.string(stage)
        guard attempt.stagesSkipped > 0 else { return }
        writer.key("skipped")
        writer.int(attempt.stagesSkipped)
      }
      attempt.stageNoted = now
      attempt.stagesSkipped = 0
    } catch {
      troubled(error)
    }
  }

  private func ended(_ attempt: Attempt, _ end: AttemptEnd) {
    running[attempt.id] = nil
    agenda.ended(attempt.typeNumber)
    status.touch()
    guard attempt.claim != nil else { return }
    if end.stopReason == .shutdown, !attempt.isCancelled { return release(attempt) }
    let now = effects.now()
    let policy = attempt.job.retryPolicy(attempt.handler.retry)
    let reason: StopReason? = attempt.isCancelled ? .cancelled : end.stopReason
    let verdict = Verdict.of(
      ending: end.ending, error: end.error, stopReason: reason, permanent: end.permanent, retryIn: end.retryIn,
      attempt: attempt.number, policy: policy, random: effects.random())
    var record = attempt.record
    var run = JobRecord.Attempt(
      n: attempt.number, startedAt: attempt.startedAt, endedAt: max(now, attempt.startedAt),
      outcome: .of(ending: end.ending, error: end.error, stopReason: reason))
    switch end.ending {
    case .exited(let code): run.exit = code
    case .signalled(let signal): run.signal = signal
    case .crashed: break
    }
    run.peakMemory = end.peakMemory
    run.cpuTime = end.cpuTime
    learn(attempt, verdict)
    let error = verdict == .finish ? nil : end.error ?? attempt.error(of: end, reason: reason)
    run.error = error
    record.add(run)
    record.progress = attempt.progress.isEmpty ? nil : attempt.progress
    record.result = end.result
    record.error = error
    record.updatedAt = now
    record.spent = true
    record.runAt = nil
    if reason == .stalled { noteStalled(attempt, now) }
    noticeEnded(attempt, end)
    settle(attempt, verdict, record, now: now)
  }

  /// What the type's circuit breaker makes of it.
  private func learn(_ attempt: Attempt, _ verdict: Verdict) {
    let wasOpen = agenda.types[attempt.typeNumber].circuit.phase != .closed
    switch verdict {
    case .finish: agenda.learn(attempt.typeNumber, succeeded: true, isTried: attempt.isTried, now: effects.now())
    case .retry: agenda.learn(attempt.typeNumber, succeeded: false, isTried: attempt.isTried, now: effects.now())
    case .bury(let outcome):
      // The last of several attempts speaks against the type, a permanent failure against the job.
      let isTypes = outcome == .failed && attempt.number >= attempt.job.retryPolicy(attempt.handler.retry).maxAttempts
      agenda.learn(
        attempt.typeNumber, succeeded: isTypes ? false : nil, isTried: attempt.isTried, now: effects.now())
    }
    let type = agenda.types[attempt.typeNumber]
    if case .open(let until) = type.circuit.phase {
      raise(
        "circuit:\(type.name)",
        "\(type.name) failed \(type.circuit.failures) times in a row and rests; one job is tried at \(until.rfc3339)")
    } else if wasOpen, type.circuit.phase == .closed {
      calm("circuit:\(type.name)")
    }
  }

  private func settle(_ attempt: Attempt, _ verdict: Verdict, _ record: JobRecord, now: WallTime) {
    guard let claim = attempt.claim.take() else { return }
    var record = record
    let transition: Transition
    switch verdict {
    case .finish:
      record.state = .done
      record.outcome = .done
      record.finishedAt = now
      record.progress?.percent = 100
      transition = .finish
    case .retry(let wait):
      record.state = .new
      record.runAt = now + wait
      transition = .retry
    case .bury(let outcome):
      record.state = .dead
      record.outcome = outcome
      record.finishedAt = now
      transition = outcome == .cancelled ? .cancel : .bury
    }
    let settlement = Settlement(claim, transition, record)
    // Who cancels a job breaks no promise of its handler.
    if transition != .cancel { settlement.sla = attempt.handler.sla }
    settling.add(settlement)
  }

  /// Hands an attempt back: we interrupted it, or never started it.
  func release(_ attempt: Attempt) {
    guard let claim = attempt.claim.take() else { return }
    agenda.learn(attempt.typeNumber, succeeded: nil, isTried: attempt.isTried, now: effects.now())
    var record = attempt.record
    if attempt.isCancelled {
      let error = JobError(code: "cancelled", message: "cancelled by \(attempt.cancelledBy) before it ran")
      return bury(claim, record, .cancelled, error, .cancel, now: effects.now())
    }
    record.state = .new
    record.spent = true
    record.updatedAt = effects.now()
    record.runAt = record.updatedAt
    settling.add(Settlement(claim, .release, record))
  }

  private func noteStalled(_ attempt: Attempt, _ now: WallTime) {
    do throws(SpoolError) {
      try transitions.audit.append(
        .stalled, at: now, job: attempt.id, type: attempt.job.type, attempt: attempt.number)
    } catch {
      troubled(error)
    }
  }

  // MARK: To the disk

  /// Steps one and two for everything that ended.
  func settle() {
    guard !settling.isEmpty else { return }
    let unpublished = settling.takeUnpublished()
    if !unpublished.isEmpty { publish(unpublished) }
    // Copies of files that are only refused have one sync together; what fails here is tried again one by one.
    let copies = settling.fresh.compactMap(\.adoption)
    if copies.count > 1 {
      do throws(SpoolError) { try transitions.complete(copies) } catch { troubled(error) }
    }
    do throws(SpoolError) {
      try settling.write { settlement throws(SpoolError) in try transitions.write(settlement) }
    } catch {
      troubled(error)
    }
    let now = effects.now()
    do throws(SpoolError) {
      try settling.note { settlement throws(SpoolError) in
        try transitions.note(settlement, at: now, by: operators[settlement.id] ?? "daemon")
      }
    } catch {
      troubled(error)
    }
  }

  /// Step four: what is durable becomes visible.
  func publish(_ settlements: [Settlement]) {
    let (told, silent) = raiseNotices(for: settlements)
    if !told.isEmpty {
      settling.wait(forNoticesOf: told)
      sendNotices()
    }
    makeVisible(silent)
  }

  /// Their renames.
  func makeVisible(_ settlements: [Settlement]) {
    for settlement in settlements {
      guard !isAdrift else {
        settling.putBack(unpublished: settlement)
        continue
      }
      do throws(SpoolError) {
        guard try transitions.publish(settlement) else {
          // A twin took its place in new/. It moves away first; the rename is repeated with the next turn.
          let now = effects.now()
          if try !transitions.moveDirectoryAside(settlement.id, at: now) { try settleTwin(settlement.id, now: now) }
          settling.putBack(unpublished: settlement)
          turnSoon()
          continue
        }
        settled(settlement)
      } catch {
        settling.putBack(unpublished: settlement)
        troubled(error)
      }
    }
  }

  /// The committer made their renames.
  func becameVisible(_ settlements: [Settlement]) {
    for settlement in settlements { settled(settlement) }
    // Somebody wants to be told since a moment ago.
    if hasListeners, !settlements.isEmpty {
      _ = raiseNotices(for: settlements)
      sendNotices()
    }
  }

  /// Whoever asks for this job or brings one of its id may have seen an end that the committer made visible and has not told
  /// us of yet.
  func catchUp(_ id: String) throws(SpoolError) {
    guard occupied[id] != nil, settling.isMoving(id), try !spool.exists(id, in: .cur) else { return }
    if let settlement = settling.takeMoved(id) { becameVisible([settlement]) }
  }

  /// The file is where it belongs.
  private func settled(_ settlement: Settlement) {
    let id = settlement.id
    occupied[id] = nil
    operators[id] = nil
    status.touch()
    if let harm = settlement.harm {
      logger.warning(
        "the file of \(id) in cur/ was \(harm) while it ran, not by the daemon; its end stands as it was all the same",
        metadata: ["job": "\(id)"])
    }
    firingSettled(settlement)
    if let held = holding.removeValue(forKey: id) {
      agenda.rested(held.type, serial: held.value)
      turnSoon()
    }
    switch settlement.transition {
    case .retry, .release, .unclaim:
      proven[id] = Digest.sha256(settlement.recordJSON)
      incoming.append(id)
      turnSoon()
    case .discardTwin, .refuseTwin:
      break
    default:
      tell(settlement)
      slowArrivals.forgetVerdict(on: id)
      notices.deadlines.remove(id)
      // It may have come to rest while it waited for others.
      flows.unblock(id)
      waitingFor[id] = nil
      condemned[id] = nil
      proven[id] = nil
      flowRested(id, batch: settlement.job?.batch, isDone: settlement.record.outcome == .done)
      turnSoon()
    }
    answerCancelled(id)
  }

  /// A job that died is a line in the system's log, by which its other lines there are found.
  private func tell(_ settlement: Settlement) {
    guard settlement.record.state == .dead else { return }
    let type = settlement.job?.type ?? ""
    let outcome = settlement.record.outcome?.rawValue ?? "dead"
    let reason = settlement.record.error.map { ": \($0.message)" } ?? ""
    logger.notice(
      "\(settlement.id)\(type.isEmpty ? "" : " (\(type))") is dead, \(outcome)\(reason)",
      metadata: ["job": "\(settlement.id)", "type": "\(type)"])
  }
}

extension LogLine {
  /// Its level where it is one of ours; an unknown word is only information.
  fileprivate var loggerLevel: Logger.Level {
    level == "warn" ? .warning : Logger.Level(rawValue: level.lowercased()) ?? .info
  }
}

extension Attempt {
  /// What to say of an end about which the handler said nothing.
  func error(of end: AttemptEnd, reason: StopReason?) -> JobError {
    let limit = DurationText.format(job.timeout ?? handler.timeout)
    switch (reason, end.ending) {
    case (.timeout, _): return JobError(code: "timeout", message: "it ran longer than its timeout of \(limit)")
    case (.stalled, _):
      let silence = handler.stalledAfter.map(DurationText.format) ?? "stalled_after"
      return JobError(code: "stalled", message: "it gave no sign of life for \(silence)")
    case (.cancelled, _):
      return JobError(code: "cancelled", message: "cancelled by \(cancelledBy.isEmpty ? "an operator" : cancelledBy)")
    case (_, .exited(let code)): return JobError(code: "exit_\(code)", message: "the handler exited with \(code)")
    case (_, .signalled(let signal)):
      return JobError(code: "signal_\(signal)", message: "the handler was ended by signal \(signal)")
    case (_, .crashed): return JobError(code: "crashed", message: "the daemon went down while the handler ran")
    }
  }
}
