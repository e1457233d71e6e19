package import JobModel

/// What the engine needs from the outside to run jobs. `JobHandlers` implements it with processes, the tests with a
/// script. Everything here is called on the engine's own thread, and calls back on it.
package protocol JobRunner: AnyObject {
  /// Starts one attempt and reports what becomes of it: any number of `progress` and `log`, then exactly one `ended`; or
  /// `notStarted`, alone, when only after the return it turns out that nothing was started.
  ///
  /// Throws when nothing was started (no attempt is burnt): the program is missing or may not be executed, or the
  /// system has no process or descriptor to spare.
  func start(_ request: AttemptRequest, report: @escaping (AttemptEvent) -> Void) throws(StartProblem)

  /// Begins the teardown of a running attempt: TERM to its process group, `grace`, KILL. Its `ended` carries `reason`.
  /// Unknown ids are ignored: the attempt has just ended.
  func stop(_ id: String, reason: StopReason)

  /// Shortens the grace of every attempt being stopped to nothing (a second SIGTERM).
  func hurry()
}

/// What the engine tells whoever watches over the daemon as a whole, such as systemd. Called on the engine's thread.
package enum DaemonNews: Sendable, Equatable {
  /// Whenever `status.json` is written.
  case counts(running: Int, waiting: Int, state: String, alerts: Int)
  case reloading
  /// The configuration is the new one, or stays the old one.
  case reloaded
  /// No job is started any more; those that run get their time.
  case stopping
}

/// One attempt, ready to run.
package struct AttemptRequest: Sendable {
  package var id: String
  package var attempt: Int
  package var maxAttempts: Int
  package var handler: HandlerSettings
  /// The job as one line of JSON, newline included: what the handler reads.
  package var input: [UInt8]
  /// Absolute path of `cur/ID.json`.
  package var jobPath: String
  package var spoolPath: String
  package var node: String
  /// Absolute path of `log/jobs/ID.log`; standard error is appended there.
  package var logPath: String
  package var timeout: Duration
  package var stalledAfter: Duration?
  /// Marks every process of this spool's handlers (`JOBSPOOL_TOKEN`), so that a later daemon finds what a dead one left.
  package var token: String
  /// Who may read the job's log besides those who may read all: whose job it is. nil: nobody.
  package var reader: UInt32?

  package init(
    id: String, attempt: Int, maxAttempts: Int, handler: HandlerSettings, input: [UInt8], jobPath: String,
    spoolPath: String, node: String, logPath: String, timeout: Duration, stalledAfter: Duration?, token: String,
    reader: UInt32? = nil
  ) {
    self.id = id
    self.attempt = attempt
    self.maxAttempts = maxAttempts
    self.handler = handler
    self.input = input
    self.jobPath = jobPath
    self.spoolPath = spoolPath
    self.node = node
    self.logPath = logPath
    self.timeout = timeout
    self.stalledAfter = stalledAfter
    self.token = token
    self.reader = reader
  }
}

package enum AttemptEvent: Sendable {
  case progress(ProgressUpdate)
  case log(LogLine)
  case ended(AttemptEnd)
  case notStarted(StartProblem)
}

/// One control line of a handler, as far as it is about progress. An empty update is a heartbeat.
package struct ProgressUpdate: Sendable, Equatable {
  package var percent: Double?
  package var stage: String?
  package var message: String?
  package init(percent: Double? = nil, stage: String? = nil, message: String? = nil) {
    self.percent = percent
    self.stage = stage
    self.message = message
  }
}

/// A `log` control line.
package struct LogLine: Sendable, Equatable {
  package var level: String
  package var category: String
  package var code: String
  package var message: String
  package init(level: String, category: String, code: String, message: String) {
    self.level = level
    self.category = category
    self.code = code
    self.message = message
  }
}

/// Everything known about an attempt once nothing of it is left: group reaped, strays killed, pipes drained.
package struct AttemptEnd: Sendable {
  package var ending: HandlerEnding
  /// What the handler gave as its result; JSON text, already checked and compact (text output becomes a JSON string).
  package var result: [UInt8]?
  /// What the handler said about its failure on descriptor 3, or what the runner found (output too large, say).
  package var error: JobError?
  package var retryIn: Duration?
  /// True: a worker's `"retry": false`. False: the exit code is that of a worker and says nothing about this one job.
  package var permanent: Bool?
  /// Largest resident set in bytes and CPU time, from wait4's rusage.
  package var peakMemory: Int?
  package var cpuTime: Duration?
  package var stopReason: StopReason?

  package init(ending: HandlerEnding) { self.ending = ending }
}

/// Nothing was started.
package struct StartProblem: Error, Sendable {
  package enum Kind: Sendable {
    /// The program is missing, not executable, or the settings cannot be carried out: pause the type.
    case broken
    /// No processes, memory or descriptors just now: try again in a moment.
    case busy
  }
  package var kind: Kind
  /// What, where and how to mend it.
  package var message: String
  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
}
