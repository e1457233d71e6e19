/// The part of `doctor` that looks at configuration, programs and what runs.
internal import CSpoolShims
internal import Glibc
internal import JobHandlers
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore
internal import SpoolWatch

extension Doctor {
  mutating func checkConfiguration() {
    let errors = configuration.errors
    for problem in errors.prefix(5) { bad("configuration", problem.description, "see docs/CONFIGURATION.md") }
    if errors.count > 5 {
      bad("configuration", "\(errors.count - 5) more mistakes", "'jobspool config check' shows all")
    }
    for note in configuration.notes.prefix(5) { warn("configuration", note.description, "'jobspool config check'") }
    if errors.isEmpty { ok("configuration", configuration.file ?? "none, all is default") }
  }

  /// Who writes these files says what the daemon runs; who reads jobspool.toml knows the secrets of webhooks.
  mutating func checkConfigurationFiles() {
    let before = findings.count
    let folder = configuration.folder
    let handlers = configuration.handlers.values.sorted { $0.type < $1.type }
    let folders = ["\(folder)/handlers", "\(folder)/schedules"]
    let programs = handlers.compactMap(\.command.first).filter { $0.hasPrefix("/") }
    let schedules = configuration.schedules.values.map(\.file).sorted()
    var seen = Set<String>()
    for path in [configuration.file, folder].compactMap({ $0 }) + folders + handlers.map(\.file) + schedules + programs
    where !path.isEmpty && seen.insert(path).inserted {
      guard let status = Doctor.status(path), status.st_mode & 0o002 != 0 else { continue }
      bad(
        "configuration", "everybody may write to \(path) (mode 0\(Doctor.mode(status))), and say what is run",
        "chmod o-w \(path)")
    }
    if let file = configuration.file, let status = Doctor.status(file), status.st_mode & 0o004 != 0,
      configuration.settings.notices.contains(where: { $0.webhook != nil })
    {
      // The address of a webhook is often as good as its secret.
      warn(
        "secrets", "\(file) holds addresses and secrets of webhooks, and everybody may read it",
        "chmod o-r \(file); setfacl -m u:USER:r \(file) for the users of the daemon and of the web program")
    }
    if findings.count == before { ok("configuration", "its files can be changed by those they belong to alone") }
  }

  mutating func checkHandlers() {
    let handlers = configuration.handlers.values.sorted { $0.type < $1.type }
    guard !handlers.isEmpty else {
      return warn(
        "handlers", "there are none in \(configuration.folder)/handlers, so every job is rejected",
        "write TYPE.toml there; see docs/HANDLERS.md")
    }
    var missing = 0
    for handler in handlers {
      do throws(ProgramLookup.Problem) {
        _ = try ProgramLookup.find(
          handler.command.first ?? "", folder: ConfigFolder.of(handler.file),
          searchPath: Console.environment("PATH") ?? "/usr/bin:/bin")
      } catch {
        missing += 1
        bad("handlers", "\(handler.type): \(error.message)", "install it, or correct command in \(handler.file)")
      }
    }
    if missing == 0 { ok("handlers", "\(handlers.count), each with its program") }
  }

  /// Other programs that are called.
  mutating func checkTools() {
    let handlers = configuration.handlers.values
    let notices = configuration.settings.notices
    var wanted: [(name: String, package: String, use: String, isNeeded: Bool)] = [
      ("rsync", "rsync", "backup and restore", false)
    ]
    if notices.contains(where: { $0.webhook != nil }) { wanted.append(("curl", "curl", "webhooks", true)) }
    if handlers.contains(where: { $0.user != nil }) { wanted.append(("setpriv", "util-linux", "user", true)) }
    if handlers.contains(where: { $0.limits != .init() }) { wanted.append(("prlimit", "util-linux", "limits", true)) }
    var found: [String] = []
    for tool in wanted {
      if ChildProgram.find(tool.name) != nil {
        found.append(tool.name)
      } else if tool.isNeeded {
        bad("programs", "\(tool.name) is not installed; \(tool.use) need it", "apt-get install \(tool.package)")
      } else {
        warn("programs", "\(tool.name) is not installed; \(tool.use) need it", "apt-get install \(tool.package)")
      }
    }
    if found.count == wanted.count { ok("programs", found.joined(separator: ", ")) }
  }

  /// jobspool-watch is there, and the kernel gives it the watches it asks for.
  mutating func checkWatching() {
    let limits = ["max_user_watches", "max_user_instances"].map { name -> String in
      let text = (try? Input.read("/proc/sys/fs/inotify/\(name)")).map { String(decoding: $0, as: UTF8.self) } ?? "?"
      return "\(name) \(text.filter { $0 != "\n" })"
    }
    let folders = ["new", "done", "dead"].filter { access("\(spool.path)/\($0)", R_OK) == 0 }
    guard !folders.isEmpty else {
      return warn("wake-ups", "not tried: this user may not list the folders", "run it as root")
    }
    let watcher = Watcher(folders.map { "\(spool.path)/\($0)" })
    do throws(WatchProblem) { try watcher.start() } catch {
      return bad("wake-ups", error.message, "until then jobs are found by looking, every few seconds")
    }
    for event in watcher.next(timeout: .seconds(10)) {
      if case .ended(let reason) = event {
        return bad("wake-ups", reason, "raise the sysctl fs.inotify.max_user_watches or max_user_instances")
      }
      if event == .lookAgain { return ok("wake-ups", "jobspool-watch works; \(limits.joined(separator: ", "))") }
    }
    bad("wake-ups", "jobspool-watch says nothing", "run it by hand: jobspool-watch \(spool.path)/new")
  }

  mutating func checkDaemon() {
    if let holder = reader.holder, holder.program == "jobspoold" {
      if holder.node != Operations(reader: reader).node {
        bad("daemon", "runs on another machine, \(holder.node) (pid \(holder.pid))", "one spool, one machine: stop one")
      } else if let status = reader.status, status.version != jobspoolVersion {
        warn(
          "daemon", "pid \(holder.pid) is version \(status.version), this is \(jobspoolVersion)",
          "restart the daemon after an upgrade")
      } else {
        ok("daemon", "runs, pid \(holder.pid), version \(jobspoolVersion)")
      }
    } else if let holder = reader.holder {
      warn("daemon", "none runs; \(holder.program), pid \(holder.pid), has the spool", "wait until it is done")
    } else {
      let claimed = (try? Scan.ids(in: .cur, of: spool).count) ?? 0
      let left = claimed > 0 ? ", and \(claimed) jobs were running when it went down" : ""
      warn("daemon", "none runs\(left)", "jobspoold --spool \(spool.path)")
    }
    for alert in reader.status?.alerts ?? [] {
      warn("alert", "\(alert.code): \(alert.message)", "docs/OPERATING.md has the symptoms")
    }
  }

  mutating func checkWeb() {
    guard let listen = configuration.settings.web.listen else { return ok("web", "not switched on ([web] listen)") }
    // Beside this program, where the daemon looks besides, and where the package has it.
    let places =
      [Doctor.ownFolder, "/usr/sbin", "/usr/lib/jobspool"].compactMap { $0.map { "\($0)/jobspool-web" } }
    guard places.contains(where: { access($0, X_OK) == 0 }) else {
      return warn(
        "web", "[web] listen = \"\(listen)\", but jobspool-web is neither at \(places.joined(separator: " nor at "))",
        "install it, or remove the line; jobs run without it")
    }
    guard let isAnswered = Doctor.answers(listen) else { return ok("web", "jobspool-web is to listen on \(listen)") }
    if isAnswered {
      ok("web", "something listens on \(listen)")
    } else if reader.hasDaemon {
      warn("web", "nothing listens on \(listen)", "look at the daemon's log, or start jobspool-web")
    } else {
      ok("web", "jobspool-web is there; nothing listens on \(listen) while no daemon runs")
    }
  }

  /// Whether a connection to `HOST:PORT` of this machine is taken; nil for what is no address in digits.
  private static func answers(_ listen: String) -> Bool? {
    guard let colon = listen.lastIndex(of: ":"), let port = UInt16(listen[listen.index(after: colon)...]), port > 0
    else { return nil }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    let host = listen[..<colon] == "localhost" ? "127.0.0.1" : String(listen[..<colon])
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard fd >= 0 else { return nil }
    defer { close(fd) }
    let done = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if done == 0 { return true }
    guard errno == EINPROGRESS else { return false }
    var waiting = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
    guard poll(&waiting, 1, 1000) > 0 else { return false }
    var failure: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size)
    return failure == 0
  }

  private static var ownFolder: String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard length > 0 else { return nil }
    return ConfigFolder.of(String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  mutating func checkStaging() {
    guard let stale = try? Fsck.staleStaging(spool, now: reader.now) else {
      return warn("staging", "tmp/ cannot be listed", "run it as root")
    }
    guard let first = stale.first else { return ok("staging", "nothing stale in tmp/") }
    warn(
      "staging", "\(stale.count) files in tmp/ are older than \(Limits.sweepStagingSeconds / 3600) h, such as \(first)",
      "the daemon sweeps them; without one: jobspool fsck --repair")
  }

  mutating func checkLog() {
    do throws(SpoolError) {
      let check = try AuditCheck(spool)
      for fault in check.damage.prefix(3) {
        bad("log", "\(fault)", "'jobspool audit verify' shows all; restore a copy")
      }
      for (node, sequence) in check.unexplained.sorted(by: { $0.key < $1.key }) {
        warn("log", "\(node) begins at line \(sequence), which no line explains", "restore the missing files")
      }
      if check.damage.isEmpty {
        let heads = check.heads.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.prefix(12))…" }
        let head = heads.isEmpty ? "" : "; head \(heads.joined(separator: ", "))"
        ok("log", "\(ProgressBar.grouped(check.lines)) lines, the chain holds\(head)")
      }
    } catch { bad("log", error.description, "run it as root, or as the owner of the spool") }
  }
}

enum ConfigFolder {
  /// The folder of a file.
  static func of(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
