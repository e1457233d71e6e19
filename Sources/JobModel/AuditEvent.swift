/// The events of the audit log. `docs/AUDIT-LOG.md` has an entry for each; a test compares the two lists.
package enum AuditEvent: String, Sendable, CaseIterable {
  // A job's life.
  case submitted, claimed, stage, finished, retried, buried, rejected, duplicate, cancelled, requeued, held, released
  case expired, stalled, purged, recovered, edited
  // Switches.
  case paused, resumed
  case scheduleFired = "schedule_fired"
  case scheduleMissed = "schedule_missed"
  /// Not made, because an earlier firing still waits or runs.
  case scheduleSkipped = "schedule_skipped"
  case scheduleEnabled = "schedule_enabled"
  case scheduleDisabled = "schedule_disabled"
  // The daemon.
  case alert
  case configReloaded = "config_reloaded"
  case daemonStarted = "daemon_started"
  case daemonStopped = "daemon_stopped"
  /// A request in `ctl/` that was not carried out, or a state file that does not count.
  case refused

  /// The line holds the job's record and decides where its file belongs.
  package var settles: Bool {
    switch self {
    case .finished, .retried, .buried, .rejected, .duplicate, .cancelled, .expired: true
    default: false
    }
  }
}
