/// The reading side of a spool, for the command line and the web program: lists, single jobs, counts, statistics, and the
/// one reason why a job does not run. It works with and without a daemon, takes no lock and changes nothing.
///
/// Jobs move while they are looked at. Every answer about one job is therefore read again when its file has gone from
/// where it was, and a list may show a job as it was a moment ago, never twice.
internal import Glibc
package import JobModel
package import SpoolConfig
package import SpoolStore

package struct SpoolReader: Sendable {
  package let spool: Spool
  /// nil when it cannot be read; then nothing is known of handlers.
  package let configuration: Configuration?
  /// The daemon that holds the lock, and what it published; both nil when none runs.
  package let holder: SpoolLock.Holder?
  package let status: DaemonStatus?
  /// The moment everything here is judged by.
  package let now: WallTime

  package init(_ spool: Spool, configuration: Configuration?, now: WallTime) {
    self.spool = spool
    self.configuration = configuration
    self.now = now
    holder = SpoolLock.holder(spool)
    // A dead daemon leaves its last view behind, which means nothing any more.
    status = holder?.program == "jobspoold" ? DaemonStatus.read(spool) : nil
  }

  /// A daemon runs. (An operator command that works on the spool holds the lock too, for a moment.)
  package var hasDaemon: Bool { holder?.program == "jobspoold" }

  /// Bytes a job file is read up to: a finished one may have grown by its result.
  static let largestFile = 64 << 20

  func handler(_ type: String) -> HandlerSettings? { configuration?.handlers[type] }
}
