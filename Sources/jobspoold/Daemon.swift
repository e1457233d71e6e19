/// One run of the daemon, from the lock to the last line of the audit log.
internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobHandlers
internal import JobModel
internal import JobSecrets
internal import Logging
internal import SpoolConfig
internal import SpoolStore

final class Daemon {
  private let spool: Spool
  private let configPath: String?
  private let logger: Logger
  private let node: String
  private let lock: SpoolLock
  private let loop: EventLoop
  private let engine: Engine
  private let runner: HandlerRunner
  private let arrivals: Arrivals
  private let web: WebProgram?
  private let manager: ServiceManager?

  /// Takes the lock and ends what an earlier daemon left running.
  init(spool path: String, config: String?, startsWeb: Bool) throws {
    var logger = Logger(label: "jobspoold") { _ in
      if let journal = JournalLog() { return journal }
      return StderrLog()
    }
    logger.logLevel = .info
    self.logger = logger
    configPath = config
    // Job files and logs are nobody else's by default; the packaged spool opens what it wants to by ACL.
    umask(0o027)
    // What lets the daemon read the files of producers is not for handlers.
    guard spool_clear_ambient() == 0 else {
      throw Failure(exit: 71, message: "cannot give up ambient capabilities: \(String(cString: strerror(errno)))")
    }
    Daemon.raiseDescriptorLimit()
    do {
      loop = try EventLoop()
      manager = ServiceManager(loop)
      spool = try Spool(path)
      let configuration = Configuration.load(spool: spool.path, config: config)
      try Daemon.check(configuration)
      node = configuration.settings.node ?? Daemon.hostName
      // A command that acts on a spool without a daemon is done in moments, and would leave it without one.
      lock = try SpoolLock(spool, node: node, program: "jobspoold", patience: 10) { [logger] holder in
        logger.notice("waiting for \(holder), which holds the spool")
      }
      try Daemon.waitForRoom(spool, logger)
      try spool.checkRename()
      let token = try HandlerToken.load(spool)
      let ended = Survivors.killAll(token: token)
      if ended > 0 { logger.notice("ended \(ended) handlers that an earlier daemon left running") }
      let effects = Effects.real(logger: logger)
      let audit = try AuditLog(spool, node: node, now: effects.now())
      let settings = Daemon.settings(configuration, spool, config, logger)
      arrivals = Arrivals(spool, loop: loop, logger: logger) { [spool] in
        Configuration.load(spool: spool.path, config: config)
      }
      runner = try HandlerRunner(
        loop: loop, ownsProcess: true, otherChildren: { [arrivals] in arrivals.pids },
        remark: { logger.warning("\($0)") })
      engine = Engine(
        spool: spool, transitions: Transitions(spool, audit: audit), settings: settings, node: node, token: token,
        runner: runner, loop: loop, effects: effects)
      web =
        startsWeb ? WebProgram(spool: spool.path, config: config, loop: loop, engine: engine, logger: logger) : nil
    } catch let error as SpoolError {
      throw Failure(exit: error.code.exit, message: error.description)
    }
  }

  /// Runs until it is stopped.
  func run() throws {
    do {
      // Before any thread is made, or that thread would take the signals.
      for signal in [SIGTERM, SIGINT] { try loop.onSignal(signal) { [engine] in engine.stop() } }
      try loop.onSignal(SIGHUP) { [engine] in engine.reloadConfiguration(by: "SIGHUP") }
      let started = EventLoop.now
      engine.news = { [manager] in manager?.hear($0) }
      try engine.start(
        reload: { [spool, configPath, runner, logger, web] in
          let configuration = Configuration.load(spool: spool.path, config: configPath)
          try Daemon.check(configuration, separator: "; ")
          runner.keepWorkers(of: configuration.handlers)
          web?.configure(configuration.settings.web.listen)
          return Daemon.settings(configuration, spool, configPath, logger)
        },
        stopped: { [loop, runner] in runner.close { loop.stop() } })
      arrivals.start(engine)
      web?.configure(Configuration.load(spool: spool.path, config: configPath).settings.web.listen)
      manager?.ready()
      logger.notice(
        "jobspoold \(jobspoolVersion) runs on \(spool.path), started in \((EventLoop.now - started).inMilliseconds) ms")
      // Parsing arguments and configuration touched most of the program once; running jobs needs a fraction of it.
      loop.after(.seconds(1)) { _ = spool_release_text() }
      if getpid() == 1 { reapOrphans() }
      try loop.run()
      arrivals.stop()
      web?.stop()
      logger.notice("stopped")
    } catch let error as SpoolError {
      throw Failure(exit: error.code.exit, message: error.description)
    } catch let error as EventLoop.Failure {
      throw Failure(exit: 71, message: error.description)
    }
  }

  /// In a container, what others started there (`podman exec`) becomes ours when its parent ends.
  private func reapOrphans() {
    loop.after(.seconds(5)) { [unowned self] in
      runner.reapStrangers()
      reapOrphans()
    }
  }

  /// A start has to write before it can do anything: its line in the log, the records of what was interrupted. On a full
  /// disk it waits for room, as a running daemon does.
  private static func waitForRoom(_ spool: Spool, _ logger: Logger) throws(SpoolError) {
    var isFirst = true
    while try FreeSpace(spool).bytes < Limits.roomAfterFullDisk {
      if isFirst { logger.warning("the disk of \(spool.path) is full; the start waits for room on it") }
      isFirst = false
      sleep(1)
    }
  }

  private static func check(_ configuration: Configuration, separator: String = "\njobspoold: ") throws(Failure) {
    let errors = configuration.settingsErrors
    guard errors.isEmpty else {
      throw Failure(exit: 78, message: errors.map(\.description).joined(separator: separator))
    }
  }

  private static func settings(
    _ configuration: Configuration, _ spool: Spool, _ config: String?, _ logger: Logger
  ) -> EngineSettings {
    var settings = EngineSettings(configuration)
    settings.schemas = configuration.schemas
    prepareSecrets(configuration, logger, &settings)
    settings.handlers[Notice.type] = NoticeHandler.settings(configuration, spool: spool.path, config: config)
    return settings
  }

  /// The key, when some handler has something to seal. Without it these types wait; the others run.
  private static func prepareSecrets(
    _ configuration: Configuration, _ logger: Logger, _ settings: inout EngineSettings
  ) {
    let pointers = configuration.handlers.mapValues { $0.encrypt.compactMap(JSONPointer.init) }.filter {
      !$0.value.isEmpty
    }
    guard !pointers.isEmpty else { return }
    do throws(SecretProblem) {
      let environment = Daemon.keyFile
      let (key, isNew) = try DataKey.prepare(in: configuration.folder, environment: environment)
      if isNew {
        let path = DataKey.file(in: configuration.folder, environment: environment)
        logger.notice("made a key for encrypt: \(path); keep a copy of it")
      }
      settings.secrets = Secrets(key, pointers)
    } catch {
      for type in pointers.keys {
        settings.handlers[type] = nil
        settings.schemas[type] = nil
        settings.broken[type] = "encrypt needs its key: \(error.message)"
      }
    }
  }

  /// Where the private key is, if not beside the configuration: what the environment says, or the copy that systemd made
  /// (`LoadCredential=data.key:…`).
  private static var keyFile: String? {
    if let set = getenv(DataKey.environmentVariable) { return String(cString: set) }
    guard let folder = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }) else { return nil }
    let path = "\(folder)/data.key"
    return access(path, F_OK) == 0 ? path : nil
  }

  private static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // It becomes part of file names.
    return String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") ? $0 : "-" })
  }

  /// Every running job holds a handful of descriptors; the soft limit of 1,024 is for programs that use select(2).
  private static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

extension EngineSettings {
  init(_ configuration: Configuration) {
    self.init(
      daemon: configuration.settings, handlers: configuration.handlers,
      broken: configuration.brokenHandlers.mapValues { $0.map(\.description).joined(separator: "; ") },
      handlersFolder: "\(configuration.folder)/handlers",
      schedules: configuration.schedules,
      brokenSchedules: configuration.brokenSchedules.mapValues { $0.map(\.description).joined(separator: "; ") })
  }
}
