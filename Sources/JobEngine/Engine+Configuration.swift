/// Handler files, settings and schedules, as they are read anew while jobs run.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  /// Takes a new configuration; running attempts keep the one they started with.
  package func apply(_ new: EngineSettings) {
    var new = new
    // A bad edit keeps what was there before.
    for name in new.brokenSchedules.keys { new.schedules[name] = settings.schedules[name] }
    let old = settings.handlers
    let rerated = Set(new.handlers.values.filter { old[$0.type]?.rate != $0.rate }.map(\.type))
    settings = new
    slowArrivals.forgetVerdicts()
    // What waits is held by the values it was looked at with; under other rules it has others.
    let rekeyed = Set(
      new.handlers.values.filter { old[$0.type]?.serialBy != $0.serialBy || old[$0.type]?.rate != $0.rate }.map(\.type))
    if !rekeyed.isEmpty {
      for id in agenda.ids where agenda.waiting(id).map({ rekeyed.contains($0.type) }) ?? false { incoming.append(id) }
    }
    agenda.maxJobs = new.daemon.maxJobs
    forgiveReceivers()
    accounts.forgetMemberships()
    configureAgenda()
    if !rerated.isEmpty {
      do throws(SpoolError) { try rebuildRates(of: rerated, now: effects.now()) } catch { troubled(error) }
    }
    configureSchedules(effects.now())
    raiseBrokenSchedules()
    status.touch()
    // Names refused for want of a handler may have one now, and the other way round; a look decides.
    scan()
  }

  package func reloadConfiguration(by who: String) {
    guard let reload else { return }
    news?(.reloading)
    defer { news?(.reloaded) }
    do {
      let new = try reload()
      calm("config")
      guard new != settings else {
        // Who asks without an edit may have installed a missing program.
        probeBroken()
        return turnSoon()
      }
      try transitions.audit.append(.configReloaded, at: effects.now(), by: who)
      apply(new)
      logger.notice("configuration reloaded")
    } catch {
      raise("config", "the configuration was changed but does not load; the old one stays: \(error)")
    }
    turnSoon()
  }

  /// Whether the type has a handler file. One written a moment ago may come before its event: it is read now, since only a
  /// type without a file is unknown.
  func isKnown(_ type: String) -> Bool {
    if settings.handlers[type] != nil || settings.broken[type] != nil { return true }
    let path = "\(settings.handlersFolder)/\(type).toml"
    guard !settings.handlersFolder.isEmpty, !JobType.isReserved(type), access(path, F_OK) == 0 else { return false }
    reloadConfiguration(by: "a job of a new type")
    if settings.handlers[type] == nil, settings.broken[type] == nil {
      settings.broken[type] = "\(path) is there, but the configuration as a whole does not load"
      configureAgenda()
    }
    return true
  }

  func configureAgenda() {
    agenda.maxJobs = settings.daemon.maxJobs
    agenda.setPools(settings.daemon.pools)
    for (type, handler) in settings.handlers {
      let rate = handler.rate.flatMap { $0.over == .wait ? $0.rate : nil }
      agenda.configure(
        type, concurrency: handler.concurrency, pool: handler.pool, rate: rate, isBeside: type == Notice.type)
      calm("handler:\(type)")
    }
    for (type, reason) in settings.broken {
      agenda.configure(type, concurrency: 1, broken: reason)
      raise("handler:\(type)", "\(type) is paused, its handler file cannot be used: \(reason)")
    }
  }

  /// Types that could not start are tried again: the program may be there now.
  func probeBroken() {
    for type in agenda.types where type.broken != nil && settings.broken[type.name] == nil {
      agenda.markBroken(type.name, nil)
    }
  }
}
