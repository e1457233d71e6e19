/// Where a job is: the folder its file lies in. A change of state is one rename between two of these.
package enum JobState: String, Sendable, CaseIterable {
  /// Accepted and waiting. Producers move jobs in (from `tmp/`), retry, release and requeue move them back.
  case new
  /// Claimed. Only the daemon moves jobs in and out.
  case cur
  /// Finished, with result. The daemon moves jobs in; requeue and retention take them away.
  case done
  /// Failed, rejected, expired, cancelled, duplicate. The daemon moves jobs in; requeue and retention take them away.
  case dead
  /// Set aside by an administrator, who also lets them go.
  case hold
}

/// How a job ended; only `done` lies in `done/`.
package enum JobOutcome: String, Sendable, CaseIterable {
  case done, failed, rejected, expired, cancelled, duplicate
  case rateLimited = "rate_limited"

  package var state: JobState { self == .done ? .done : .dead }
}

/// How one attempt ended.
package enum AttemptOutcome: String, Sendable, CaseIterable {
  case done, failed, timeout, stalled, crashed, cancelled
}
