/// One firing: its job, by tick or because somebody asked, what becomes of it, and the lines about it in the audit log. Which
/// firings are due is decided in `Engine+Schedules.swift`.
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  // MARK: Firing

  /// Puts the job of a tick into the spool. false: it ran before, or somebody else's job has its id; the log says so.
  ///
  /// Throws what a submission throws.
  func makeJob(of name: String, _ state: ScheduleState, _ firing: Firing) throws(SpoolError) -> Bool {
    let id = FiringID.tick(name, firing.tick)
    do throws(SpoolError) {
      try intake.submit(submission(id, state.settings))
    } catch {
      guard error.code == .exists else { throw error }
      // Made before a crash kept its line from the log; or somebody was here before us.
      let place = try spool.state(of: id)
      guard place == .new || place == .cur else {
        noteSchedule(.scheduleSkipped, name, job: id, type: state.settings.type) { writer in
          write(firing.tick, state, to: &writer)
          writer.key("reason")
          writer.string("exists")
        }
        return false
      }
    }
    return true
  }

  /// The job of a tick is in the spool.
  func noteFired(
    _ name: String, _ state: inout ScheduleState, _ firing: Firing, madeUpFor: DueFirings?, isLate: Bool
  ) {
    let id = FiringID.tick(name, firing.tick)
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
    try catchUpFirings(of: name)
    guard var state = schedules.states[name] else {
      let why = settings.brokenSchedules[name].map { "the schedule \(name) does not load: \($0)" }
      throw SpoolError(.noSuchJob, why ?? "there is no schedule \"\(name)\"")
    }
    defer { schedules.states[name] = state }
    if state.settings.overlap == .skip, let earlier = openFiring(&state) {
      throw SpoolError(
        .wrongState,
        "\(earlier) of the schedule \(name) has not ended, and its runs may not overlap; wait for it, or cancel it")
    }
    var time = effects.now()
    var id = FiringID.run(name, time)
    while try spool.state(of: id) != nil {
      time = time + .milliseconds(1)
      id = FiringID.run(name, time)
    }
    try intake.submit(submission(id, state.settings))
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
    // The jobs are durable; the lines follow as soon as the disk takes them.
    do throws(SpoolError) { try transitions.audit.commit(closing: !isCommitting) } catch { troubled(error) }
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

  var intake: Intake { Intake(spool, minFree: settings.daemon.minFree) }

  func submission(_ id: String, _ settings: ScheduleSettings) throws(SpoolError) -> Intake.Submission {
    let payload = try sealed(settings.payload, type: settings.type) ?? settings.payload
    var writer = JSONWriter(reserving: payload.count + 256)
    writer.beginObject()
    writer.key("type")
    writer.string(settings.type)
    writer.key("payload")
    writer.raw(payload)
    writer.key("meta")
    writer.beginObject()
    writer.key("schedule")
    writer.string(settings.name)
    writer.endObject()
    writer.endObject()
    return Intake.Submission(id: id, bytes: writer.bytes + [0x0A])
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

  func noteMissed(
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

  func noteSkipped(_ name: String, _ state: ScheduleState, _ firing: Firing, _ earlier: String) {
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

  func noteSchedule(
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
}
