internal import CSpoolShims
internal import Glibc
package import JobEngine
package import JobModel

/// Runs jobs in `exec` mode: the handler's command once per job.
///
/// Promises: `start` either throws and nothing was started, or exactly one `ended` or `notStarted` follows, never before
/// `start` has returned; when `ended` comes, no process of the job is alive and all it wrote is in. It leaves the verdict to
/// the engine, with one thing decided: `exited(0)` with an error means that the result could not be accepted.
///
/// Making one changes the process: it becomes a child subreaper, ignores SIGPIPE, and takes SIGCHLD's default, without
/// which the kernel would throw exit codes away.
package final class ExecRunner: JobRunner {
  private let loop: EventLoop
  let strays: Strays
  let inherited: [[CChar]]
  let searchPath: String
  /// What runs elsewhere and may have left a stray: the workers.
  var alsoRunning: () -> [String] = { [] }
  private var launches: [String: Launch] = [:]
  private var attempts: [String: ExecAttempt] = [:]
  private var hurrying = false
  /// Made when it is first of use.
  private(set) var spawner: Spawner?

  /// - Parameters:
  ///   - ownsProcess: all children of this process are handlers', in `OwnChildren`, or named by `otherChildren`: so
  ///     in the daemon. Then orphans that cleared their environment are ended and reaped too.
  ///   - otherChildren: pids of children that come and go elsewhere on the loop's thread (the watcher's program, say).
  package init(
    loop: EventLoop, ownsProcess: Bool, otherChildren: @escaping () -> [Int32] = { [] }
  ) throws(EventLoop.Failure) {
    self.loop = loop
    signal(SIGPIPE, SIG_IGN)
    signal(SIGCHLD, SIG_DFL)
    guard spool_become_subreaper() == 0 else { throw EventLoop.Failure("prctl PR_SET_CHILD_SUBREAPER", errno: errno) }
    strays = Strays(loop: loop, ownsProcess: ownsProcess, otherChildren: otherChildren)
    inherited = Environment.inherited()
    searchPath = Environment.value(of: "PATH", in: inherited) ?? "/usr/local/bin:/usr/bin:/bin"
  }

  package func start(
    _ request: AttemptRequest, report: @escaping (AttemptEvent) -> Void
  ) throws(StartProblem) {
    precondition(attempts[request.id] == nil, "job \(request.id) is running already")
    // A worker expects many jobs and answers in lines: run once per job it would only seem to work.
    guard request.handler.mode == .exec else {
      throw StartProblem(
        .broken, "\(request.handler.file): mode: \"\(request.handler.mode.rawValue)\" is not run here; use \"exec\"")
    }
    let id = request.id
    let launch = try launch(request.handler)
    // Alone, a job starts soonest right here.
    let apart = attempts.count > 1 && launch.mayStartApart ? otherThread() : nil
    attempts[id] = try ExecAttempt(
      request, launch: launch, spawner: apart, loop: loop, strays: strays,
      othersRunning: { [unowned self] in running.filter { $0 != id } },
      over: { [unowned self] attempt in attempts[attempt.request.id] = nil },
      report: report)
  }

  /// nil where the system has no thread to spare or cannot tell whose child is whose, and while those there are do not come
  /// back: then everything starts on the loop's.
  private func otherThread() -> Spawner? {
    guard strays.goesByThread else { return nil }
    if spawner == nil { spawner = try? Spawner(loop: loop) }
    return spawner?.isStuck == true ? nil : spawner
  }

  package func stop(_ id: String, reason: StopReason) {
    guard let attempt = attempts[id] else { return }
    attempt.stop(reason, grace: hurrying ? .zero : attempt.request.handler.grace)
  }

  package func hurry() {
    hurrying = true
    for attempt in attempts.values { attempt.killNow() }
    // Whoever hurries may be gone in a moment: what is just being started goes before.
    spawner?.settle()
  }

  /// The attempts and workers there are now, as `Strays` names them.
  var running: [String] { attempts.keys + alsoRunning() }

  /// Whether a handler could be started now; the message otherwise. Used by configuration checks.
  package func check(_ settings: HandlerSettings) throws(StartProblem) { _ = try launch(settings) }

  /// How a type is started, looked up again when its settings have changed or its program is gone.
  func launch(_ settings: HandlerSettings) throws(StartProblem) -> Launch {
    if let launch = launches[settings.type], launch.settings == settings, launch.stillThere { return launch }
    launches[settings.type] = nil
    let launch = try Launch(settings, inherited: inherited, searchPath: searchPath)
    launches[settings.type] = launch
    return launch
  }
}
