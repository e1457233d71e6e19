/// What `doctor` looks at and finds: whether this machine and this spool have what jobspool needs. Nothing is changed, except
/// for a probe in `tmp/` where we may write.
internal import CSpoolShims
internal import Glibc
internal import JobHandlers
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Doctor {
  enum Level: String, Comparable {
    case ok, warn, bad
    static func < (one: Level, other: Level) -> Bool { one.rank < other.rank }
    private var rank: Int { self == .ok ? 0 : self == .warn ? 1 : 2 }
  }

  struct Finding {
    var check: String
    var level: Level
    var message: String
    /// What to do; nil when all is well.
    var remedy: String?
  }

  let reader: SpoolReader
  private(set) var findings: [Finding] = []

  init(_ reader: SpoolReader) { self.reader = reader }

  var spool: Spool { reader.spool }
  var configuration: Configuration { reader.configuration ?? Configuration() }

  mutating func run() {
    checkFileSystem()
    checkPermissions()
    checkRename()
    checkDisk()
    checkClock()
    checkConfiguration()
    checkConfigurationFiles()
    checkHandlers()
    checkTools()
    checkSecrets()
    checkWatching()
    checkDaemon()
    checkWeb()
    checkStaging()
    checkLog()
  }

  var worst: Level { findings.map(\.level).max() ?? .ok }

  mutating func ok(_ check: String, _ message: String) {
    findings.append(Finding(check: check, level: .ok, message: message))
  }

  mutating func warn(_ check: String, _ message: String, _ remedy: String) {
    findings.append(Finding(check: check, level: .warn, message: message, remedy: remedy))
  }

  mutating func bad(_ check: String, _ message: String, _ remedy: String) {
    findings.append(Finding(check: check, level: .bad, message: message, remedy: remedy))
  }

  // MARK: The disk

  /// statfs(2)'s magic numbers.
  private static let fileSystems: [Int: String] = [
    0xEF53: "ext4", 0x5846_5342: "xfs", 0x9123_683E: "btrfs", 0x0102_1994: "tmpfs", 0x6969: "nfs", 0xFF53_4D42: "cifs",
    0xFE53_4D42: "smb", 0x794C_7630: "overlay", 0x6573_5546: "fuse", 0x2FC1_2FC1: "zfs", 0xF2F5_2010: "f2fs",
  ]

  private mutating func checkFileSystem() {
    // That all folders are on one, opening the spool has made sure of.
    let type = Int(spool_file_system(spool.root))
    guard type >= 0 else {
      return bad("file system", "cannot be asked: \(Doctor.reason)", "look at the mount of \(spool.path)")
    }
    let name = Doctor.fileSystems[type] ?? "type 0x" + String(type, radix: 16)
    var mount = statvfs()
    if fstatvfs(spool.root, &mount) == 0, mount.f_flag & UInt(ST_RDONLY) != 0 {
      bad(
        "file system", "\(name), read-only: nothing is accepted and nothing runs",
        "look in the kernel's log for errors of the disk, then: mount -o remount,rw")
    }
    switch name {
    case "tmpfs":
      warn(
        "file system", "tmpfs: all folders on one, but in memory; jobs are gone after a restart",
        "put the spool on a disk")
    case "overlay":
      warn(
        "file system", "overlay: the layer of a container, which goes with it", "mount a volume at \(spool.path)")
    case "nfs", "cifs", "smb", "fuse":
      bad(
        "file system", "\(name): renames and locks over it do not hold what jobspool promises",
        "put the spool on a local ext4, xfs or btrfs")
    default: ok("file system", "\(name), all folders on one")
    }
  }

  private mutating func checkRename() {
    guard access("\(spool.path)/tmp", W_OK) == 0 else {
      return warn("rename", "not tried: \(Operations.userName(geteuid())) may not write to tmp/", "run it as root")
    }
    do throws(SpoolError) {
      try spool.checkRename()
      ok("rename", "without replacing (RENAME_NOREPLACE) works")
    } catch { bad("rename", error.description, "put the spool on ext4, xfs, btrfs or tmpfs") }
  }

  private mutating func checkDisk() {
    guard let space = try? FreeSpace(spool) else {
      return bad("disk", "cannot be asked for free space: \(Doctor.reason)", "look at the mount of \(spool.path)")
    }
    let share = space.totalBytes > 0 ? space.bytes * 100 / space.totalBytes : 100
    let inodeShare = space.totalInodes > 0 ? space.inodes * 100 / space.totalInodes : 100
    let inodes = space.totalInodes > 0 ? ", \(ProgressBar.grouped(space.inodes)) inodes (\(inodeShare) %)" : ""
    let text = "\(SizeText.format((space.bytes >> 20) << 20)) free (\(share) %)\(inodes)"
    if space.isBelow(configuration.settings.minFree) {
      bad(
        "disk", "\(text), below min_free: nothing starts and nothing is accepted", "free some space, or lower min_free")
    } else if share < 10 || inodeShare < 10 {
      warn("disk", text, "free some space; 'jobspool shape done' shows what retention could remove earlier")
    } else {
      ok("disk", text)
    }
  }

  // MARK: Permissions

  private mutating func checkPermissions() {
    var owners = Set<UInt32>()
    var before = findings.count
    for folder in Spool.Folder.allCases {
      guard let status = try? spool.syscalls.status(spool.descriptor(folder)) else { continue }
      owners.insert(status.uid)
      let mode = String(status.mode, radix: 8)
      let path = "\(spool.path)/\(folder.rawValue)"
      let isForProducers = [.tmp, .new, .ctl].contains(folder)
      if status.mode & 0o002 != 0, !isForProducers || status.mode & 0o1000 == 0 {
        bad("permissions", "everybody may write to \(path) (mode 0\(mode))", "chmod o-w \(path)")
      } else if status.mode & 0o020 != 0, isForProducers, status.mode & 0o1000 == 0 {
        bad("permissions", "the group may remove each other's files in \(path) (mode 0\(mode))", "chmod +t \(path)")
      } else if status.mode & 0o020 != 0, !isForProducers {
        warn("permissions", "the group may write to \(path) (mode 0\(mode))", "chmod g-w \(path)")
      }
    }
    if let status = try? spool.syscalls.status(spool.root), status.mode & 0o002 != 0 {
      bad("permissions", "everybody may write to \(spool.path)", "chmod o-w \(spool.path)")
    }
    if owners.count > 1 {
      let names = owners.map(Operations.userName).sorted().joined(separator: ", ")
      bad("permissions", "the folders belong to several users: \(names)", "chown them all to the daemon's user")
    }
    before = findings.count - before
    if before == 0 { ok("permissions", "folders belong to \(owners.first.map(Operations.userName) ?? "nobody")") }
  }

  private mutating func checkSecrets() {
    var isSound = true
    var count = 0
    for folder in Set([spool.path, configuration.folder]).filter({ !$0.isEmpty }).sorted() {
      let secrets = "\(folder)/secret"
      guard let status = Doctor.status(secrets) else { continue }
      // Others may pass through to a key that its own mode guards, but neither list nor write.
      if status.st_mode & 0o026 != 0 {
        isSound = false
        bad("secrets", "\(secrets) is open to others (mode 0\(Doctor.mode(status)))", "chmod 700 \(secrets)")
      }
      for (name, forbidden, remedy) in [
        ("data.key", 0o077, "600"), ("web.key", 0o027, "640"), ("handler.token", 0o077, "600"),
      ] as [(String, mode_t, String)] {
        let path = "\(secrets)/\(name)"
        guard let status = Doctor.status(path) else { continue }
        count += 1
        guard status.st_mode & forbidden != 0 else { continue }
        isSound = false
        bad("secrets", "\(path) lets others in (mode 0\(Doctor.mode(status)))", "chmod \(remedy) \(path)")
      }
    }
    let sealing = configuration.handlers.values.filter { !$0.encrypt.isEmpty }.map(\.type).sorted()
    let key = "\(configuration.folder)/secret/data.key"
    if let type = sealing.first, access("\(configuration.folder)/data.pub", F_OK) == 0,
      Console.environment("JOBSPOOL_DATA_KEY_FILE") == nil, access(key, F_OK) != 0, errno == ENOENT
    {
      isSound = false
      bad("secrets", "\(key) is missing, without which \(type) cannot open its fields", "restore it from a backup")
    }
    if isSound { ok("secrets", "\(count) keys, each readable by those it is for alone") }
  }

  static func status(_ path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }

  static func mode(_ status: stat) -> String { String(status.st_mode & 0o7777, radix: 8) }
  static var reason: String { String(cString: strerror(errno)) }

  // MARK: The clock

  private mutating func checkClock() {
    var newest: WallTime?
    if let file = try? AuditFile.list(spool).last, let map = try? MappedFile(file.name, in: spool) {
      map.linesBackwards { line in
        newest = AuditLine(line)?.time
        return false
      }
    }
    if let newest, newest > reader.now + .seconds(2) {
      return bad(
        "clock", "\(Age.text(newest - reader.now)) behind the newest line of the log (\(newest.rfc3339))",
        "set the clock; until then new lines seem older than old ones")
    }
    if spool_clock_is_kept() == 0 {
      return warn("clock", "\(reader.now.rfc3339), synchronised with nothing", "switch on systemd-timesyncd or chrony")
    }
    ok("clock", "\(reader.now.rfc3339), synchronised")
  }
}
