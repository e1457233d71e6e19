internal import CSpoolShims
internal import Glibc
internal import JobEngine

/// Ends what a handler left behind, so that no process outlives its job.
///
/// How they are found, and why nothing else can be there. The daemon is a child subreaper (prctl(2)): when a process
/// ends, its children become ours, before its own end can be seen by waiting or by pidfd. So once a job's first
/// process has ended, each of its living descendants hangs below some child of ours that we did not start, however
/// often it forked and whatever sessions it made. Linux gives orphans to the oldest living thread of the subreaper, so
/// one read of /proc/self/task/PID/children tells (the loop may run on another thread, and `Spawner` has one: what is
/// started there is listed there). In the usual case that read shows no stranger and the matter is closed: no scan of
/// /proc for a job that behaves.
///
/// A stranger belongs to this job when its session or process group is that of the job's first process (no pid is
/// given out while a session or group has its number), or when its environment names the job and this spool's token. One
/// whose environment was cleared (no token at all) can only be told from those of other jobs by elimination: it is suspected to
/// belong to every job that ran when it was first seen, and ended with the last of them.
///
/// Killing a process hands its children to us, so the look is repeated after each round until it finds nothing. Only
/// a descendant of a process that stays alive could hide: that is looked for in all of /proc, but only when there is
/// such a process.
final class Strays {
  private let loop: EventLoop
  /// False in a process that has children of other people (a test runner): then only what is surely ours is touched.
  private let ownsProcess: Bool
  private let otherChildren: () -> [pid_t]
  /// /proc/self/task/PID/children, kept open; -1 where the kernel lacks it (CONFIG_PROC_CHILDREN).
  private let children: Int32
  private var suspects: [pid_t: Set<String>] = [:]

  init(loop: EventLoop, ownsProcess: Bool, otherChildren: @escaping () -> [pid_t]) {
    self.loop = loop
    self.ownsProcess = ownsProcess
    self.otherChildren = otherChildren
    children = open("/proc/self/task/\(getpid())/children", O_RDONLY | O_CLOEXEC)
    // What was a child before we started anything (inherited through exec) is nobody's stray.
    if ownsProcess { for pid in ownChildren() ?? [] { OwnChildren.shared.add(pid) } }
  }

  deinit { if children >= 0 { close(children) } }

  /// The kernel lists children by the thread that started them. Where it does not, all of /proc is searched for them, and
  /// whatever is started has to be known by then: only the loop's own thread may start anything.
  var goesByThread: Bool { children >= 0 }

  /// What is left of a job, or of a worker, whose first process has ended and was reaped.
  struct Remains {
    /// The job's id, or "worker N", which is none.
    var id: String
    /// The variable that its processes have in their environment and no other's have, with its value.
    var mark: String
    var leader: pid_t
    var token: String
    /// Sessions the job's processes were found in. No pid is given out while a session has its number, and all of
    /// this happens before the last member is reaped.
    var sessions: Set<pid_t>
    /// Ids of the jobs and workers that run now, this one not included.
    var running: () -> [String]
    /// The last look met a process of which nobody could tell whose it is.
    fileprivate var isUnsure = false
    /// Looks that are left for such a process …
    fileprivate var looks = 4
    /// … besides those at one that was in the middle of exec(2) each time.
    fileprivate var isBetweenPrograms = false
    fileprivate var waits = 40

    init(id: String, mark: String, leader: pid_t, token: String, running: @escaping () -> [String]) {
      self.id = id
      self.mark = mark
      self.leader = leader
      self.token = token
      sessions = [leader]
      self.running = running
    }
  }

  /// Kills and reaps until nothing of the job is left, then calls `done`: at once in the usual case, without blocking
  /// otherwise. A process the kernel cannot end (uninterruptible sleep) delays `done` until it ends.
  func clear(_ remains: Remains, done: @escaping () -> Void) {
    var remains = remains
    let found = look(&remains)
    guard !found.isEmpty else {
      // In the middle of exec(2) a process has no environment: whose it is shows in a moment, and then it must not have
      // been given to another job.
      guard remains.isUnsure, remains.looks > 0 else { return done() }
      // As long as that takes, on a machine that has little time for it; but an environment may also be missing for good.
      if !remains.isBetweenPrograms || remains.waits == 0 { remains.looks -= 1 } else { remains.waits -= 1 }
      loop.after(.milliseconds(5)) { [self, remains] in clear(remains, done: done) }
      return
    }
    var waiting = 0
    var starting = true
    let step: () -> Void = { [self, remains] in
      if !starting && waiting == 0 { clear(remains, done: done) }
    }
    for pid in found {
      let file = spool_pidfd_open(pid)
      guard file >= 0 else { continue }
      // The pid may have passed to another process between the look and the open, unless it is our child.
      guard belongs(pid, to: remains) || suspects[pid]?.isEmpty == true else {
        close(file)
        continue
      }
      _ = spool_pidfd_send_signal(file, SIGKILL)
      do {
        try loop.watch(file, for: .read) { [self] _ in
          loop.unwatch(file)
          close(file)
          func ended() {
            waiting -= 1
            step()
          }
          // Who traces it may not have let it go yet (ptrace(2)).
          if reap(pid) { ended() } else { loop.after(.milliseconds(10), ended) }
        }
        waiting += 1
      } catch {
        close(file)
      }
    }
    starting = false
    // Nothing to wait for though something was found: it went by itself, or we may not touch it. Look once more in a
    // moment rather than spin.
    if waiting == 0 { loop.after(.milliseconds(10)) { [self, remains] in clear(remains, done: done) } }
  }

  /// The job of this id, which was taken for running, never began: what it alone was suspected to have left is nobody's.
  func exonerate(_ id: String) {
    for (pid, jobs) in suspects where jobs.contains(id) {
      suspects[pid]?.remove(id)
      // A child of ours that nobody has reaped: no other process can have its number.
      if jobs.count == 1 { kill(pid, SIGKILL) }
    }
  }

  /// Reaps what has ended and belongs to no job: as the first process of a container we are the parent of every orphan.
  func reapStrangers() {
    for pid in ownChildren() ?? [] where !isExpected(pid) && ProcessTable.entry(pid)?.isZombie == true { reap(pid) }
  }

  /// Living processes of the job. Reaps the dead among the strangers on the way.
  ///
  /// A stranger that ends between the reading of the list and the look at it hands us its children behind that reading,
  /// so a list is believed only when everything on it was still as listed afterwards.
  private func look(_ remains: inout Remains) -> [pid_t] {
    while true {
      remains.isUnsure = false
      remains.isBetweenPrograms = false
      guard let strangers = strangers() else {
        remains.isUnsure = true
        return []
      }
      var found: [pid_t] = []
      var unclear: Set<pid_t> = []
      var hasReaped = false
      for pid in strangers {
        guard let entry = ProcessTable.entry(pid) else { continue }
        if entry.isZombie {
          guard ownsProcess || isOf(remains, entry) else { continue }
          if reap(pid) {
            hasReaped = true
            continue
          }
        }
        // (One that looks dead and cannot be reaped has other threads that live.)
        if isOf(remains, entry) || ProcessTable.environment(of: pid, holds: marks(remains)) {
          remains.sessions.insert(entry.session)
          found.append(pid)
        } else if !ProcessTable.environment(of: pid, names: "JOBSPOOL_TOKEN") {
          // Somebody's without an environment, or one that is ending right now: that goes first, its children last.
          unclear.insert(pid)
          remains.isUnsure = true
          if ProcessTable.isBetweenPrograms(pid) { remains.isBetweenPrograms = true }
          if ownsProcess {
            var jobs = suspects[pid] ?? Set(remains.running())
            jobs.remove(remains.id)
            suspects[pid] = jobs
            if jobs.isEmpty { found.append(pid) }
          }
        }
      }
      guard found.isEmpty else { return found }
      if hasReaped { continue }
      // Group members that are not our children hang below one that does not die, or they are dying at this moment.
      let groupRemains = kill(-remains.leader, 0) == 0 || errno == EPERM
      guard !unclear.isEmpty || groupRemains else { return [] }
      found = hidden(remains, below: unclear)
      guard found.isEmpty else { return found }
      guard let now = self.strangers() else {
        remains.isUnsure = true
        return []
      }
      if Set(now) == Set(strangers) { return [] }
    }
  }

  /// The slow way, all of /proc: members of the job's session or group, and marked descendants of `strangers`.
  private func hidden(_ remains: Remains, below strangers: Set<pid_t>) -> [pid_t] {
    var entries: [pid_t: ProcessTable.Entry] = [:]
    for pid in ProcessTable.all() where pid != getpid() && !isExpected(pid) { entries[pid] = ProcessTable.entry(pid) }
    func isBelow(_ entry: ProcessTable.Entry) -> Bool {
      var parent = entry.parent
      // The table is no snapshot: a recycled pid could close a circle.
      for _ in 0..<entries.count {
        if strangers.contains(parent) { return true }
        guard let next = entries[parent] else { return false }
        parent = next.parent
      }
      return false
    }
    return entries.filter { pid, entry in
      !entry.isZombie
        && (isOf(remains, entry) || isBelow(entry) && ProcessTable.environment(of: pid, holds: marks(remains)))
    }.map(\.key)
  }

  private func isExpected(_ pid: pid_t) -> Bool { OwnChildren.shared.contains(pid) || otherChildren().contains(pid) }

  private func belongs(_ pid: pid_t, to remains: Remains) -> Bool {
    guard let entry = ProcessTable.entry(pid) else { return false }
    return isOf(remains, entry) || ProcessTable.environment(of: pid, holds: marks(remains))
  }

  private func isOf(_ remains: Remains, _ entry: ProcessTable.Entry) -> Bool {
    remains.sessions.contains(entry.session) || entry.group == remains.leader
  }

  private func marks(_ remains: Remains) -> [[UInt8]] {
    [Array(remains.mark.utf8), Array("JOBSPOOL_TOKEN=\(remains.token)".utf8)]
  }

  /// False when it is not dead yet.
  @discardableResult
  private func reap(_ pid: pid_t) -> Bool {
    var status: Int32 = 0
    var usage = rusage()
    guard spool_reap(pid, &status, &usage) != 0 else { return false }
    suspects[pid] = nil
    return true
  }

  private func strangers() -> [pid_t]? { ownChildren()?.filter { !isExpected($0) } }

  /// nil when the kernel does not tell just now.
  private func ownChildren() -> [pid_t]? {
    guard goesByThread else { return ProcessTable.all().filter { ProcessTable.entry($0)?.parent == getpid() } }
    guard let text = ProcessTable.read(children, limit: 1 << 20) else { return nil }
    return text.split(separator: UInt8(ascii: " ")).compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
  }
}
