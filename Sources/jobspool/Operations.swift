/// Carries out an operator's verbs: a running daemon is asked through `ctl/`; while none runs the command takes the lock,
/// acts as the spool's owner and writes the audit log itself.
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import JobSubmission
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Operations {
  let reader: SpoolReader

  /// What became of one job.
  struct Outcome {
    var job: String
    /// nil: gone, or failed.
    var state: JobState?
    var failure: (code: SpoolError.Code, message: String)?
  }

  /// How long the daemon may take to answer, and another command to let go of the lock.
  static let patience = Duration.seconds(10)
  /// Jobs in one request: an answer then comes well within `patience`.
  private static let requestSize = 500

  func perform(_ verb: OperatorVerb, _ ids: [String]) throws -> [Outcome] {
    guard !ids.isEmpty else { return [] }
    let clock = ContinuousClock()
    let deadline = clock.now + Operations.patience
    while true {
      if mustAsk { return try ask(verb, ids) }
      do throws(SpoolError) {
        return try act { transitions, now, by throws(SpoolError) in
          try Operations.perform(verb, ids, transitions, now, by, reader.configuration?.settings.maxJobBytes)
        }
      } catch {
        // Another command, or a daemon that has not said its name yet.
        guard error.code == .locked, clock.now < deadline else { throw error }
        usleep(20_000)
      }
    }
  }

  /// Another text for a job that waits, is held or is dead.
  func edit(_ id: String, _ text: [UInt8]) throws -> Outcome {
    let limit = reader.configuration?.settings.maxJobBytes ?? DaemonSettings().maxJobBytes
    // Said here already: what is no text cannot even be asked for.
    _ = try Operator.checked(text, id: id, limit: limit)
    let clock = ContinuousClock()
    let deadline = clock.now + Operations.patience
    while true {
      if mustAsk {
        var writer = JSONWriter(reserving: text.count + 256)
        writer.beginObject()
        writer.key("do")
        writer.string("edit")
        writer.key("job")
        writer.string(id)
        writer.key("text")
        writer.string(String(decoding: text, as: UTF8.self))
        writer.endObject()
        let answer = try Control(reader.spool).ask(writer.bytes, at: .current, timeout: Operations.patience)
        return try Operations.outcomes(answer).first ?? Outcome(job: id)
      }
      do throws(SpoolError) {
        return try act { transitions, now, by throws(SpoolError) in
          let performer = Operator(transitions: transitions, maxJobBytes: limit, now: now, by: by)
          return Outcome(job: id, state: try performer.edit(id, text))
        }
      } catch {
        guard error.code == .locked, clock.now < deadline else { throw error }
        usleep(20_000)
      }
    }
  }

  /// A daemon runs; or this user may not know, and could not act by himself anyway.
  private var mustAsk: Bool {
    SpoolLock.holder(reader.spool)?.program == "jobspoold" || SpoolLock.isHeld(reader.spool) == nil
  }

  // MARK: Without a daemon

  private static func perform(
    _ verb: OperatorVerb, _ ids: [String], _ transitions: Transitions, _ now: WallTime, _ by: String, _ limit: Int?
  ) throws(SpoolError) -> [Outcome] {
    let performer = Operator(
      transitions: transitions, maxJobBytes: limit ?? DaemonSettings().maxJobBytes, now: now, by: by)
    var outcomes: [Outcome] = []
    for id in ids {
      var outcome = Outcome(job: id)
      do throws(SpoolError) { outcome.state = try performer.perform(verb, id) } catch {
        outcome.failure = (error.code, error.description)
        if verb == .cancel, error.code == .wrongState, (try? transitions.spool.exists(id, in: .cur)) == true {
          outcome.failure = (
            .needsDaemon, "\(id) was running when the daemon went down: start jobspoold, then cancel it"
          )
        }
      }
      outcomes.append(outcome)
    }
    try transitions.commitMoves()
    return outcomes
  }

  /// What this machine is called in the log.
  var node: String { reader.configuration?.settings.node ?? Operations.hostName }

  /// Takes the lock and hands out what is needed to act. Throws `locked` while somebody else has it.
  func act<Answer>(
    _ body: (Transitions, WallTime, String) throws(SpoolError) -> Answer
  ) throws(SpoolError) -> Answer {
    let by = Operations.asker
    try becomeOwner()
    let lock = try SpoolLock(reader.spool, node: node, program: "jobspool")
    defer { withExtendedLifetime(lock) {} }
    let now = WallTime.current
    let audit = try AuditLog(reader.spool, node: node, now: now)
    let transitions = Transitions(reader.spool, audit: audit)
    let sealer = Sealer(reader.configuration ?? Configuration())
    transitions.sealing = { (job) throws(SpoolError) in
      do throws(SecretProblem) {
        guard let sealed = try sealer.sealed(claimed: job) else { return nil }
        return Array(sealed.payloadBytes)
      } catch {
        throw SpoolError(.system, error.message)
      }
    }
    return try body(transitions, now, by)
  }

  /// Files made here must be the daemon's own: root becomes the spool's owner, anybody else is refused.
  func becomeOwner() throws(SpoolError) {
    let owner: FileStatus
    do throws(Errno) { owner = try reader.spool.syscalls.status(reader.spool.descriptor(JobState.cur)) } catch {
      throw SpoolError(doing: "looking at the folder", path: "\(reader.spool.path)/cur", error)
    }
    guard geteuid() != owner.uid else { return }
    let name = Operations.userName(owner.uid)
    guard geteuid() == 0 else {
      throw SpoolError(
        .denied,
        "no daemon runs on \(reader.spool.path), and only its owner \(name) or root may act on it then; use "
          + "'sudo -u \(name)' or start jobspoold")
    }
    let group = getpwuid(owner.uid).map { $0.pointee.pw_gid } ?? gid_t(owner.uid)
    guard setgroups(0, nil) == 0, setgid(group) == 0, setuid(owner.uid) == 0 else {
      throw SpoolError(doing: "becoming \(name)", path: reader.spool.path, .current)
    }
  }

  /// Who asks, as the audit log says it.
  static var asker: String {
    let uid = getuid()
    return "\(userName(uid)) (uid \(uid))"
  }

  static func userName(_ uid: uid_t) -> String {
    getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? "\(uid)"
  }

  static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return name.isEmpty ? "localhost" : name
  }

  // MARK: With a daemon

  private func ask(_ verb: OperatorVerb, _ ids: [String]) throws -> [Outcome] {
    var outcomes: [Outcome] = []
    var rest = ids[...]
    while !rest.isEmpty {
      let some = rest.prefix(Operations.requestSize)
      rest = rest.dropFirst(some.count)
      var writer = JSONWriter()
      writer.beginObject()
      writer.key("do")
      writer.string(verb.rawValue)
      writer.key("jobs")
      writer.beginArray()
      for id in some { writer.string(id) }
      writer.endArray()
      writer.endObject()
      let answer = try Control(reader.spool).ask(writer.bytes, at: .current, timeout: Operations.patience)
      outcomes += try Operations.outcomes(answer)
    }
    return outcomes
  }

  private static func outcomes(_ answer: JSONValue) throws -> [Outcome] {
    guard answer["ok"]?.bool == true, let results = answer["results"]?.array else {
      throw SpoolError(.named(answer["code"]?.string ?? ""), answer["message"]?.string ?? "the daemon refused")
    }
    return results.map { result in
      var outcome = Outcome(job: result["job"]?.string ?? "")
      if result["ok"]?.bool == true {
        outcome.state = result["state"]?.string.flatMap(JobState.init(rawValue:))
      } else {
        outcome.failure = (.named(result["code"]?.string ?? ""), result["message"]?.string ?? "the daemon refused")
      }
      return outcome
    }
  }
}
