/// Who asks, and what that allows.
package import JobModel

/// A role of ours; foreign names are mapped to one by `[web.roles]`.
package enum Role: String, Sendable, CaseIterable {
  /// Reads everything, masked where a handler says so.
  case viewer
  /// Submits, and sees what it submitted.
  case producer
  /// Every verb on jobs, pauses and schedules; submits too.
  case `operator`
  /// What destroys or rewrites: delete, purge, edit.
  case admin

  package func may(_ access: Access) -> Bool {
    switch (access, self) {
    case (.open, _), (.anyone, _), (.own, _): true
    case (.read, let role): role != .producer
    case (.submit, let role): role != .viewer
    case (.operate, let role): role == .operator || role == .admin
    case (.admin, let role): role == .admin
    }
  }
}

/// What a route asks for.
package enum Access: String, Sendable {
  /// No token.
  case open
  /// Any token.
  case anyone
  /// Any token; a producer only gets to see what it submitted itself, which the route checks.
  case own
  case read, submit, operate, admin
}

package struct Identity: Sendable, Equatable {
  package var subject: String
  package var role: Role
  package var expiresAt: WallTime
  /// This token's own limit.
  package var rate: Rate?
  /// When a browser logged in by a link; nil for tokens made otherwise.
  package var loginAt: WallTime?
  /// Tells this token from others.
  package var tokenID = ""

  package init(subject: String, role: Role, expiresAt: WallTime, rate: Rate? = nil, loginAt: WallTime? = nil) {
    self.subject = subject
    self.role = role
    self.expiresAt = expiresAt
    self.rate = rate
    self.loginAt = loginAt
  }

  /// Whether this job may be shown: a producer sees its own.
  package func maySee(_ submitter: JobRecord.Submitter?) -> Bool {
    role != .producer || (submitter?.subject == subject && !subject.isEmpty)
  }
}
