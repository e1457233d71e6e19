/// Something somebody wants to be told: what happened, to which job or part of the program, and the words for it. It
/// travels as the payload of a job of the type `jobspool.notify`; secrets and addresses stay in the configuration.
package struct Notice: Sendable, Equatable {
  /// The type of the jobs that carry notices; only the daemon may submit it.
  package static let type = "jobspool.notify"

  /// What `on` and a job's `notify` may name.
  package enum Occasion: String, Sendable, CaseIterable {
    case done, dead, retried
    /// Done, after attempts that failed.
    case recovered
    /// Ended because it gave no sign of life for `stalled_after`.
    case stalled
    /// Not finished within the handler's `sla`.
    case sla
    case scheduleMissed = "schedule_missed"
    case handlerBroken = "handler_broken"
    case disk

    /// About a job, which may ask for it itself.
    package var isAboutJobs: Bool {
      switch self {
      case .done, .dead, .retried, .recovered, .stalled, .sla: true
      case .scheduleMissed, .handlerBroken, .disk: false
      }
    }

    /// The event's name in a standard webhook: dotted, as Standard Webhooks has it.
    package var eventType: String {
      switch self {
      case .scheduleMissed: "schedule.missed"
      case .handlerBroken: "handler.broken"
      case .disk: "spool.disk"
      default: "job.\(rawValue)"
      }
    }
  }

  /// The job it is about. Never its payload or result: a notice goes to places that may not see them.
  package struct Subject: Sendable, Equatable {
    package var id: String
    /// Empty when the file could not be read as a job.
    package var type: String
    package var state: JobState
    package var outcome: JobOutcome?
    package var attempt: Int
    package var error: JobError?
    package var submittedAt: WallTime
    /// When it was submitted or, if it was, requeued.
    var roundBegan: WallTime
    package var finishedAt: WallTime?
    package var batch: String?
    package var tags: [String]

    package init(_ record: JobRecord, _ job: Job?) {
      id = record.id
      type = job?.type ?? ""
      state = record.state
      outcome = record.outcome
      attempt = record.attempt
      error = record.error
      submittedAt = record.submittedAt
      roundBegan = record.requeuedAt ?? record.submittedAt
      finishedAt = record.finishedAt
      batch = job?.batch
      tags = Array((job?.tags ?? []).prefix(32))
    }
  }

  package var occasion: Occasion
  package var at: WallTime
  /// One sentence for people.
  package var message: String
  /// The alert's code, for what is not about a job.
  package var code: String?
  package var job: Subject?

  package init(_ occasion: Occasion, at: WallTime, message: String, code: String? = nil, job: Subject? = nil) {
    self.occasion = occasion
    self.at = at
    self.message = message
    self.code = code
    self.job = job
  }

  /// The code of one that counts those held back.
  static let heldBack = "held_back"

  /// What makes it the same notice when it is raised again after a crash: the same words, so that the id made of them is
  /// taken already.
  package var identity: String {
    // What was held back may be told by two daemons, if the first was killed just then; since when is in its words.
    if code == Notice.heldBack { return "\(Notice.heldBack)\n\(message)" }
    guard let job else { return "\(occasion.rawValue)\n\(code ?? "")\n\(message)\n\(at.rfc3339)" }
    // A job misses its time once in a round, whatever becomes of it later.
    guard occasion != .sla else { return "sla\n\(job.id)\n\(job.roundBegan.rfc3339)" }
    return "\(occasion.rawValue)\n\(job.id)\n\(job.attempt)\n\(at.rfc3339)"
  }

  /// The file of the job that carries it to the entry named by `key`.
  package func jobFile(to key: String, node: String) -> [UInt8] {
    var writer = JSONWriter(reserving: 1024)
    writer.beginObject()
    writer.key("type")
    writer.string(Notice.type)
    writer.key("payload")
    writer.beginObject()
    writer.key("notify")
    writer.string(key)
    write(to: &writer, node: node)
    writer.endObject()
    writer.key("tags")
    writer.value(.array([.string(occasion.rawValue)]))
    writer.endObject()
    return writer.bytes + [0x0A]
  }

  /// Its members, into an object that is open.
  func write(to writer: inout JSONWriter, node: String) {
    writer.key("occasion")
    writer.string(occasion.rawValue)
    writer.key("at")
    writer.time(at)
    writer.key("node")
    writer.string(node)
    writer.key("message")
    writer.string(Notice.cut(message))
    if let code {
      writer.key("code")
      writer.string(Notice.cut(code))
    }
    guard let job else { return }
    writer.key("job")
    writer.beginObject()
    writer.key("id")
    writer.string(job.id)
    if !job.type.isEmpty {
      writer.key("type")
      writer.string(job.type)
    }
    writer.key("state")
    writer.string(job.state.rawValue)
    if let outcome = job.outcome {
      writer.key("outcome")
      writer.string(outcome.rawValue)
    }
    writer.key("attempt")
    writer.int(job.attempt)
    if let error = job.error {
      writer.key("error")
      JobError(code: Notice.cut(error.code), message: Notice.cut(error.message)).write(to: &writer)
    }
    writer.key("submitted_at")
    writer.time(job.submittedAt)
    if let finishedAt = job.finishedAt {
      writer.key("finished_at")
      writer.time(finishedAt)
    }
    if let batch = job.batch {
      writer.key("batch")
      writer.string(batch)
    }
    if !job.tags.isEmpty {
      writer.key("tags")
      writer.value(.array(job.tags.map { .string(Notice.cut($0)) }))
    }
    writer.endObject()
  }

  /// An error text may be a megabyte; who is told wants to know where to look.
  /// By scalars: a single character may have any number of them.
  static func cut(_ text: String) -> String {
    let scalars = text.unicodeScalars
    return scalars.index(scalars.startIndex, offsetBy: 1001, limitedBy: scalars.endIndex) == nil
      ? text : String(scalars.prefix(999)) + "…"
  }
}
