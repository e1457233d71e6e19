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
    for code in status.alerts.keys {
      let words = code.split(separator: ":", maxSplits: 1).map(String.init)
      guard words.count == 2, settings.brokenSchedules[words[1]] == nil else { continue }
      let isGone = words[0] == "schedule_missed" && settings.schedules[words[1]] == nil
      if words[0] == "schedule" || isGone { calm(code) }
    }
    for (name, reason) in settings.brokenSchedules.sorted(by: { $0.key < $1.key }) {
      let kept = settings.schedules[name] == nil ? "it does not fire" : "it goes on as it was"
      raise("schedule:\(name)", "schedules/\(name).toml does not load, so \(kept): \(reason)")
    }
  }

  /// Firings of an earlier run that wait still; those that ran have been put back by recovery.
  func adoptFirings() throws(SpoolError) {
    guard !schedules.states.isEmpty else { return }
    let folder = try FolderScan(.new, of: spool)
    let dot = UInt8(ascii: ".")
    while try folder.next({ name, _ in
      // Nearly no name has a second dot.
      guard let id = JobID.fromFileName(name), id.contains(dot) else { return }
      noteFiring(String(decoding: id, as: UTF8.self))
    }) {}
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
      let file = "disabled.\(name)"
      let owner = schedules.disabled.contains(name) ? switchOwners[file] : nil
      let who = switchActors[file] ?? owner ?? (state.isOn == nil ? "daemon" : "operator")
      noteSchedule(isOn ? .scheduleEnabled : .scheduleDisabled, name, by: who) { writer in
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
    let names = order.sorted { ($0.due, $0.name) < ($1.due, $1.name) }.map(\.name)
    for name in names {
      do throws(SpoolError) { try catchUpFirings(of: name) } catch { troubled(error) }
    }
    let made = submitTogether(names, now)
    for name in names {
      guard var state = schedules.states[name] else { continue }
      look(name, &state, now, made)
      schedules.states[name] = state
    }
    schedules.plan()
  }

  /// Submits the next firing of each schedule that is due, with one sync of `new/` for all, since everything else waits for
  /// that. Returns the ids. Whatever is not among them is submitted by itself, which tells why it cannot be.
  private func submitTogether(_ names: [String], _ now: WallTime) -> Set<String> {
    var submissions: [Intake.Submission] = []
    for name in names {
      guard var state = schedules.states[name], !isSetBack(state, now), let due = state.due, due <= now,
        let firing = state.rule.due(after: state.mark, now: now).fire.first
      else { continue }
      let id = FiringID.tick(name, firing.tick)
      if state.settings.overlap == .skip, openFiring(&state, besides: id) != nil { continue }
      if let submission = try? submission(id, state.settings) { submissions.append(submission) }
    }
    guard submissions.count > 1 else { return [] }
    do throws(SpoolError) {
      // Not the file system: a syncfs waits for whatever anybody has to write to this disk, minutes of it perhaps.
      let results = try intake.submit(bulk: submissions, syncing: .eachFile)
      var made: Set<String> = []
      for (submission, result) in zip(submissions, results) {
        if case .success = result { made.insert(submission.id) }
      }
      return made
    } catch {
      troubled(error)
      return []
    }
  }

  private func isSetBack(_ state: ScheduleState, _ now: WallTime) -> Bool {
    now + .seconds(Limits.clockSetBackSeconds) < state.mark
  }

  /// - Parameter made: the firings whose job is in the spool already.
  private func look(_ name: String, _ state: inout ScheduleState, _ now: WallTime, _ made: Set<String>) {
    if isSetBack(state, now) {
      logger.notice("the clock was set back to \(now.rfc3339), before the last tick of \(name), which goes by that now")
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
      let id = FiringID.tick(name, firing.tick)
      if state.settings.overlap == .skip, !made.contains(id), let earlier = openFiring(&state, besides: id) {
        // Whoever wants every firing made up for gets them one after the other.
        if index < found.late, state.rule.catchUp == .all {
          state.deferredUntil = now + .seconds(60)
          return
        }
        noteSkipped(name, state, firing, earlier)
      } else {
        do throws(SpoolError) {
          let isThere = made.contains(id)
          if isThere ? true : try makeJob(of: name, state, firing) {
            let earlier = isMadeUp && index == 0 ? found : nil
            noteFired(name, &state, firing, madeUpFor: earlier, isLate: index < found.late)
          }
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

  /// An end that is visible to others counts, though the committer has not told us of it yet.
  func catchUpFirings(of name: String) throws(SpoolError) {
    for id in schedules.states[name]?.open ?? [] { try catchUp(id) }
  }

  /// One of its jobs that has not ended; it looks, because files move by other hands too. Not the firing itself, whose job
  /// may have been made before a crash.
  func openFiring(_ state: inout ScheduleState, besides own: String? = nil) -> String? {
    for id in state.open.sorted() where id != own {
      if occupied[id] != nil { return id }
      guard let there = try? (spool.exists(id, in: .new) || spool.exists(id, in: .cur)) else { return id }
      if there { return id }
      state.open.remove(id)
    }
    return nil
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
