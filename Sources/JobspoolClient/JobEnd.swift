/// How a job ended.
public struct JobEnd: Sendable, Equatable {
  /// `done`, or why it is in `dead/`: `failed`, `rejected`, `rate_limited`, `expired`, `cancelled`, `duplicate`.
  public var outcome: String
  /// What the handler gave, as JSON text; kept of a failed job too.
  public var result: String?
  /// Why it failed.
  public var errorCode: String?
  public var errorMessage: String?
  /// Attempts of its last run through.
  public var attempts: Int

  public var isDone: Bool { outcome == "done" }
}

/// Where a job is.
public enum JobPlace: String, Sendable, CaseIterable {
  /// Accepted; it waits.
  case new
  /// Claimed; it runs.
  case cur
  case done
  case dead
  /// Set aside by an administrator.
  case hold
}
