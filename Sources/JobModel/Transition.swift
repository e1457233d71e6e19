/// What may happen to a job: every move, where it leads and the line it leaves in the audit log. `SpoolStore` makes the
/// moves; nothing else renames a job.
package enum Transition: Sendable, Equatable, CaseIterable {
  case claim
  /// Back to `new/` as if nothing had been: a claim that must not run now.
  case unclaim
  case finish, bury, reject, expire, cancel, retry, release, requeue
  /// A twin that is refused, or that is the same job once more.
  case refuseTwin, discardTwin
  case hold, unhold
  /// Retention, or `rm`.
  case purge

  package var from: [JobState] {
    switch self {
    case .claim: [.new]
    case .unclaim, .finish, .bury, .reject, .expire, .cancel, .retry, .release, .refuseTwin, .discardTwin: [.cur]
    case .requeue: [.done, .dead]
    case .hold: [.new]
    case .unhold: [.hold]
    case .purge: [.done, .dead, .hold]
    }
  }

  /// nil: the file is gone.
  package var to: JobState? {
    switch self {
    case .claim: .cur
    case .finish: .done
    case .bury, .reject, .expire, .cancel, .refuseTwin: .dead
    case .unclaim, .retry, .release, .requeue, .unhold: .new
    case .hold: .hold
    case .discardTwin, .purge: nil
    }
  }

  /// nil: leaves no line of its own.
  package var event: AuditEvent? {
    switch self {
    case .claim: .claimed
    case .unclaim: nil
    case .finish: .finished
    case .bury: .buried
    case .reject: .rejected
    case .expire: .expired
    case .cancel: .cancelled
    case .retry: .retried
    case .release, .unhold: .released
    case .requeue: .requeued
    case .refuseTwin, .discardTwin: .duplicate
    case .hold: .held
    case .purge: .purged
    }
  }
}
