/// Makes a spool of a backup: copies it, puts every job where the log says that it was, and lets recovery do what it does
/// after a power cut. A daemon may be started on the result on any machine.
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct RestoreRun {
  let rsync: Rsync
  /// The folder of one generation, without a slash at its end; perhaps on another machine.
  let source: String
  let manifest: BackupManifest

  struct Report {
    var restoration = Restoration.Report()
    var recovery = Recovery.Report()
    var fsck: Fsck
  }

  /// Finds the backup: `path` is one, or a folder of generations with `latest`.
  init(_ path: String, rsync: Rsync) throws {
    self.rsync = rsync
    let place = BackupPlace(path, rsync: rsync)
    for candidate in [place.path, "\(place.path)/latest"] {
      let scratch = try ScratchFolder()
      let filters = ["--include=/\(BackupManifest.name)", "--exclude=*"]
      guard try rsync.list(filters, at: "\(candidate)/\(BackupManifest.name)") != nil else { continue }
      try rsync.copy([], from: "\(candidate)/\(BackupManifest.name)", to: "\(scratch.path)/")
      source = candidate
      manifest = try BackupManifest(
        try Input.read("\(scratch.path)/\(BackupManifest.name)"), path: "\(candidate)/\(BackupManifest.name)")
      return
    }
    throw Failure(
      "there is no backup at \(Console.plain(path)): neither there nor in its folder 'latest' is a "
        + "\(BackupManifest.name), without which a backup is unfinished", exit: 66)
  }

  /// Refuses a folder that holds anything it could be mixed with.
  static func check(target: String) throws {
    guard access(target, F_OK) == 0 else { return }
    guard let spool = try? Spool(target) else {
      guard let stream = opendir(target) else { throw SpoolError(doing: "listing", path: target, .current) }
      defer { closedir(stream) }
      while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." {
          throw Failure("\(target) is not empty, and no spool; restore to a new folder", exit: 73)
        }
      }
      return
    }
    if let holder = SpoolLock.holder(spool) {
      throw Failure("\(holder.program) runs on \(target), pid \(holder.pid); stop it first", exit: 75)
    }
    var isUsed = try !AuditFile.list(spool).isEmpty
    for state in JobState.allCases { isUsed = try isUsed || !Scan.ids(in: state, of: spool).isEmpty }
    guard !isUsed else { throw Failure("\(target) holds jobs or a log already; restore to a new folder", exit: 73) }
  }

  /// Copies it to `target`; the configuration to `configFolder`, when it was not part of the spool.
  func copy(to target: String, configFolder: String?, bar: ProgressBar) throws {
    // The spool last: a copy gives the folder it fills owner and mode of the one it reads, and those must be the spool's.
    if manifest.configFolder != nil {
      try rsync.copy(["--mkpath"], from: "\(source)/config/", to: "\(configFolder ?? target)/")
    }
    try rsync.copy(
      ["--mkpath", "--exclude=/\(BackupManifest.name)", "--exclude=/config"], from: "\(source)/", to: "\(target)/",
      bar: bar)
  }

  /// Everything after the copy. As root, we become the owner of the spool for it.
  func settle(_ target: String, _ options: SpoolOptions, config: String?) throws -> Report {
    let spool = try Spool(target)
    let configuration = Configuration.load(spool: spool.path, config: config)
    let reader = SpoolReader(spool, configuration: configuration, now: .current)
    let operations = Operations(reader: reader)
    let by = Operations.asker
    try addSecrets(spool)
    try operations.becomeOwner()
    let lock = try SpoolLock(spool, node: operations.node, program: "jobspool")
    defer { withExtendedLifetime(lock) {} }
    let now = WallTime.current
    try Restoration.cutLog(of: spool, to: manifest)
    let audit = try AuditLog(spool, node: operations.node, now: now)
    let transitions = Transitions(spool, audit: audit)
    var report = Report(fsck: Fsck(spool, now: now))
    report.restoration = try Restoration(transitions: transitions, manifest: manifest).run()
    let recovery = Recovery(
      transitions: transitions, maxJobBytes: configuration.settings.maxJobBytes, now: now,
      policy: { configuration.handlers[$0]?.retry }, random: { .random(in: 0..<1) })
    report.recovery = try recovery.run()
    report.recovery.repaired += try recovery.completeTornEnds()
    try note(report, audit, now, by)
    return report
  }

  /// The folder for keys, which a backup without them leaves out.
  private func addSecrets(_ spool: Spool) throws {
    let path = "\(spool.path)/secret"
    guard access(path, F_OK) != 0 else { return }
    let owner: FileStatus
    do throws(Errno) { owner = try spool.syscalls.status(spool.descriptor(JobState.cur)) } catch {
      throw SpoolError(doing: "looking at the folder", path: "\(spool.path)/cur", error)
    }
    guard mkdir(path, 0o700) == 0, geteuid() != 0 || chown(path, owner.uid, gid_t.max) == 0 else {
      throw SpoolError(doing: "making the folder", path: path, .current)
    }
  }

  private func note(_ report: Report, _ audit: AuditLog, _ now: WallTime, _ by: String) throws {
    try audit.append(.recovered, at: now, by: by) { writer in
      writer.key("backup")
      writer.time(manifest.endedAt)
      for (key, count) in [
        ("crashed", report.recovery.crashed), ("completed", report.recovery.completed),
        ("returned", report.recovery.returned), ("twins", report.recovery.twins),
        ("repaired", report.recovery.repaired),
      ] {
        writer.key(escaping: key)
        writer.int(count)
      }
    }
    try audit.commit()
  }
}
