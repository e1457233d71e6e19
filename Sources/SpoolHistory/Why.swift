/// The one reason why a job is not running, the way a person would say it: what belongs to the job itself first (its end,
/// its time, its parents), then the daemon, then the limits in the order in which the daemon asks them.
package import JobModel
internal import SpoolConfig
package import SpoolStore

package struct Reason: Sendable, Equatable {
  /// Stable, for programs.
  package enum Code: String, Sendable, CaseIterable {
    case done, dead, running, held, scheduled, retry, blocked, expired
    case beingJudged = "being_judged"
    case noFile = "no_file"
    case noDaemon = "no_daemon"
    case orphaned, draining
    case lowDisk = "low_disk"
    case paused
    case unknownType = "unknown_type"
    case handlerBroken = "handler_broken"
    case typePaused = "type_paused"
    case resting
    case typeLimit = "type_limit"
    case poolLimit = "pool_limit"
    case maxJobs = "max_jobs"
    case serial, rate, next
  }

  package var code: Code
  package var text: String
  /// The job that stands in the way.
  package var job: String?
  /// When it ends by itself.
  package var until: WallTime?

  init(_ code: Code, _ text: String, job: String? = nil, until: WallTime? = nil) {
    self.code = code
    self.text = text
    self.job = job
    self.until = until
  }

  package func write(to writer: inout JSONWriter, id: String) {
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("reason")
    writer.string(code.rawValue)
    writer.key("text")
    writer.string(text)
    if let job {
      writer.key("job")
      writer.string(job)
    }
    if let until {
      writer.key("until")
      writer.time(until)
    }
    writer.endObject()
  }
}

extension SpoolReader {
  /// Throws `noSuchJob` when no folder has it.
  package func why(_ id: String) throws(SpoolError) -> Reason {
    guard let file = try file(id) else { throw SpoolError(.noSuchJob, "no job \(id) in \(spool.path)") }
    switch file.state {
    case .done: return Reason(.done, "it is done\(ended(file)); the result is in the file")
    case .dead:
      let outcome = file.record?.outcome?.rawValue ?? "dead"
      let error = file.record?.error.map { ": \($0.message)" } ?? ""
      return Reason(.dead, "it is dead (\(outcome))\(ended(file))\(error); 'jobspool requeue \(id)' runs it again")
    case .hold: return Reason(.held, "it is held; 'jobspool release \(id)' lets it go")
    case .cur: return running(file)
    case .new: return try waiting(file)
    }
  }

  private func ended(_ file: JobFile) -> String {
    file.record?.finishedAt.map { " since \($0.rfc3339)" } ?? ""
  }

  private func running(_ file: JobFile) -> Reason {
    guard hasDaemon else {
      return Reason(
        .orphaned, "it was running when the daemon went down; start jobspoold, which takes it up (as a new attempt)")
    }
    let running = status?.running.first { $0.id == file.id }
    let progress = running?.progress.percent.map { ", at \(Int($0)) %" } ?? ""
    let stage = running?.progress.stage.map { ", stage \($0)" } ?? ""
    let since = (running?.startedAt ?? file.changed).rfc3339
    return Reason(.running, "it is running: attempt \(running?.attempt ?? 1), since \(since)\(progress)\(stage)")
  }

  private func waiting(_ file: JobFile) throws(SpoolError) -> Reason {
    let id = file.id
    for state in [JobState.cur, .done, .hold] where try spool.exists(id, in: state) {
      return Reason(
        .beingJudged,
        "another job of this id is in \(state.rawValue): the daemon discards this one when it is the same, "
          + "or buries it as a duplicate\(unlessDaemon)", job: id)
    }
    guard let job = file.job else {
      let problem = if case .failure(let problem) = file.content { problem.description } else { "" }
      return Reason(.beingJudged, "it is no valid job and will be rejected: \(problem)\(unlessDaemon)")
    }
    if let expiry = job.expiry, expiry < now {
      return Reason(.expired, "it expired at \(expiry.rfc3339) and will be buried\(unlessDaemon)")
    }
    if configuration != nil, !isKnown(job.type) {
      return Reason(
        .unknownType,
        "there is no handler for the type \(job.type) in \(configuration?.folder ?? "")/handlers: "
          + "it will be rejected\(unlessDaemon)")
    }
    let due = job.due(firstSeen: file.changed, now: now)
    if due > now {
      let attempt = file.record?.attempt ?? 0
      if attempt > 0 {
        let error = file.record?.error.map { " (\($0.message))" } ?? ""
        return Reason(
          .retry,
          "attempt \(attempt) failed\(error); the next is due at \(due.rfc3339), in \(wait(due))\(unlessDaemon)",
          until: due)
      }
      return Reason(.scheduled, "it is scheduled for \(due.rfc3339), in \(wait(due))\(unlessDaemon)", until: due)
    }
    if let blocker = try Parents(self).blocker(of: job, id: id) { return blocked(blocker) }
    guard hasDaemon else {
      return Reason(.noDaemon, "no daemon runs on \(spool.path); start it with 'jobspoold --spool \(spool.path)'")
    }
    return limited(job, id)
  }

  private var unlessDaemon: String { hasDaemon ? "" : " (no daemon runs now)" }

  private func wait(_ due: WallTime) -> String {
    let seconds = max((due - now).components.seconds, 1)
    // Whole minutes are precise enough for what is minutes away, and so on.
    let unit: Int64 = seconds < 120 ? 1 : seconds < 2 * 3600 ? 60 : seconds < 2 * 86_400 ? 3600 : 86_400
    return DurationText.format(.seconds((seconds + unit / 2) / unit * unit))
  }

  private func isKnown(_ type: String) -> Bool {
    JobType.isReserved(type) || handler(type) != nil || configuration?.brokenHandlers[type] != nil
  }

  private func blocked(_ blocker: Parents.Blocker) -> Reason {
    switch blocker {
    case .job(let parent, .open(let state)):
      Reason(.blocked, "it waits for the job \(parent), which is in \(state.rawValue)", job: parent)
    case .job(let parent, .dead):
      Reason(.blocked, "the job \(parent) it waits for is dead, so it will be buried\(unlessDaemon)", job: parent)
    case .job(let parent, _):
      Reason(
        .blocked, "it waits for the job \(parent), which nobody has submitted yet (7 days are allowed for that)",
        job: parent)
    case .batch(let name, let member?):
      Reason(.blocked, "it waits for the batch \(name), of which \(member) has not ended", job: member)
    case .batch(let name, nil):
      Reason(.blocked, "it waits for the batch \(name), which has no jobs yet")
    }
  }

  // MARK: Limits

  private func limited(_ job: Job, _ id: String) -> Reason {
    let type = status?.types[job.type]
    switch status?.mode {
    case .draining?: return Reason(.draining, "the daemon is shutting down and starts nothing more")
    case .lowDisk?:
      return Reason(.lowDisk, "the disk has less than min_free left; free some space and work resumes by itself")
    default: break
    }
    if status?.paused == true || spool.hasRoot("ctl/pause") {
      return Reason(.paused, "the queue is paused; 'jobspool resume' lets it go on")
    }
    if let broken = type?.broken ?? configuration?.brokenHandlers[job.type]?.first?.description {
      return Reason(.handlerBroken, "the handler of \(job.type) cannot run: \(broken)")
    }
    if type?.paused == true || spool.hasRoot("ctl/pause.\(job.type)") {
      return Reason(.typePaused, "the type \(job.type) is paused; 'jobspool resume \(job.type)' lets it go on")
    }
    let running = status?.running.filter { $0.type == job.type } ?? []
    if let circuit = type?.circuit { return resting(job.type, circuit, running) }
    if let limit = type?.concurrency ?? handler(job.type)?.concurrency, let count = type?.running, count >= limit {
      let first = running.first?.id
      return Reason(
        .typeLimit, "its type \(job.type) is at its limit: \(count) of \(limit) running\(naming(first, count))",
        job: first)
    }
    if let reason = poolLimit(job) { return reason }
    if let limit = status?.maxJobs, let count = status?.runningCount, count >= limit {
      let first = status?.running.first?.id
      return Reason(.maxJobs, "max_jobs is reached: \(count) of \(limit) running\(naming(first, count))", job: first)
    }
    if let reason = serial(job, running) { return reason }
    if let reason = rated(job) { return reason }
    return Reason(.next, "it is ready and is about to start")
  }

  private func resting(
    _ type: String, _ circuit: DaemonStatus.Circuit, _ running: [DaemonStatus.Running]
  ) -> Reason {
    let failed = "its type \(type) failed \(circuit.failures) times in a row and rests"
    guard let until = circuit.until else {
      let tried = running.first?.id
      return Reason(.resting, "\(failed); \(tried ?? "one job") is being tried, and decides", job: tried)
    }
    return Reason(.resting, "\(failed); one job is tried at \(until.rfc3339)", until: until)
  }

  private func rated(_ job: Job) -> Reason? {
    guard let limit = handler(job.type)?.rate, limit.over == .wait,
      case .refused(let until) = rateStanding(type: job.type, key: limit.key(of: job))
    else { return nil }
    let whose = rateValue(of: job).map { " for \($0)" } ?? ""
    return Reason(
      .rate,
      "the rate of \(job.type) is reached: \(limit.rate.words)\(whose); the next start is at \(until.rfc3339), in "
        + wait(until), until: until)
  }

  private func naming(_ id: String?, _ count: Int) -> String {
    id.map { count == 1 ? ", \($0)" : ", among them \($0)" } ?? ""
  }

  private func poolLimit(_ job: Job) -> Reason? {
    guard let pool = handler(job.type)?.pool, let limit = configuration?.settings.pools[pool], let status else {
      return nil
    }
    let members = (configuration?.handlers.values.filter { $0.pool == pool } ?? []).map(\.type)
    let count = members.reduce(0) { $0 + (status.types[$1]?.running ?? 0) }
    guard count >= limit else { return nil }
    let first = status.running.first { members.contains($0.type) }?.id
    return Reason(
      .poolLimit, "its pool \(pool) is at its limit: \(count) of \(limit) running\(naming(first, count))", job: first)
  }

  private func serial(_ job: Job, _ running: [DaemonStatus.Running]) -> Reason? {
    guard let text = handler(job.type)?.serialBy, let pointer = JSONPointer(text) else { return nil }
    func value(_ job: Job) -> [UInt8] {
      pointer.places(in: job.bytes).first.map { Array(job.bytes[$0]) } ?? Array("null".utf8)
    }
    let own = value(job)
    for other in running {
      guard let theirs = try? file(other.id, in: .cur)?.job, value(theirs) == own else { continue }
      return Reason(
        .serial, "one job per \(text) may run at once, and \(other.id) has the same value", job: other.id)
    }
    return nil
  }
}
