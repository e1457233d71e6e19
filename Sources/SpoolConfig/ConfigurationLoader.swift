/// Finds the files and reads them one by one; `Configuration` is what comes out.
internal import JobModel

struct ConfigurationLoader {
  private(set) var result = Configuration()
  /// nil once jobspool.toml could not be read: then nothing can be said about pools.
  private var pools: [String: Int]? = [:]

  mutating func load(spool: String, config: String?, system: String) {
    let candidates =
      config.map { [$0] }
      ?? [ConfigPath.join(spool, Self.fileName), ConfigPath.join(system, Self.fileName)]
    result.watchedFiles = candidates
    result.file = config ?? candidates.first(where: ConfigPath.exists)
    result.folder = result.file.map(ConfigPath.parent) ?? spool
    loadSettings()
    noteUnusedFolders(of: spool)
    loadFolder("handlers") { loader, stem, path in loader.loadHandler(stem, path) }
    loadFolder("schedules") { loader, stem, path in loader.loadSchedule(stem, path) }
    watch(candidates.map(ConfigPath.parent))
    let schemas = schemaFiles()
    watch(schemas.map(ConfigPath.parent))
    result.watchedFiles += schemas
  }

  private static let fileName = "jobspool.toml"

  private mutating func loadSettings() {
    guard let file = result.file else { return }
    let log = ProblemLog(file: file)
    if let root = parse(file, log: log) {
      result.settings = DaemonFile.settings(root, log: log)
      pools = result.settings.pools
    } else {
      pools = nil
    }
    result.problems += log.sorted
  }

  /// The root of a file; nil, and why, when there is none.
  private func parse(_ path: String, log: ProblemLog) -> TOMLNode? {
    switch ConfigPath.read(path) {
    case .absent: log.add("no such file")
    case .fault(let reason): log.add(reason)
    case .bytes(let bytes):
      do throws(TOMLFault) {
        return try TOMLNode.parse(bytes)
      } catch {
        log.add("not TOML: \(error.message)", at: (error.line, error.column))
      }
    }
    return nil
  }

  /// A spool's own handlers are silently dead once the configuration is elsewhere; say so.
  private mutating func noteUnusedFolders(of spool: String) {
    guard let file = result.file, result.folder != spool else { return }
    for name in ["handlers", "schedules"] {
      let folder = ConfigPath.join(spool, name)
      let used = ConfigPath.join(result.folder, name)
      guard ConfigPath.isFolder(folder), !ConfigPath.isSame(folder, used) else { continue }
      result.problems.append(
        ConfigProblem(
          file: folder, message: "not used, because the configuration is \(file) and \(name) are read beside it",
          severity: .note))
    }
  }

  private mutating func loadFolder(_ name: String, _ load: (inout Self, _ stem: String, _ path: String) -> Void) {
    let folder = ConfigPath.join(result.folder, name)
    watch([folder])
    switch ConfigPath.names(in: folder) {
    case .failure(let failure):
      result.problems.append(ConfigProblem(file: folder, message: failure.message))
    case .success(let names):
      for name in names where name.hasSuffix(".toml") {
        load(&self, String(name.dropLast(5)), ConfigPath.join(folder, name))
      }
    }
  }

  private mutating func loadHandler(_ type: String, _ path: String) {
    let log = ProblemLog(file: path)
    defer { result.problems += log.sorted }
    guard JobType.isValid(type) else { return log.add("the name before .toml is no job type: \(JobType.expected)") }
    guard !JobType.isReserved(type) else { return log.add("types beginning with jobspool. are reserved") }
    var handler = HandlerFile(type: type, file: path, pools: pools)
    if let root = parse(path, log: log), let settings = handler.settings(root, log: log) {
      result.handlers[type] = settings
      result.schemas[type] = handler.payloadSchema
    } else {
      result.brokenHandlers[type] = log.sorted
    }
  }

  private mutating func loadSchedule(_ name: String, _ path: String) {
    let log = ProblemLog(file: path)
    defer { result.problems += log.sorted }
    guard FileName.isPlain(name, atMost: ScheduleFile.nameLength) else {
      return log.add(
        "the name before .toml is no schedule's: at most \(ScheduleFile.nameLength) letters, digits, '.', '_' or '-',"
          + " beginning with a letter or digit")
    }
    let schedule = ScheduleFile(name: name, file: path)
    guard let root = parse(path, log: log), let settings = schedule.settings(root, log: log) else {
      result.brokenSchedules[name] = log.sorted
      return
    }
    result.schedules[name] = settings
    if result.handlers[settings.type] == nil, result.brokenHandlers[settings.type] == nil {
      ConfigReader(root, keys: .schedule, log: log).note(
        "type", "handlers/\(settings.type).toml is missing, so its jobs will be rejected")
    }
  }

  private func schemaFiles() -> [String] {
    Set(
      result.handlers.values.compactMap { handler in
        handler.schema.map { ConfigPath.resolve($0, besideFile: handler.file) }
      }
    ).sorted()
  }

  private mutating func watch(_ folders: [String]) {
    for folder in folders where !result.watchedFolders.contains(folder) && ConfigPath.isFolder(folder) {
      result.watchedFolders.append(folder)
    }
  }
}
