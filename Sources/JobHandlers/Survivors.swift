internal import CSpoolShims
internal import Glibc

/// Ends the processes a dead daemon left. They are no children of ours, so they are known by the spool's secret token in
/// their environment alone. Used before anything is claimed: no job may run beside its own past.
package enum Survivors {
  /// Kills every process whose environment holds `JOBSPOOL_TOKEN=token`, and returns how many there were once none is
  /// left. Blocks; a process in uninterruptible sleep holds it up for as long as it sleeps.
  ///
  /// A process may fork behind the reading of /proc and end before it is read itself, so only a second look that finds
  /// nothing either is believed. One in the middle of execve(2) has no environment for a moment, but what it was given by
  /// its parent, open files and locks: such a moment is waited for, a second at most.
  ///
  /// - Parameter waiting: called each second with the pids that do not die, so that the wait can be reported.
  package static func killAll(token: String, waiting: ([Int32]) -> Void = { _ in }) -> Int {
    precondition(!token.isEmpty, "an empty token would be everybody's")
    let mark = [Array("JOBSPOOL_TOKEN=\(token)".utf8)]
    var killed = 0
    var quietLooks = 0
    var patience = 500
    while quietLooks < 2 {
      let isUnsure = ProcessTable.all().contains { $0 != getpid() && ProcessTable.isBetweenPrograms($0) }
      let found = find(mark)
      if found.isEmpty, isUnsure, patience > 0 {
        patience -= 1
        usleep(2000)
        continue
      }
      quietLooks = found.isEmpty ? quietLooks + 1 : 0
      killed += found.count
      for (_, file) in found { _ = spool_pidfd_send_signal(file, SIGKILL) }
      for (_, file) in found { wait(file) { waiting(found.map(\.pid)) } }
      for (pid, file) in found {
        close(file)
        // In a process that is already their subreaper they are its children, and would stay as zombies.
        var status: Int32 = 0
        if !OwnChildren.shared.contains(pid) { waitpid(pid, &status, WNOHANG) }
      }
    }
    return killed
  }

  /// The pidfd is opened first and the environment read after it: whatever the pid may be by then, only a process
  /// that bears the token is hit.
  private static func find(_ mark: [[UInt8]]) -> [(pid: pid_t, file: Int32)] {
    var found: [(pid: pid_t, file: Int32)] = []
    for pid in ProcessTable.all() where pid != getpid() && ProcessTable.environment(of: pid, holds: mark) {
      let file = spool_pidfd_open(pid)
      guard file >= 0 else { continue }
      if ProcessTable.environment(of: pid, holds: mark) {
        found.append((pid, file))
      } else {
        close(file)
      }
    }
    return found
  }

  private static func wait(_ file: Int32, patience: () -> Void) {
    while true {
      var entry = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
      let ready = poll(&entry, 1, 1000)
      if ready > 0 || (ready < 0 && errno != EINTR) { return }
      if ready == 0 { patience() }
    }
  }
}
