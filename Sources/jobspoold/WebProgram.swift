/// Supervises jobspool-web: started when `[web] listen` is set, restarted with a growing pause when it ends, ended with the
/// daemon. Whatever happens to it is an alert and never anything more: jobs do not need it.
///
/// It holds the read end of a pipe whose write end is ours alone, so it learns at once when this process is gone, however
/// that came about. It inherits nothing else but standard error.
internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobHandlers
internal import JobModel
internal import Logging

final class WebProgram {
  private let arguments: [String]
  private let loop: EventLoop
  private let engine: Engine
  private let logger: Logger
  /// Where it is to listen; nil: it is not to run.
  private var address: String?
  private var process: (pid: pid_t, handle: Int32, lifeline: Int32, since: Duration)?
  private var failures = 0
  private var pending: LoopTimer?
  /// We told it to end, for a new address.
  private var isReplaced = false

  private static let alert = "web"
  /// Running for so long it counts as well again.
  private static let settled = Duration.seconds(5)

  init(spool: String, config: String?, loop: EventLoop, engine: Engine, logger: Logger) {
    arguments = ["--spool", spool] + (config.map { ["--config", $0] } ?? [])
    self.loop = loop
    self.engine = engine
    self.logger = logger
  }

  /// What the configuration says now; a changed address needs a new process, everything else it reads itself.
  func configure(_ address: String?) {
    guard address != self.address else { return }
    self.address = address
    failures = 0
    if let pending { loop.cancel(pending) }
    pending = nil
    if process != nil { return end() }
    if address == nil { engine.calmAlert(WebProgram.alert) } else { start() }
  }

  /// Ends it with the daemon; it has what is left of a second.
  func stop() {
    address = nil
    if let pending { loop.cancel(pending) }
    guard let process else { return }
    loop.unwatch(process.handle)
    close(process.lifeline)
    kill(process.pid, SIGTERM)
    for _ in 0..<90 {
      var status: Int32 = 0
      if spool_reap(process.pid, &status, nil) != 0 { return }
      usleep(10_000)
    }
    kill(process.pid, SIGKILL)
  }

  /// Ends it and starts it anew once it is gone, if it is to run.
  private func end() {
    guard let process else { return }
    isReplaced = true
    kill(process.pid, SIGTERM)
    loop.after(.seconds(1)) { [weak self] in
      if let now = self?.process, now.pid == process.pid { kill(now.pid, SIGKILL) }
    }
  }

  private func start() {
    guard process == nil, let address else { return }
    let program: String
    do throws(Missing) { program = try WebProgram.find() } catch {
      return failed("[web] listen = \"\(address)\" is set, but \(error.message); jobs run without it")
    }
    var pipe: [Int32] = [-1, -1]
    guard spool_pipe(&pipe) == 0 else {
      return failed("cannot make a pipe for jobspool-web: \(String(cString: strerror(errno)))")
    }
    var pid: pid_t = 0
    let words = [program] + arguments + ["--lifeline", "3"]
    let error = spawn(program, words, [-1, 2, 2, pipe[0]], &pid)
    close(pipe[0])
    guard error == nil else {
      close(pipe[1])
      return failed("cannot start \(program): \(String(cString: strerror(error ?? 0)))")
    }
    let handle = spool_pidfd_open(pid)
    guard handle >= 0 else {
      close(pipe[1])
      kill(pid, SIGKILL)
      return failed("cannot watch jobspool-web: \(String(cString: strerror(errno)))")
    }
    process = (pid, handle, pipe[1], EventLoop.now)
    do throws(EventLoop.Failure) {
      try loop.watch(handle, for: .read) { [unowned self] _ in ended() }
    } catch {
      logger.warning("cannot wait for jobspool-web: \(error)")
    }
    loop.after(WebProgram.settled) { [weak self] in
      guard let self, self.process?.pid == pid else { return }
      failures = 0
      engine.calmAlert(WebProgram.alert)
    }
  }

  private func spawn(_ program: String, _ words: [String], _ files: [Int32], _ pid: inout pid_t) -> Int32? {
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var made: pid_t = 0
    let error = OwnChildren.shared.start {
      let error = spool_spawn(program, &pointers, spool_environment(), ".", files, &made)
      return error == 0 ? .success(made) : .failure(error)
    }
    pid = made
    return error
  }

  private func ended() {
    guard let process else { return }
    var status: Int32 = 0
    guard spool_reap(process.pid, &status, nil) != 0 else { return }
    OwnChildren.shared.remove(process.pid)
    loop.unwatch(process.handle)
    close(process.handle)
    close(process.lifeline)
    let lived = EventLoop.now - process.since
    self.process = nil
    defer { isReplaced = false }
    guard let address else { return engine.calmAlert(WebProgram.alert) }
    let signal = spool_status_signalled(status)
    let how = signal >= 0 ? "was killed by signal \(signal)" : "ended with exit code \(spool_status_exited(status))"
    if isReplaced { return start() }
    if lived > .seconds(60) { failures = 0 }
    failed("jobspool-web (\(address)) \(how); its own words are above in the log")
  }

  private func failed(_ message: String) {
    failures += 1
    let wait = Duration.milliseconds(min(250 << min(failures - 1, 8), 60_000))
    engine.raiseAlert(WebProgram.alert, message)
    logger.notice("the next start of jobspool-web is in \(DurationText.format(wait))")
    pending = loop.after(wait) { [weak self] in
      self?.pending = nil
      self?.start()
    }
  }

  private struct Missing: Error { var message: String }

  private static func find() throws(Missing) -> String {
    var places = ["/usr/lib/jobspool/jobspool-web"]
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    if length > 0 {
      let own = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if let slash = own.lastIndex(of: "/") { places.insert(own[...slash] + "jobspool-web", at: 0) }
    }
    for place in places where access(place, X_OK) == 0 { return place }
    throw Missing(message: "jobspool-web is neither at \(places.joined(separator: " nor at "))")
  }
}
