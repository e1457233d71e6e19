/// What the daemon adds to a job's file: the value of its last key, `jobspool`. Written when the job leaves `cur/`, and
/// repeated in the audit line, so that either can complete the other.
package struct JobRecord: Sendable, Equatable {
  package struct Submitter: Sendable, Equatable {
    package var uid: UInt32
    package var user: String
    /// The token's subject, when the web program submitted for someone.
    package var subject: String?
    package init(uid: UInt32, user: String, subject: String? = nil) {
      self.uid = uid
      self.user = user
      self.subject = subject
    }
  }

  package struct Attempt: Sendable, Equatable {
    package var n: Int
    package var startedAt: WallTime
    package var endedAt: WallTime
    package var outcome: AttemptOutcome
    package var exit: Int32?
    package var signal: Int32?
    package var error: JobError?
    /// Largest resident set, bytes.
    package var peakMemory: Int?
    package var cpuTime: Duration?
    package init(n: Int, startedAt: WallTime, endedAt: WallTime, outcome: AttemptOutcome) {
      self.n = n
      self.startedAt = startedAt
      self.endedAt = endedAt
      self.outcome = outcome
    }
  }

  package struct Progress: Sendable, Equatable {
    package var percent: Double?
    package var stage: String?
    package var message: String?
    package init(percent: Double? = nil, stage: String? = nil, message: String? = nil) {
      self.percent = percent
      self.stage = stage
      self.message = message
    }
    package var isEmpty: Bool { percent == nil && stage == nil && message == nil }
  }

  package var id: String
  package var state: JobState
  package var outcome: JobOutcome?
  package var submittedAt: WallTime
  package var submittedBy: Submitter?
  /// Attempts used since it was submitted or last requeued.
  package var attempt = 0
  /// Every attempt still remembered, those before a requeue included.
  package var attempts: [Attempt] = []
  /// When it is due again; overrides the producer's `run_at` and `delay`.
  package var runAt: WallTime?
  /// The producer's `run_at`, `delay` and `expires_at` no longer count.
  package var spent = false
  package var progress: Progress?
  /// JSON text.
  package var result: [UInt8]?
  package var error: JobError?
  package var updatedAt: WallTime
  package var finishedAt: WallTime?
  /// When its last round began, if it was requeued: time limits count from here.
  package var requeuedAt: WallTime?
  package var node: String
  /// SHA-256 of what was dropped, in hexadecimal; tells a repetition from another job of the same name.
  package var sha256: String?
  /// For a refused twin: the id it was dropped under.
  package var twinOf: String?

  package init(id: String, state: JobState, submittedAt: WallTime, updatedAt: WallTime, node: String) {
    self.id = id
    self.state = state
    self.submittedAt = submittedAt
    self.updatedAt = updatedAt
    self.node = node
  }

  /// Adds a finished attempt and forgets the oldest beyond `Limits.attemptsKept`.
  package mutating func add(_ attempt: Attempt) {
    self.attempt = attempt.n
    attempts.append(attempt)
    if attempts.count > Limits.attemptsKept { attempts.removeFirst(attempts.count - Limits.attemptsKept) }
  }
}

extension JobRecord {
  /// A record that says done or dead, in a file that waits or runs: the job was requeued, by a command or by `mv`. Attempts
  /// count from 1 again, the producer's times are spent, the history stays.
  ///
  /// - Parameter time: when that was, as far as is known.
  package mutating func startOverIfEnded(at time: WallTime) {
    guard state == .done || state == .dead else { return }
    requeuedAt = max(time, finishedAt ?? submittedAt)
    state = .new
    outcome = nil
    attempt = 0
    spent = true
    runAt = nil
    error = nil
    result = nil
    progress = nil
    finishedAt = nil
  }

  package var json: [UInt8] {
    var writer = JSONWriter(reserving: 512 + (result?.count ?? 0))
    write(to: &writer)
    return writer.bytes
  }

  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("state")
    writer.string(state.rawValue)
    writeBeginning(to: &writer)
    if let requeuedAt {
      writer.key("requeued_at")
      writer.time(requeuedAt)
    }
    writer.key("attempt")
    writer.int(attempt)
    writer.key("attempts")
    writer.beginArray()
    for attempt in attempts { attempt.write(to: &writer) }
    writer.endArray()
    if let runAt {
      writer.key("run_at")
      writer.time(runAt)
    }
    if spent {
      writer.key("spent")
      writer.bool(true)
    }
    if let progress, !progress.isEmpty {
      writer.key("progress")
      progress.write(to: &writer)
    }
    if let result {
      writer.key("result")
      writer.raw(result)
    }
    if let error {
      writer.key("error")
      error.write(to: &writer)
    }
    writer.key("updated_at")
    writer.time(updatedAt)
    if let finishedAt {
      writer.key("finished_at")
      writer.time(finishedAt)
    }
    writer.key("node")
    writer.string(node)
    if let sha256 {
      writer.key("sha256")
      writer.string(sha256)
    }
    if let twinOf {
      writer.key("twin_of")
      writer.string(twinOf)
    }
    writer.endObject()
  }
}

extension JobRecord {
  private func writeBeginning(to writer: inout JSONWriter) {
    if let outcome {
      writer.key("outcome")
      writer.string(outcome.rawValue)
    }
    writer.key("submitted_at")
    writer.time(submittedAt)
    if let submittedBy {
      writer.key("submitted_by")
      writer.beginObject()
      writer.key("uid")
      writer.int(submittedBy.uid)
      writer.key("user")
      writer.string(submittedBy.user)
      if let subject = submittedBy.subject {
        writer.key("subject")
        writer.string(subject)
      }
      writer.endObject()
    }
  }

  /// What lists and statistics want of a record that is too large for its audit line; of a message its beginning.
  package func writeBrief(to writer: inout JSONWriter) {
    writer.beginObject()
    writeBeginning(to: &writer)
    if let runAt {
      writer.key("run_at")
      writer.time(runAt)
    }
    if let error {
      writer.key("error")
      JobError(code: JobRecord.cut(error.code), message: JobRecord.cut(error.message)).write(to: &writer)
    }
    writer.endObject()
  }

  /// The beginning of a text that somebody else chose, where any length of it would be copied again and again.
  package static func cut(_ text: String) -> String {
    // By bytes: a combining character belongs to what is before it, so a few characters may be any number of them.
    let beginning = Array(text.utf8.prefix(Limits.briefText + 1))
    guard beginning.count > Limits.briefText else { return text }
    var end = Limits.briefText
    while end > 0, beginning[end] & 0xC0 == 0x80 { end -= 1 }
    return String(decoding: beginning[..<end], as: UTF8.self) + "…"
  }
}

extension JobRecord.Progress {
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    if let percent {
      writer.key("percent")
      writer.double(percent)
    }
    if let stage {
      writer.key("stage")
      writer.string(stage)
    }
    if let message {
      writer.key("message")
      writer.string(message)
    }
    writer.endObject()
  }
}

extension JobRecord.Attempt {
  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("n")
    writer.int(n)
    writer.key("started_at")
    writer.time(startedAt)
    writer.key("ended_at")
    writer.time(endedAt)
    writer.key("outcome")
    writer.string(outcome.rawValue)
    if let exit {
      writer.key("exit")
      writer.int(exit)
    }
    if let signal {
      writer.key("signal")
      writer.int(signal)
    }
    if let error {
      writer.key("error")
      error.write(to: &writer)
    }
    if let peakMemory {
      writer.key("peak_memory")
      writer.int(peakMemory)
    }
    if let cpuTime {
      writer.key("cpu_ms")
      writer.int(cpuTime.inMilliseconds)
    }
    writer.endObject()
  }
}

extension JobError {
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("code")
    writer.string(code)
    writer.key("message")
    writer.string(message)
    if let details {
      writer.key("details")
      writer.raw(details)
    }
    writer.endObject()
  }
}

// MARK: Reading

extension JobRecord {
  /// Keys whose values stay bytes.
  package static let rawKeys: Set<String> = ["result", "details"]

  /// A record as it was written; throws a problem that names the key. Keys added by a later version are passed over.
  package init(_ value: JSONValue) throws(JobProblem) {
    func bad(_ key: String, _ expected: String) -> JobProblem {
      JobProblem(.forgedRecord, "jobspool.\(key): expected \(expected)", key: "jobspool.\(key)")
    }
    func time(_ key: String) throws(JobProblem) -> WallTime? {
      guard let field = value[key] else { return nil }
      guard let text = field.string, let time = WallTime(rfc3339: text) else { throw bad(key, "an RFC 3339 time") }
      return time
    }
    guard let id = value["id"]?.string, JobID.isValid(id) else { throw bad("id", "a job id") }
    guard let state = value["state"]?.string.flatMap(JobState.init(rawValue:)) else { throw bad("state", "a state") }
    guard let submittedAt = try time("submitted_at") else { throw bad("submitted_at", "an RFC 3339 time") }
    self.init(
      id: id, state: state, submittedAt: submittedAt, updatedAt: try time("updated_at") ?? submittedAt,
      node: value["node"]?.string ?? "")
    if let outcome = value["outcome"] {
      guard let known = outcome.string.flatMap(JobOutcome.init(rawValue:)) else { throw bad("outcome", "an outcome") }
      self.outcome = known
    }
    if let submitter = value["submitted_by"] {
      guard let uid = submitter["uid"]?.int, let user = submitter["user"]?.string else {
        throw bad("submitted_by", "an object with uid and user")
      }
      submittedBy = Submitter(
        uid: UInt32(truncatingIfNeeded: uid), user: user, subject: submitter["subject"]?.string)
    }
    attempt = value["attempt"]?.int ?? 0
    for (index, element) in (value["attempts"]?.array ?? []).enumerated() {
      guard let known = Attempt(element) else { throw bad("attempts", "an attempt at index \(index)") }
      attempts.append(known)
    }
    runAt = try time("run_at")
    spent = value["spent"]?.bool ?? false
    if let progress = value["progress"] {
      self.progress = Progress(
        percent: progress["percent"]?.double, stage: progress["stage"]?.string, message: progress["message"]?.string)
    }
    if case .raw(let json)? = value["result"] { result = json }
    error = value["error"].flatMap(JobError.init)
    finishedAt = try time("finished_at")
    requeuedAt = try time("requeued_at")
    sha256 = value["sha256"]?.string
    twinOf = value["twin_of"]?.string
  }
}

extension JobRecord.Attempt {
  fileprivate init?(_ value: JSONValue) {
    guard let n = value["n"]?.int, let started = value["started_at"]?.string.flatMap({ WallTime(rfc3339: $0) }),
      let ended = value["ended_at"]?.string.flatMap({ WallTime(rfc3339: $0) }),
      let outcome = value["outcome"]?.string.flatMap(AttemptOutcome.init(rawValue:))
    else { return nil }
    self.init(n: n, startedAt: started, endedAt: ended, outcome: outcome)
    exit = value["exit"]?.int.map { Int32(truncatingIfNeeded: $0) }
    signal = value["signal"]?.int.map { Int32(truncatingIfNeeded: $0) }
    error = value["error"].flatMap(JobError.init)
    peakMemory = value["peak_memory"]?.int
    cpuTime = value["cpu_ms"]?.int.map { .milliseconds($0) }
  }
}

extension JobError {
  /// nil when it has no code or message. `details` may be raw or not.
  package init?(_ value: JSONValue) {
    guard let code = value["code"]?.string, let message = value["message"]?.string else { return nil }
    self.init(code: code, message: message, details: value["details"]?.bytes)
  }
}
