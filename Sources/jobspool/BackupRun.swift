/// Takes one backup of a spool that may be working meanwhile.
///
///     note which jobs there are, and how long the log is      everything accepted by now must be in it
///     copy everything                                         jobs move meanwhile; some are missed, some come twice
///     copy the log: this is the moment the backup stands for
///     copy what is missing still, until nothing is            these may be ahead of the log; a restore knows which
///     copy backup.json                                        now it is a backup
///
/// What a file lacks of the end of its job, the log has; what it is ahead, a restore takes back (`Restoration`). Only what
/// the log has not in itself, such as a large result, must come from the file, and is copied once more.
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct BackupRun {
  let spool: Spool
  let configuration: Configuration
  let place: BackupPlace
  let withSecrets: Bool
  let bar: ProgressBar

  struct End {
    var name: String
    var manifest: BackupManifest
    var rounds: Int
  }

  private var rsync: Rsync { place.rsync }
  private var source: String { "\(spool.path)/" }

  /// Never copied: staging, requests, what only the running daemon means, and what is derived: the agenda's checkpoint goes
  /// by inodes, which a copy has others of, and the log's index is rewritten meanwhile.
  private static let excluded = [
    "/tmp/*", "/ctl/*.json", "/ctl/*.reply", "/ctl/.*", "/lock", "/status.json", "/secret", "/\(BackupManifest.name)",
    "/log/agenda.checkpoint", "/log/.agenda.checkpoint", "/log/index",
  ]
  /// So often a job is looked for that moves while it is copied, and the log copied.
  private static let roundLimit = 10
  private static let logLimit = 3

  /// - Parameter base: an earlier generation, whose unchanged files become links.
  func take(named name: String, base: String?) throws -> End {
    let startedAt = WallTime.current
    let target = "\(place.path)/\(name)/"
    var manifest = BackupManifest(
      program: jobspoolVersion, node: configuration.settings.node ?? Operations.hostName, spool: spool.path,
      startedAt: startedAt)
    manifest.began = try LogMark(spool)
    manifest.hasSecrets = withSecrets
    var required = try BackupRun.jobs(of: spool)

    let excludes = BackupRun.excluded.map { "--exclude=\($0)" }
    let links = base.map { ["--link-dest=../\($0)"] } ?? []
    try rsync.copy(["--mkpath"] + links + excludes, from: source, to: target, bar: bar)
    try copyConfiguration(to: target, &manifest)

    var rounds = 0
    repeat {
      rounds += 1
      manifest.log = try LogMark(spool)
      try rsync.copy(
        ["--include=/audit-*.jsonl", "--include=/rollup-*", "--exclude=*"], from: "\(spool.path)/log/",
        to: "\(target)log/")
      let changes = try manifest.log.changes(since: manifest.began, in: spool)
      required.formUnion(changes.jobs)
      required.subtract(changes.gone)
      try fetchMissing(required, changes, to: target, &manifest)
      // A job whose file had to be copied may have moved on meanwhile: the log is taken again, with that in it. Some always
      // do when much is going on; what cannot be had so runs again.
    } while try rounds < BackupRun.logLimit && hasMovedOn(manifest)

    manifest.endedAt = .current
    try finish(manifest, name, target)
    return End(name: name, manifest: manifest, rounds: rounds)
  }

  /// Everything with a file now, or with one at some moment of the look: in the direction jobs move, and round again.
  private static func jobs(of spool: Spool) throws(SpoolError) -> Set<String> {
    var jobs = Set<String>()
    for state in [JobState.new, .cur, .hold, .done, .dead, .new, .cur] {
      jobs.formUnion(try Scan.ids(in: state, of: spool))
    }
    return jobs
  }

  /// Every file a job may have, wherever it is.
  private static func files(of jobs: some Sequence<String>) -> [String] {
    jobs.flatMap { id in
      JobState.allCases.map { "\($0.rawValue)/\(id).json" } + ["dead/\(id).bad", "log/jobs/\(id).log"]
    }
  }

  /// Copies jobs that the copy has no file of, and those whose files hold what the log does not.
  private func fetchMissing(
    _ required: Set<String>, _ changes: LogChanges, to target: String, _ manifest: inout BackupManifest
  ) throws {
    var late = changes.fileOnly.subtracting(changes.gone)
    if !late.isEmpty { try rsync.copy([], files: BackupRun.files(of: late), from: source, to: target) }
    for _ in 0..<BackupRun.roundLimit {
      let absent = required.subtracting(try copied(at: target, &manifest))
      // What is in no folder now either has been removed since; its line is behind the moment of this backup.
      let missing = try absent.filter { (id) in try spool.state(of: id) != nil || spool.state(of: id) != nil }
      manifest.late = late.sorted()
      manifest.removed = absent.subtracting(missing).sorted()
      if missing.isEmpty { return }
      late.formUnion(missing)
      try rsync.copy([], files: BackupRun.files(of: missing), from: source, to: target)
    }
    throw Failure(
      "jobs move faster than they can be copied; pause the queue for a moment ('jobspool pause') and try again",
      exit: 75)
  }

  /// The ids that the copy has files of.
  private func copied(at target: String, _ manifest: inout BackupManifest) throws -> Set<String> {
    let folders = JobState.allCases.map(\.rawValue)
    let arguments =
      ["-r"] + folders.flatMap { ["--include=/\($0)/", "--include=/\($0)/*.json"] } + ["--exclude=*"]
    guard let paths = try rsync.list(arguments, at: target) else { return [] }
    var ids = Set<String>()
    manifest.jobs = [:]
    for path in paths {
      guard let slash = path.firstIndex(of: "/"), let id = JobID.fromFileName(String(path[path.index(after: slash)...]))
      else { continue }
      ids.insert(id)
      manifest.jobs[String(path[..<slash]), default: 0] += 1
    }
    return ids
  }

  /// Whether one of the jobs whose file alone tells all has changed since the log was copied.
  private func hasMovedOn(_ manifest: BackupManifest) throws -> Bool {
    guard !manifest.late.isEmpty else { return false }
    let inTime = try manifest.log.changes(since: manifest.began, in: spool)
    let since = try LogMark(spool).changes(since: manifest.log, in: spool)
    return !inTime.fileOnly.isDisjoint(with: since.jobs)
  }

  private func copyConfiguration(to target: String, _ manifest: inout BackupManifest) throws {
    let folder = configuration.folder
    let isOwn = folder == spool.path || Spool.isSame(folder, spool.path)
    if !isOwn {
      manifest.configFolder = folder
      let file = configuration.file.map { String($0.suffix(from: ($0.lastIndex(of: "/") ?? $0.startIndex))) }
      let names = [file ?? "/jobspool.toml", "/data.pub", "/handlers", "/handlers/***", "/schedules", "/schedules/***"]
      try rsync.copy(
        ["--mkpath"] + names.map { "--include=\($0)" } + ["--exclude=/*"], from: "\(folder)/", to: "\(target)config/")
    }
    guard withSecrets, access("\(folder)/secret", F_OK) == 0 else { return }
    // The mark of this spool's own handlers must stay its own.
    try rsync.copy(
      ["--exclude=/handler.token", "--exclude=/.*"], from: "\(folder)/secret/",
      to: "\(target)\(isOwn ? "" : "config/")secret/")
  }

  private func finish(_ manifest: BackupManifest, _ name: String, _ target: String) throws {
    try sync()
    let scratch = try ScratchFolder()
    try scratch.write(manifest.json + [0x0A], to: BackupManifest.name)
    try rsync.copy(
      ["--fsync"], from: "\(scratch.path)/\(BackupManifest.name)", to: "\(target)\(BackupManifest.name)")
    try place.point(to: name)
    // The names of these two as well: who was told that it is whole may count on it.
    try sync()
  }

  /// Everything that was copied is on the disk; of another machine nobody can tell.
  private func sync() throws {
    guard !place.isRemote else { return }
    let fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard fd >= 0 else { throw SpoolError(doing: "opening the folder", path: place.path, .current) }
    defer { close(fd) }
    guard spool_syncfs(fd) == 0 else { throw SpoolError(doing: "syncing", path: place.path, .current) }
  }
}

extension Spool {
  static func isSame(_ one: String, _ other: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev
      && first.st_ino == second.st_ino
  }
}
