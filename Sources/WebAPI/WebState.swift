/// What all routes share: the spool, its configuration as it is now, the keys that tokens are checked with, and the threads on
/// which files are read. Whatever waits for a disk runs there, never on an event loop.
///
/// Configuration and keys are looked at again at most once a second, so an edit counts within a second and a request costs
/// no parsing. Nothing here belongs to one request.
package import JobModel
package import Logging
internal import NIOConcurrencyHelpers
package import NIOPosix
package import SpoolConfig
package import SpoolHistory
package import SpoolStore

package final class WebState: Sendable {
  package let spool: Spool
  package let logger: Logger
  package let threads: NIOThreadPool
  /// Every job there was, kept as new as the spool.
  package let feed: HistoryFeed
  let tokens = TokenCheck()
  let logins = LoginBook()
  let limits = RequestLimits()
  let submissions: SubmissionQueue
  /// What a handler's `rate` with over = "reject" lets in.
  let rates = NIOLockedValueBox(RateGate())
  let desk: DaemonDesk
  /// Who listens.
  let events = EventHub()
  private let configPath: String?
  private let cached = NIOLockedValueBox<Cached?>(nil)

  private struct Cached: Sendable {
    var configuration: Configuration
    var keys: WebKeys
    var readAt: ContinuousClock.Instant
  }

  package init(spool: Spool, config: String?, threads: NIOThreadPool, logger: Logger) {
    self.spool = spool
    self.configPath = config
    self.threads = threads
    self.logger = logger
    feed = HistoryFeed(
      spool, configuration: Configuration.load(spool: spool.path, config: config), clock: { WallTime.current })
    submissions = SubmissionQueue(threads: threads)
    // Waiting for the daemon is not waiting for the disk: it must not take the readers' threads.
    let askers = NIOThreadPool(numberOfThreads: 4)
    askers.start()
    desk = DaemonDesk(spool, threads: askers)
  }

  /// Reads the whole log, on a thread of its own; answers meanwhile say that they are not complete.
  package func loadHistory() {
    threads.submit { [feed, logger] status in
      guard case .active = status else { return }
      do throws(SpoolError) { try feed.load() } catch { logger.error("reading the audit log: \(error)") }
    }
  }

  /// Asks the index as it is at this moment, and says whether it has all there is.
  package func history<Answer: Sendable>(
    _ body: @escaping @Sendable (HistoryIndex, DaemonStatus?, WallTime) throws -> Answer
  ) async throws -> (answer: Answer, isComplete: Bool) {
    try await blocking { [feed] in
      try feed.refresh()
      let now = WallTime.current
      return (try feed.read { index, status in try body(index, status, now) }, feed.isComplete)
    }
  }

  /// Waits until the whole log has been read, but not for ever; whether it has.
  func historyIsLoaded(within patience: Duration) async -> Bool {
    let deadline = ContinuousClock.now + patience
    while ContinuousClock.now < deadline {
      if (try? await blocking { [feed] in feed.isComplete }) ?? false { return true }
      try? await Task.sleep(for: .milliseconds(20))
    }
    return false
  }

  /// Runs what may block on a thread that may.
  package func blocking<Answer: Sendable>(_ body: @escaping @Sendable () throws -> Answer) async throws -> Answer {
    try await threads.runIfActive(body)
  }

  /// The configuration as it was at most a second ago; reads files, so only for `blocking`.
  package var configuration: Configuration { current.configuration }

  var keys: WebKeys { current.keys }

  /// A look at the spool at this moment; only for `blocking`.
  package func reader() -> SpoolReader { SpoolReader(spool, configuration: configuration, now: .current) }

  /// What tokens are judged by; without a change of threads while it is known.
  func judging() async throws -> (keys: WebKeys, web: WebSettings) {
    let known: Cached
    if let fresh { known = fresh } else { known = try await blocking { self.current } }
    return (known.keys, known.configuration.settings.web)
  }

  private var fresh: Cached? {
    cached.withLockedValue { $0 }.flatMap { ContinuousClock.now - $0.readAt < .seconds(1) ? $0 : nil }
  }

  private var current: Cached {
    let now = ContinuousClock.now
    if let fresh { return fresh }
    // Two may do this at once, which costs nothing but time.
    let configuration = Configuration.load(spool: spool.path, config: configPath)
    let fresh = Cached(configuration: configuration, keys: WebKeys(configuration), readAt: now)
    cached.withLockedValue { $0 = fresh }
    return fresh
  }
}
