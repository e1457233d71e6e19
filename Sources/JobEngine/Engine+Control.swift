/// Requests and switches in `ctl/`: files, so that they work over any file system and need no socket. Who asks is the
/// file's owner.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

/// A request that is being carried out; answered when the last of its jobs has come to rest.
struct ControlRequest {
  var name: String
  var results: [(id: String, result: Result<JobState?, SpoolError>)] = []
  /// Ids whose end is still on its way to the disk.
  var open: Set<String> = []
  /// For `run-schedule`: the schedule of each result.
  var schedules: [String] = []

  /// What was done is not durable: nobody may be told that it is.
  mutating func refuse(because error: SpoolError) {
    for index in results.indices {
      if case .success = results[index].result { results[index].result = .failure(error) }
    }
  }
}

extension Engine {
  // MARK: Switches

  /// Reads the state files; at the start, before anything is claimed.
  func readSwitches() { scanControl() }

  /// Looks at everything in `ctl/`, unless it is too soon to do that again: then later, of itself.
  func scanControl() {
    controlIsDue = false
    let began = EventLoop.now
    guard began >= controlQueue.nextScan else {
      guard !controlQueue.isScheduled else { return }
      controlQueue.isScheduled = true
      loop.after(controlQueue.nextScan - began) { [unowned self] in
        controlQueue.isScheduled = false
        controlIsDue = true
      }
      return
    }
    var switches: [String] = []
    var requests: [String] = []
    var stuck: Set<String> = []
    do throws(SpoolError) {
      try Scan.names(of: .ctl, in: spool) { name in
        if answered.contains(name) { stuck.insert(name) }
        if name.hasSuffix(".json"), !name.hasPrefix(".") {
          if !answered.contains(name) { requests.append(name) }
        } else if Engine.isSwitch(name) {
          switches.append(name)
        }
      }
    } catch {
      return troubled(error)
    }
    answered = stuck
    applySwitches(switches.filter { isAllowed(toSwitch: $0) })
    queue(requests, since: began)
    takeRequests()
  }

  /// The switches alone, after a request has turned one.
  func readSwitchesAgain() {
    var switches: [String] = []
    do throws(SpoolError) {
      try Scan.names(of: .ctl, in: spool) { name in if Engine.isSwitch(name) { switches.append(name) } }
    } catch {
      return troubled(error)
    }
    applySwitches(switches.filter { isAllowed(toSwitch: $0) })
  }

  static func isSwitch(_ name: String) -> Bool {
    name == "pause" || name == "pause-schedules" || name.hasPrefix("pause.") || name.hasPrefix("disabled.")
  }

  /// A switch by somebody who may not is removed, and the log says who tried.
  private func isAllowed(toSwitch name: String) -> Bool {
    guard let status = try? spool.syscalls.status(spool.descriptor(Spool.Folder.ctl), name) else { return false }
    // A second name may have been given to a file of an operator's by whoever may write here.
    if accounts.isOperator(status.uid), status.links == 1 || status.kind == .directory {
      switchOwners[name] = accounts.name(of: status.uid)
      return true
    }
    // A directory cannot be removed, and is not refused with every look.
    guard !answered.contains(name) else { return false }
    let who = accounts.name(of: status.uid)
    refuse(name, who, "only root, the daemon's user and the group jobspool-admin may pause")
    removeControl(name)
    return false
  }

  private func applySwitches(_ names: [String]) {
    let wasPaused = isPaused
    let before = pausedTypes
    isPaused = names.contains("pause")
    pausedTypes = Set(names.filter { $0.hasPrefix("pause.") }.map { String($0.dropFirst(6)) })
    if isPaused != wasPaused { noteSwitch(isPaused ? .paused : .resumed, type: nil, file: "pause") }
    for type in pausedTypes.subtracting(before).sorted() {
      agenda.pause(type, true)
      noteSwitch(.paused, type: type, file: "pause.\(type)")
    }
    for type in before.subtracting(pausedTypes).sorted() {
      agenda.pause(type, false)
      noteSwitch(.resumed, type: type, file: "pause.\(type)")
    }
    applyScheduleSwitches(names)
    updatePause()
  }

  func noteSwitch(_ event: AuditEvent, type: String?, file: String) {
    status.touch()
    turnSoon()
    // Who resumed is not known: the file is gone. Who paused owns it.
    let who = switchActors[file] ?? (event == .paused ? switchOwners[file] ?? "unknown" : "operator")
    do throws(SpoolError) {
      try transitions.audit.append(event, at: effects.now(), type: type, by: who) { writer in
        guard file == "pause-schedules" else { return }
        writer.key("what")
        writer.string("schedules")
      }
    } catch {
      troubled(error)
    }
  }

  // MARK: Requests

  func takeRequest(_ name: String) {
    guard !requests.contains(where: { $0.name == name }), !answered.contains(name) else { return }
    let bytes: [UInt8]
    let uid: UInt32
    do throws(Errno) {
      let fd = try spool.syscalls.open(
        spool.descriptor(Spool.Folder.ctl), name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, mode: 0)
      defer { spool.syscalls.close(fd) }
      let status = try spool.syscalls.status(fd)
      uid = status.uid
      // Anybody who may submit may ask; only an operator has reason to ask for very much at once.
      let limit = accounts.isOperator(uid) ? 16 : 1
      guard status.kind == .regular, status.links == 1, status.size <= limit << 20 else {
        return discard(name, accounts.name(of: uid), "no regular file of one name and at most \(limit) MiB")
      }
      bytes = try spool.syscalls.read(fd, count: status.size, offset: 0)
    } catch {
      switch error {
      case .noEntry: return
      // EAGAIN: its owner holds a lease on it (fcntl(2), F_SETLEASE).
      case Errno(ELOOP), .access, .permission, Errno(ENXIO), Errno(EAGAIN):
        return discard(name, "unknown", "cannot be read: \(error.message)")
      default:
        return troubled(SpoolError(doing: "reading the request", path: "\(spool.path)/ctl/\(name)", error))
      }
    }
    var who = "\(accounts.name(of: uid)) (uid \(uid))"
    do throws(JSONReader.Problem) {
      let request = try JSONReader.parse(bytes)
      // The web program says for whom it asks.
      if let subject = request["subject"]?.string, accounts.mayVouch(uid) { who = "\(subject) through \(who)" }
      carryOut(name, request, uid: uid, who: who)
    } catch {
      // Someone may still be writing it; then its end is another event.
      guard let status = try? spool.syscalls.status(spool.descriptor(Spool.Folder.ctl), name),
        effects.now().microseconds - status.modified > Int64(Limits.youngFileMilliseconds) * 1000
      else {
        loop.after(.milliseconds(Limits.youngFileMilliseconds + 50)) { [unowned self] in controlIsDue = true }
        return
      }
      answer(
        name, refusal: SpoolError(.system, "not JSON, at byte \(error.offset): \(error.message)"), code: "bad_request")
    }
  }

  private func carryOut(_ name: String, _ request: JSONValue, uid: UInt32, who: String) {
    let isOperator = accounts.isOperator(uid)
    let verb = request["do"]?.string ?? ""
    if verb == "reload" {
      guard isOperator else { return deny(name, who, "reload the configuration") }
      reloadConfiguration(by: who)
      if let alert = status.alerts["config"] {
        return answer(name, refusal: SpoolError(.system, alert.message), code: "configuration")
      }
      return answer(ControlRequest(name: name))
    }
    if verb == "edit" { return edit(name, request, isOperator: isOperator, who: who) }
    if verb == "run-schedule" {
      guard isOperator else { return deny(name, who, "run a schedule") }
      guard let names = request["jobs"]?.array, names.allSatisfy({ $0.string != nil }) else {
        return answer(name, refusal: SpoolError(.system, "\"jobs\": expected a list of schedules"), code: "bad_request")
      }
      return answer(runSchedules(names.compactMap(\.string), request: name, by: who))
    }
    if Engine.switchVerbs.contains(verb) {
      guard isOperator else { return deny(name, who, verb) }
      return turnSwitches(verb, name, request, who: who)
    }
    guard let known = OperatorVerb(rawValue: verb) else {
      let others = ["edit", "reload", "run-schedule"] + Engine.switchVerbs
      let expected = (OperatorVerb.allCases.map(\.rawValue) + others).joined(separator: ", ")
      return answer(
        name, refusal: SpoolError(.system, "\"do\": expected one of \(expected), found \"\(verb)\""),
        code: "bad_request")
    }
    guard let jobs = request["jobs"]?.array, jobs.allSatisfy({ $0.string != nil }) else {
      return answer(name, refusal: SpoolError(.system, "\"jobs\": expected a list of ids"), code: "bad_request")
    }
    let ids = jobs.compactMap(\.string)
    guard isOperator || ids.count <= Limits.idsAsked else {
      return answer(
        name, refusal: SpoolError(.system, "\"jobs\": \(Limits.idsAsked) ids are the most for who is no operator"),
        code: "bad_request")
    }
    var pending = ControlRequest(name: name)
    var refused = 0
    // Whoever names one job a thousand times has its file read once.
    var others: Set<String> = []
    if known == .requeue, isOperator { prove(ids.filter(JobID.isValid)) }
    for id in ids {
      guard JobID.isValid(id) else {
        pending.results.append(
          (id, .failure(SpoolError(.noSuchJob, "\"\(id)\" is no job id: expected \(JobID.expected)"))))
        continue
      }
      guard isOperator || (known == .cancel && !others.contains(id) && owns(id, uid)) else {
        others.insert(id)
        // One line names the first: whoever may write a request must not be able to fill the log with it.
        if refused == 0 { refuse(name, who, "\(verb) \(id): not an operator, and not the owner of the job") }
        refused += 1
        pending.results.append((id, .failure(SpoolError(.denied, "\(who) may not \(verb) \(id)"))))
        continue
      }
      do throws(SpoolError) {
        if let state = try perform(known, id, by: who, for: isOperator ? nil : uid) {
          pending.results.append((id, .success(state.state)))
        } else {
          pending.open.insert(id)
        }
      } catch {
        pending.results.append((id, .failure(error)))
      }
    }
    if refused > 1 { refuse(name, who, "\(verb) of \(refused - 1) more jobs, for the same reason") }
    if let unsafe = commitMoves() { pending.refuse(because: unsafe) }
    if pending.open.isEmpty { answer(pending) } else { requests.append(pending) }
    if let failure = transitions.audit.failure { giveUp(failure) }
    turnSoon()
  }

  /// Makes durable what an operator moved. Returns why it is not, for whoever asked: undone it is not either, and it is tried
  /// again until the disk takes it. Not as a full disk, after which one would ask again.
  func commitMoves() -> SpoolError? {
    do throws(SpoolError) {
      try transitions.commitMoves(closing: !isCommitting)
      return nil
    } catch {
      troubled(error)
      if transitions.audit.failure == nil, !movesAreDue {
        movesAreDue = true
        loop.after(.seconds(1)) { [unowned self] in
          movesAreDue = false
          _ = commitMoves()
        }
      }
      return SpoolError(
        .system, "it was done, but until the disk takes it a power cut may undo it: \(error)", errno: error.errno)
    }
  }

  /// `{"do":"edit","job":ID,"text":"…"}`: the new text of a job that waits, is held or is dead.
  private func edit(_ name: String, _ request: JSONValue, isOperator: Bool, who: String) {
    guard isOperator else { return deny(name, who, "edit jobs") }
    guard let id = request["job"]?.string, let text = request["text"]?.string else {
      return answer(
        name, refusal: SpoolError(.system, "an edit needs \"job\", an id, and \"text\", the new job"),
        code: "bad_request")
    }
    var done = ControlRequest(name: name)
    do throws(SpoolError) {
      guard JobID.isValid(id) else {
        throw SpoolError(.noSuchJob, "\"\(id)\" is no job id: expected \(JobID.expected)")
      }
      try catchUp(id)
      guard occupied[id] == nil else {
        throw SpoolError(.wrongState, "cannot edit \(id): it is running; cancel it first")
      }
      var work = Operator(
        transitions: transitions, maxJobBytes: settings.daemon.maxJobBytes, now: effects.now(), by: who)
      // Of a job that waits, the agenda knows what it was; the next look tells what it is.
      if try spool.exists(id, in: .new) {
        // One that came in a moment ago is announced as it was dropped.
        if !agenda.contains(id) { try look(at: id, now: effects.now()) }
        work.since = agenda.firstSeen(id)
        forget(id)
        incoming.append(id)
      }
      done.results.append((id, .success(try work.edit(id, Array(text.utf8)))))
      proven[id] = nil
    } catch {
      done.results.append((id, .failure(error)))
    }
    status.touch()
    turnSoon()
    answer(done)
  }

  private struct Rest { var state: JobState? }

  /// Does it at once, or begins it and returns nil: then `answerCancelled` tells when it has come to rest.
  ///
  /// - Parameter owner: who asks, when he may do this only with what is his. Where producers may write, the file may be
  ///   another than a moment ago.
  private func perform(
    _ verb: OperatorVerb, _ id: String, by who: String, for owner: UInt32?
  ) throws(SpoolError) -> Rest? {
    status.touch()
    try catchUp(id)
    if verb == .cancel {
      if let attempt = attempt(of: id) {
        attempt.isCancelled = true
        attempt.cancelledBy = who
        operators[id] = who
        if running[id] != nil { runner.stop(id, reason: .cancelled) }
        return nil
      }
      if occupied[id] == nil, try spool.exists(id, in: .new) {
        guard try !isTwin(id) else {
          throw SpoolError(
            .wrongState, "another file was dropped under the id \(id), which is taken; it is judged by itself")
        }
        return try cancelWaiting(id, by: who, for: owner)
      }
      if occupied[id] == nil, try spool.exists(id, in: .hold) {
        guard owner.map({ owns(id, $0, in: .hold) }) ?? true else {
          throw SpoolError(.denied, "\(who) may not cancel \(id)")
        }
        // By the way of all settles, which a full disk only delays.
        try transitions.unhold(id, type: nil, at: effects.now(), by: who)
        return try cancelWaiting(id, by: who, for: owner)
      }
    }
    var work = Operator(
      transitions: transitions, maxJobBytes: settings.daemon.maxJobBytes, now: effects.now(), by: who)
    work.since = agenda.firstSeen(id)
    let state = try work.perform(verb, id)
    switch verb {
    case .requeue, .release:
      if verb == .requeue { requeued.insert(id) }
      incoming.append(id)
    case .hold: forget(id)
    case .cancel, .purge:
      forget(id)
      held[id] = nil
    }
    return Rest(state: state)
  }

  private func cancelWaiting(_ id: String, by who: String, for owner: UInt32?) throws(SpoolError) -> Rest? {
    guard let claim = try transitions.claim(id, limit: settings.daemon.maxJobBytes) else {
      throw SpoolError(.noSuchJob, "\(id) is not waiting any more")
    }
    forget(id)
    occupied[id] = claim.sha256
    operators[id] = who
    if case .success(let job) = claim.content {
      let isForged: Bool
      do throws(SpoolError) { isForged = try self.isForged(id, job, by: claim.uid) } catch {
        // Not to be told just now: as refused, nothing of the record is believed.
        troubled(error)
        isForged = true
      }
      if isForged {
        rejectForged(claim, now: effects.now())
        return nil
      }
    }
    var record = JobRecord.taken(from: claim, submitter: submitter(claim.uid), node: node)
    if let owner, record.submittedBy?.uid != owner, case .success = claim.content {
      operators[id] = nil
      record.state = .new
      settling.add(Settlement(claim, .release, record))
      throw SpoolError(.denied, "\(who) may not cancel \(id)")
    }
    let error = JobError(code: "cancelled", message: "cancelled by \(who) before it ran")
    bury(claim, record, .cancelled, error, .cancel, now: effects.now())
    return nil
  }

  /// A job has come to rest; requests that waited for it may be answered.
  func answerCancelled(_ id: String) {
    for index in requests.indices.reversed() where requests[index].open.remove(id) != nil {
      requests[index].results.append((id, .success((try? spool.state(of: id)) ?? nil)))
      if requests[index].open.isEmpty { answer(requests.remove(at: index)) }
    }
  }
}
