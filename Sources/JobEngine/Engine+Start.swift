/// What a start does before the first turn: it makes good what a dead daemon left, and recalls what the spool says.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  /// Recovers what a dead daemon left, reads the switches in `ctl/`, and begins. Surviving handlers have been ended.
  ///
  /// - Parameters:
  ///   - reload: reads the configuration anew.
  ///   - stopped: called once, when a drain is complete and everything durable.
  package func start(reload: @escaping () throws -> EngineSettings, stopped: @escaping () -> Void) throws {
    self.reload = reload
    self.stopped = stopped
    let mailbox = try loop.mailbox(of: Committer.Outcome.self) { [unowned self] in committed($0) }
    committer = Committer(spool) { mailbox.post($0) }
    clerkMailbox = try loop.mailbox(of: ClerkReport.self) { [unowned self] in take($0) }
    let now = effects.now()
    try recallSchedules()
    configureSchedules(now)
    let previous = transitions.audit.previous
    try noteStart(now)
    configureAgenda()
    raiseBrokenSchedules()
    let left = try Scan.ids(in: .cur, of: spool)
    let recovery = Recovery(
      transitions: transitions, maxJobBytes: settings.daemon.maxJobBytes, now: now,
      policy: { [settings] in settings.handlers[$0]?.retry }, random: effects.random)
    // Not only after a power cut: a disk that failed and was mounted again lacks as much, and nothing tells of that.
    transitions.mendsTorn = !previous.wasClean
    let hadPowerCut = previous.hadPowerCut
    var behind = previous.wasClean ? 0 : try recovery.takeUpEnds(afterPowerCut: hadPowerCut)
    var report = try recovery.run()
    if !previous.wasClean {
      let completed = try recovery.completeTornEnds(afterPowerCut: hadPowerCut)
      report.repaired += completed
      behind += completed
    }
    for problem in report.problems { raise("recovery", problem) }
    if !report.isEmpty || hadPowerCut || behind > 0 {
      if hadPowerCut {
        logger.notice(
          "the machine went down with the daemon at work; \(behind) files were behind the log and are mended")
      } else if behind > 0 {
        logger.warning("the disk had lost what it was given: \(behind) files were behind the log and are mended")
      }
      logger.notice(
        "recovered \(report.crashed) interrupted, \(report.completed) finished, \(report.returned) unstarted jobs")
      try transitions.audit.append(.recovered, at: now) { writer in
        for (key, count) in [("crashed", report.crashed), ("completed", report.completed)] {
          writer.key(escaping: key)
          writer.int(count)
        }
        writer.key("returned")
        writer.int(report.returned)
        writer.key("twins")
        writer.int(report.twins)
        writer.key("repaired")
        writer.int(report.repaired)
      }
    }
    recallHeldBack()
    retell(left)
    if !previous.wasClean { carefulUntil = EventLoop.now + .seconds(Limits.carefulSeconds) }
    let index = try AuditIndex(spool)
    openIndex = index
    // An old spool has a long log and no index of it: the first scan waits for that once it has seen some names.
    indexIsFar = index.uncovered > 16 * IndexWriter.stretch
    // A new day leaves a file that is closed, and an old spool may have none of it.
    indexIsOwed = true
    try rebuildRates(now: now)
    try adoptFirings()
    beginRestore()
    readSwitches()
    checkSpace()
    loop.beforeWait = { [unowned self] in turn() }
    scan()
    scheduleRescan()
    keepHouse()
  }

  private func noteStart(_ now: WallTime) throws(SpoolError) {
    let audit = transitions.audit
    if audit.repaired > 0 {
      raise(
        "audit_repaired", "cut \(audit.repaired) bytes off the end of the audit log: what a crash left of torn lines")
    }
    try audit.append(.daemonStarted, at: now) { writer in
      writer.key("version")
      writer.string(jobspoolVersion)
      writer.key("pid")
      writer.int(getpid())
      writer.key("boot")
      writer.string(PreviousRun.bootID)
      schedules.write(to: &writer)
    }
    try audit.commit()
  }
}
