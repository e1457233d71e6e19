internal import JobEngine
internal import JobModel

/// One job on its way through a worker: waiting for a process, or in one.
final class WorkerJob {
  let request: AttemptRequest
  let report: (AttemptEvent) -> Void
  /// Where its line begins in all that its process was ever sent.
  var lineStart = 0
  /// When it has had its time, and when it was last heard from; set when it is given to a process.
  var deadline = Duration.zero
  var lastSign = Duration.zero
  /// Set when it is to be ended before it ends itself; the first reason counts.
  var stopReason: StopReason?
  /// What it failed with, when that is known before its process is gone.
  var failure: JobError?
  private var log: JobLog?
  private var complained = false

  init(_ request: AttemptRequest, report: @escaping (AttemptEvent) -> Void) {
    self.request = request
    self.report = report
  }

  var id: String { request.id }

  func isCalled(_ id: UnsafeBufferPointer<UInt8>) -> Bool {
    let own = request.id.utf8
    guard own.count == id.count else { return false }
    return own.elementsEqual(id)
  }

  /// When it has to be looked at, unless it ends before.
  var due: Duration {
    guard let silence = request.stalledAfter else { return deadline }
    return min(deadline, lastSign + silence)
  }

  /// The reason to end it now, if there is one.
  func overdue(_ now: Duration) -> StopReason? {
    if now >= deadline { return .timeout }
    if let silence = request.stalledAfter, now - lastSign >= silence { return .stalled }
    return nil
  }

  /// What its process wrote to standard error while it had no other job.
  func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    openedLog.append(bytes)
    complain()
  }

  /// A line of ours in its log.
  func note(_ text: String) {
    openedLog.note(text)
    complain()
  }

  /// A line that its worker gave for it.
  func enter(_ entry: LogLine) {
    openedLog.enter(entry)
    complain()
    report(.log(entry))
  }

  private var openedLog: JobLog {
    if let log { return log }
    let opened = JobLog(
      path: request.logPath, header: "--- attempt \(request.attempt) \(WallTime.now.rfc3339) ---",
      limit: Limits.jobLogBytes, reader: request.reader)
    log = opened
    return opened
  }

  private func complain() {
    guard let failure = log?.failure, !complained else { return }
    complained = true
    report(.log(LogLine(level: "error", category: "jobspool", code: "log_unwritable", message: failure)))
  }

  /// The last thing that happens to it.
  func end(_ end: AttemptEnd) {
    log?.close()
    report(.ended(end))
  }

  /// It did not run, or not to an end that is its own: the attempt is handed back.
  func release() {
    var handedBack = AttemptEnd(ending: .exited(0))
    handedBack.stopReason = stopReason ?? .shutdown
    handedBack.error = FailureText.describe(handedBack, lastWords: nil, request: request)
    end(handedBack)
  }
}
