/// What an attempt's end means for its job: one pure function.

/// How a handler's process ended.
package enum HandlerEnding: Sendable, Equatable {
  case exited(Int32)
  case signalled(Int32)
  /// The daemon that ran it is gone; found by recovery.
  case crashed
}

/// Why a job or an attempt failed, as data.
package struct JobError: Error, Sendable, Equatable {
  package var code: String
  package var message: String
  /// JSON text.
  package var details: [UInt8]?
  package init(code: String, message: String, details: [UInt8]? = nil) {
    self.code = code
    self.message = message
    self.details = details
  }
}

/// What becomes of a job after an attempt.
package enum Verdict: Sendable, Equatable {
  case finish
  case retry(after: Duration)
  case bury(JobOutcome)
}

extension Verdict {
  /// Exit codes after which trying again is pointless: sysexits' usage, data, input, permission and configuration
  /// errors, and 100 as in qmail-command(8).
  package static let permanentExits: Set<Int32> = [64, 65, 66, 77, 78, 100]

  /// The rule, in its order of precedence: who stopped it, what its process said, how it ended, what is left.
  ///
  /// - Parameters:
  ///   - ending: how the handler's process ended.
  ///   - error: what was found wrong although it may have exited with 0 (too much output, say).
  ///   - stopReason: set when the engine ended it.
  ///   - permanent: what the handler said about trying again: true, pointless; false, the exit code says nothing about
  ///     this job; nil, nothing was said.
  ///   - retryIn: the handler's own wishes for the wait.
  ///   - attempt: counting from 1.
  ///   - crashes: earlier attempts of this round that crashed.
  ///   - random: a number in 0..<1 for the jitter.
  package static func of(
    ending: HandlerEnding, error: JobError? = nil, stopReason: StopReason? = nil, permanent: Bool? = nil,
    retryIn: Duration? = nil, attempt: Int, crashes: Int = 0, policy: RetryPolicy,
    random: Double
  ) -> Verdict {
    if stopReason == .cancelled { return .bury(.cancelled) }
    if ending == .exited(0), error == nil, stopReason == nil { return .finish }
    if case .exited(let code) = ending, stopReason == nil, permanent == nil, permanentExits.contains(code) {
      return .bury(.failed)
    }
    if permanent == true { return .bury(.failed) }
    guard attempt < policy.maxAttempts else { return .bury(.failed) }
    // A job that took the daemon down with it is tried at once the first time: it was most likely not its fault.
    if ending == .crashed, crashes == 0 { return .retry(after: .zero) }
    return .retry(after: retryIn ?? policy.wait(after: attempt, random: random))
  }
}

/// Why the engine ended an attempt before it ended itself.
package enum StopReason: String, Sendable {
  case timeout, stalled, cancelled, shutdown
}

extension AttemptOutcome {
  package static func of(ending: HandlerEnding, error: JobError?, stopReason: StopReason?) -> AttemptOutcome {
    switch (stopReason, ending) {
    case (.timeout, _): .timeout
    case (.stalled, _): .stalled
    case (.cancelled, _): .cancelled
    case (_, .crashed): .crashed
    case (_, .exited(0)): error == nil ? .done : .failed
    default: .failed
    }
  }
}
