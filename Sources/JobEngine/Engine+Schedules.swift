/// Schedules: makes the jobs whose time has come, and answers for every tick exactly once.
///
///     look       which firings are due, by the clock and by what has been dealt with (`ScheduleRule`)
///     submit     the job of each, durably, as any producer does; its id is the tick's, so it exists once or not at all
///     note       `schedule_fired`, `schedule_skipped` or `schedule_missed`
///
///     crash before the submission    the tick is due at the next start
///     crash after it                 the id is found taken, and only the line is written
///
/// The loop is woken for the next firing, and once a minute to see whether the clock was set; without schedules never.
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  // MARK: Configuration

  /// What the log knows of schedules; before anything is written to it.
  func recallSchedules() throws(SpoolError) {
    let names = Set(settings.schedules.keys).union(settings.brokenSchedules.keys)
    schedules.traces = try ScheduleTrail.traces(of: names, in: spool)
  }

  /// Takes over the schedules of the configuration. One whose expression changed begins anew: its past says nothing about
  /// ticks it did not have.
  func configureSchedules(_ now: WallTime) {
    for (name, settings) in settings.schedules {
      var state: ScheduleState
      if let known = schedules.states[name] {
        guard known.settings != settings else { continue }
        let isSame = known.cron == ScheduleTrace.cron(settings)
        state = ScheduleState(settings, mark: isSame ? known.mark : now)
        state.isOn = isSame ? known.isOn : nil
        (state.open, state.job, state.last, state.result) = (known.open, known.job, known.last, known.result)
      } else if let trace = schedules.traces.removeValue(forKey: name) {
        let isSame = trace.cron == ScheduleTrace.cron(settings)
        state = ScheduleState(settings, mark: isSame ? trace.mark : now)
        state.isOn = isSame ? trace.isOn : nil
        state.delay = .down
        (state.job, state.last) = (trace.job, trace.last)
        state.result = trace.job.flatMap(outcome)
      } else {
        state = ScheduleState(settings, mark: now)
      }
      schedules.states[name] = state
    }
    for (name, state) in schedules.states where settings.schedules[name] == nil {
      schedules.states[name] = nil
      if settings.brokenSchedules[name] != nil { schedules.traces[name] = state.trace }
    }
    schedules.traces = schedules.traces.filter { settings.brokenSchedules[$0.key] != nil }
    switchSchedules(now)
  }

  func raiseBrokenSchedules() {
    for name in settings.schedules.keys where settings.brokenSchedules[name] == nil { calm("schedule:\(name)") }
    for (name, reason) in settings.brokenSchedules.sorted(by: { $0.key < $1.key }) {
      let kept = settings.schedules[name] == nil ? "it does not fire" : "it goes on as it was"
      raise("schedule:\(name)", "schedules/\(name).toml does not load, so \(kept): \(reason)")
    }
  }

  /// Firings of an earlier run that wait still; those that ran have been put back by recovery.
  func adoptFirings(_ ids: Set<String>) {
    for id in ids { noteFiring(id) }
  }

  /// A job that may be a firing is there to run.
  func noteFiring(_ id: String) {
    if let name = schedules.owner(of: id) { schedules.states[name]?.open.insert(id) }
  }

  private func outcome(of id: String) -> String? {
    for state in [JobState.done, .dead] {
      if let bytes = try? spool.read(id, in: state, limit: 64 << 20), let job = try? JobScanner.scan(bytes) {
        return job.record?.outcome?.rawValue
      }
    }
    return nil
  }

  // MARK: Switches

  /// The state files of `ctl/` as they are now.
  func applyScheduleSwitches(_ names: [String]) {
    let wasPaused = schedules.isPaused
    schedules.isPaused = names.contains("pause-schedules")
    schedules.disabled = Set(names.filter { $0.hasPrefix("disabled.") }.map { String($0.dropFirst(9)) })
    schedules.knowsSwitches = true
    if schedules.isPaused != wasPaused {
      noteSwitch(schedules.isPaused ? .paused : .resumed, type: nil, file: "pause-schedules")
      // What a pause held back is made up for by the rule of each schedule.
      for name in schedules.states.keys where wasPaused { schedules.states[name]?.delay = .paused }
    }
    switchSchedules(effects.now())
  }

  /// Enables and disables. What a schedule would have fired while it was off is nobody's loss.
  private func switchSchedules(_ now: WallTime) {
    guard schedules.knowsSwitches else { return }
    for (name, state) in schedules.states {
      let isOn = state.settings.enabled && !schedules.disabled.contains(name)
      guard state.isOn != isOn else { continue }
      schedules.states[name]?.isOn = isOn
      schedules.states[name]?.deferredUntil = nil
      schedules.states[name]?.advance(to: now)
      let byFile = schedules.disabled.contains(name) ? switchOwners["disabled.\(name)"] : nil
      noteSchedule(isOn ? .scheduleEnabled : .scheduleDisabled, name, by: byFile ?? "operator") { writer in
        writer.key("cron")
        writer.string(state.cron)
      }
      turnSoon()
    }
    status.touch()
    schedules.plan()
  }

  // MARK: Looking

  /// Makes what is due. Called in every turn; mostly there is nothing to do.
  func fireSchedules() {
    guard schedules.due != nil, drain == .no else { return }
    let now = effects.now()
    guard schedules.isDue(now) else { return }
    guard !isLowOnDisk else {
      for (name, state) in schedules.states where state.due.map({ $0 <= now }) == true {
        schedules.states[name]?.delay = .disk
      }
      return
    }
    if let retryAt = schedules.retryAt, EventLoop.now < retryAt { return }
    schedules.retryAt = nil
    // In the order of their times, not of a hash table.
    let order = schedules.states.compactMap { name, state in state.due.map { (due: $0, name: name) } }
    for (_, name) in order.sorted(by: { ($0.due, $0.name) < ($1.due, $1.name) }) {
      guard var state = schedules.states[name] else { continue }
      look(name, &state, now)
      schedules.states[name] = state
    }
    schedules.plan()
  }

  private func look(_ name: String, _ state: inout ScheduleState, _ now: WallTime) {
    if now + .seconds(Limits.clockSetBackSeconds) < state.mark {
      logger.notice("the clock was set back to \(now.rfc3339), before the last tick of \(name); it goes by the new time")
      state.deferredUntil = nil
      state.advance(to: now)
    }
    guard let due = state.due, due <= now else { return }
    state.deferredUntil = nil
    let found = state.rule.due(after: state.mark, now: now)
    // With `one`, the firing that is made runs in their place: then they are a number in its line.
    let isMadeUp = state.rule.catchUp == .one && !found.fire.isEmpty
    if let missed = found.missed, !isMadeUp {
      noteMissed(name, state, found, missed)
      state.advance(to: missed.upperBound)
    }
    for (index, firing) in found.fire.enumerated() {
      if state.settings.overlap == .skip, let earlier = openFiring(&state) {
        // Whoever wants every firing made up for gets them one after the other.
        if index < found.late, state.rule.catchUp == .all {
          state.deferredUntil = now + .seconds(60)
          return
        }
        noteSkipped(name, state, firing, earlier)
      } else {
        do throws(SpoolError) {
          try fire(name, &state, firing, madeUpFor: isMadeUp && index == 0 ? found : nil, isLate: index < found.late)
        } catch {
          state.delay = error.code == .noSpace ? .disk : .late
          raise("schedule_missed:\(name)", "\(firing.tick.rfc3339) of the schedule \(name) is not made yet: \(error)")
          schedules.retryAt = EventLoop.now + .seconds(1)
          return
        }
      }
      state.advance(to: firing.tick)
    }
    state.delay = nil
  }

  /// One of its jobs that has not ended; it looks, because files move by other hands too.
  private func openFiring(_ state: inout ScheduleState) -> String? {
    for id in state.open.sorted() {
      if occupied[id] != nil { return id }
      guard let there = try? (spool.exists(id, in: .new) || spool.exists(id, in: .cur)) else { return id }
      if there { return id }
      state.open.remove(id)
    }
    return nil
  }

  // MARK: Firing

  private func fire(
    _ name: String, _ state: inout ScheduleState, _ firing: Firing, madeUpFor: DueFirings?, isLate: Bool
  ) throws(SpoolError) {
    let id = FiringID.tick(name, firing.tick)
    do throws(SpoolError) {
      try submit(id, state.settings)
    } catch {
      guard error.code == .exists else { throw error }
      // Made before a crash kept its line from the log; or somebody was here before us.
      let place = try spool.state(of: id)
      guard place == .new || place == .cur else {
        return noteSchedule(.scheduleSkipped, name, job: id, type: state.settings.type) { writer in
          write(firing.tick, state, to: &writer)
          writer.key("reason")
          writer.string("exists")
        }
      }
    }
    noteSchedule(.scheduleFired, name, job: id, type: state.settings.type) { writer in
      write(firing.tick, state, to: &writer)
      if isLate {
        writer.key("late")
        writer.bool(true)
        writer.key("reason")
        writer.string((state.delay ?? .late).rawValue)
      }
      if let madeUpFor, madeUpFor.missedCount > 0 {
        writer.key("made_up_for")
        writer.int(madeUpFor.missedCount)
      }
    }
    calm("schedule_missed:\(name)")
    made(id, &state, at: firing.tick)
  }

  /// A run that somebody asked for. Returns the id of its job.
  ///
  /// Throws `noSuchJob` when there is no such schedule, `wrongState` when one of its jobs has not ended and they may not
  /// overlap, and what a submission throws.
  func runSchedule(_ name: String, by who: String) throws(SpoolError) -> String {
    guard var state = schedules.states[name] else {
      let why = settings.brokenSchedules[name].map { "the schedule \(name) does not load: \($0)" }
      throw SpoolError(.noSuchJob, why ?? "there is no schedule \"\(name)\"")
    }
    defer { schedules.states[name] = state }
    if state.settings.overlap == .skip, let earlier = openFiring(&state) {
      throw SpoolError(
        .wrongState, "\(earlier) of the schedule \(name) has not ended, and its runs may not overlap; wait for it, or "
          + "cancel it")
    }
    var time = effects.now()
    var id = FiringID.run(name, time)
    while try spool.state(of: id) != nil {
      time = time + .milliseconds(1)
      id = FiringID.run(name, time)
    }
    try submit(id, state.settings)
    noteSchedule(.scheduleFired, name, job: id, type: state.settings.type, by: who) { _ in }
    made(id, &state, at: time)
    return id
  }

  /// The request `run-schedule`: each answer has the id of the job that was made, to follow it by.
  func runSchedules(_ names: [String], request: String, by who: String) -> ControlRequest {
    var done = ControlRequest(name: request)
    done.schedules = names
    for name in names {
      do throws(SpoolError) {
        done.results.append((try runSchedule(name, by: who), .success(.new)))
      } catch {
        done.results.append((name, .failure(error)))
      }
    }
    do throws(SpoolError) { try transitions.audit.commit() } catch { troubled(error) }
    return done
  }

  private func made(_ id: String, _ state: inout ScheduleState, at time: WallTime) {
    state.open.insert(id)
    state.job = id
    state.last = time
    incoming.append(id)
    status.touch()
    turnSoon()
  }

  private func submit(_ id: String, _ settings: ScheduleSettings) throws(SpoolError) {
    var writer = JSONWriter(reserving: settings.payload.count + 256)
    writer.beginObject()
    writer.key("type")
    writer.string(settings.type)
    writer.key("payload")
    writer.raw(settings.payload)
    writer.key("meta")
    writer.beginObject()
    writer.key("schedule")
    writer.string(settings.name)
    writer.endObject()
    writer.endObject()
    let submission = Intake.Submission(id: id, bytes: writer.bytes + [0x0A])
    try Intake(spool, minFree: self.settings.daemon.minFree).submit(submission)
  }

  // MARK: Ends

  /// A job has come to rest or back to `new/`.
  func firingSettled(_ settlement: Settlement) {
    let id = settlement.id
    guard let name = schedules.owner(of: id) else { return }
    switch settlement.transition {
    case .retry, .release, .unclaim: return
    default: break
    }
    schedules.states[name]?.open.remove(id)
    if schedules.states[name]?.job == id { schedules.states[name]?.result = settlement.record.outcome?.rawValue }
    if schedules.states[name]?.deferredUntil != nil {
      schedules.states[name]?.deferredUntil = nil
      schedules.plan()
      turnSoon()
    }
    let outcome = settlement.record.outcome
    if FiringID.isTick(id), outcome == .rejected || outcome == .expired {
      let why = settlement.record.error?.message ?? "rejected"
      raise("schedule_missed:\(name)", "\(id) of the schedule \(name) did not run: \(why)")
      noteSchedule(.scheduleMissed, name, job: id, type: nil) { writer in
        writer.key("reason")
        writer.string(outcome?.rawValue ?? "rejected")
      }
    }
  }

  // MARK: Lines

  private func noteMissed(
    _ name: String, _ state: ScheduleState, _ found: DueFirings, _ missed: ClosedRange<WallTime>
  ) {
    let reason = state.delay ?? .late
    let words =
      switch reason {
      case .down: "the daemon was not running"
      case .paused: "schedules were paused"
      case .disk: "the disk was full"
      case .late: "the machine slept or was too busy, or its clock was set"
      }
    let count = "\(found.missedMore ? "more than " : "")\(found.missedCount)"
    raise(
      "schedule_missed:\(name)",
      "the schedule \(name) did not run for \(missed.upperBound.rfc3339): \(words) (\(count) missed since "
        + "\(missed.lowerBound.rfc3339)); 'jobspool schedules run \(name)' runs it now")
    noteSchedule(
      .scheduleMissed, name, job: FiringID.tick(name, missed.upperBound), type: state.settings.type
    ) { writer in
      write(missed.upperBound, state, to: &writer)
      writer.key("first")
      writer.time(missed.lowerBound)
      writer.key("missed")
      writer.int(found.missedCount)
      if found.missedMore {
        writer.key("more")
        writer.bool(true)
      }
      writer.key("reason")
      writer.string(reason.rawValue)
    }
  }

  private func noteSkipped(_ name: String, _ state: ScheduleState, _ firing: Firing, _ earlier: String) {
    logger.notice("\(FiringID.tick(name, firing.tick)) is skipped: \(earlier) has not ended")
    noteSchedule(
      .scheduleSkipped, name, job: FiringID.tick(name, firing.tick), type: state.settings.type
    ) { writer in
      write(firing.tick, state, to: &writer)
      writer.key("reason")
      writer.string("overlap")
      writer.key("earlier")
      writer.string(earlier)
    }
  }

  private func write(_ tick: WallTime, _ state: ScheduleState, to writer: inout JSONWriter) {
    writer.key("tick")
    writer.time(tick)
    writer.key("cron")
    writer.string(state.cron)
  }

  private func noteSchedule(
    _ event: AuditEvent, _ name: String, job: String? = nil, type: String? = nil, by who: String = "daemon",
    _ fields: (inout JSONWriter) -> Void
  ) {
    status.touch()
    do throws(SpoolError) {
      try transitions.audit.append(event, at: effects.now(), job: job, type: type, by: who) { writer in
        writer.key("schedule")
        writer.string(name)
        fields(&writer)
      }
    } catch {
      troubled(error)
    }
  }

  // MARK: Time

  /// Sets the timer for the next firing; nothing is set while there is none to come.
  func scheduleFirings() {
    if let timer = firingTimer { loop.cancel(timer) }
    firingTimer = nil
    guard drain == .no, !schedules.isPaused, let due = schedules.due else { return }
    var wait = max(.milliseconds(1), min(due - effects.now() + .milliseconds(1), .seconds(60)))
    if isLowOnDisk || schedules.retryAt != nil { wait = max(wait, .seconds(1)) }
    firingTimer = loop.after(wait) {}
  }

  /// `"schedules"` of status.json.
  func writeSchedules(to writer: inout JSONWriter) {
    writer.key("schedules_paused")
    writer.bool(schedules.isPaused)
    writer.key("schedules")
    writer.beginObject()
    for (name, state) in schedules.states.sorted(by: { $0.key < $1.key }) {
      writer.key(escaping: name)
      writer.beginObject()
      writer.key("enabled")
      writer.bool(state.isOn ?? state.settings.enabled)
      if state.isOn == true, let next = state.next {
        writer.key("next")
        writer.time(next.start)
      }
      if let last = state.last {
        writer.key("last")
        writer.time(last)
      }
      if let job = state.job {
        writer.key("job")
        writer.string(job)
      }
      if let result = state.result {
        writer.key("last_result")
        writer.string(result)
      }
      writer.key("running")
      writer.bool(state.open.contains { running[$0] != nil })
      writer.endObject()
    }
    writer.endObject()
  }
}
