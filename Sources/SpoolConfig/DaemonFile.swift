/// `jobspool.toml`: each key, its range and where it goes. Defaults are those of `DaemonSettings`.
internal import JobModel

enum DaemonFile {
  static func settings(_ root: TOMLNode, log: ProblemLog) -> DaemonSettings {
    KeyWalk(keys: .daemon, log: log).visit(root)
    let reader = ConfigReader(root, keys: .daemon, log: log)
    var settings = DaemonSettings()
    settings.maxJobs = reader.integer("max_jobs", in: 1...10_000) ?? settings.maxJobs
    settings.rescan = reader.duration("rescan", in: .seconds(1)...Duration.days(1)) ?? settings.rescan
    settings.drain = reader.duration("drain", in: .zero...Duration.days(1)) ?? settings.drain
    settings.node = node(reader)
    settings.minFree = reader.sizeLimit("min_free") ?? settings.minFree
    settings.maxJobBytes = reader.size("max_job_bytes", in: 1024...(1 << 30)) ?? settings.maxJobBytes
    settings.durability = reader.choice("durability") ?? settings.durability
    if let web = reader.section("web") { settings.web = self.web(web) }
    settings.retain = reader.retention("retain")
    if let pools = reader.section("pools") { settings.pools = self.pools(pools) }
    settings.notices = reader.sections("notify").map(notice)
    return settings
  }

  /// It becomes part of log file names.
  private static func node(_ reader: ConfigReader) -> String? {
    reader.value("node", "1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit") { node in
      node.plainText.flatMap { FileName.isPlain($0, atMost: 63) ? $0 : nil }
    }
  }

  private static func web(_ reader: ConfigReader) -> WebSettings {
    var web = WebSettings()
    let address = "HOST:PORT such as \"127.0.0.1:7733\" or \"[::1]:7733\", or \"unix:/path\""
    web.listen = reader.value("listen", address) { node in
      node.plainText.flatMap { isHostAndPort($0) || isSocketPath($0) ? $0 : nil }
    }
    web.key = reader.text("key")
    web.publicKey = reader.text("public_key")
    web.statsInterval =
      reader.duration("stats_interval", in: .milliseconds(100)...Duration.seconds(3600)) ?? web.statsInterval
    let origin = "an origin such as \"https://queue.example.org\", without a path"
    web.allowedOrigins =
      reader.list("allowed_origins", of: origin) { node in
        node.plainText.flatMap { isOrigin($0) ? $0 : nil }
      } ?? []
    if let roles = reader.section("roles") {
      for entry in roles.named {
        web.roles[entry.key] = roles.value(of: entry, oneOf(WebSettings.ownRoles)) { node in
          node.plainText.flatMap { WebSettings.ownRoles.contains($0) ? $0 : nil }
        }
      }
    }
    if let rates = reader.section("rate") {
      for entry in rates.named {
        web.rate[entry.key] = rates.value(of: entry, Rate.expected) { $0.plainText.flatMap(Rate.init(text:)) }
      }
    }
    return web
  }

  private static func isHostAndPort(_ text: String) -> Bool {
    guard let colon = text.lastIndex(of: ":") else { return false }
    let host = text[..<colon]
    let port = text[text.index(after: colon)...]
    let isAddress = host.hasPrefix("[") && host.hasSuffix("]")
    guard !host.isEmpty, isAddress || !host.contains(where: { $0 == ":" || $0 == "[" || $0.isWhitespace }),
      port.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 })
    else { return false }
    return UInt16(port) != nil
  }

  /// An absolute path, short enough for a socket's address.
  private static func isSocketPath(_ text: String) -> Bool {
    text.hasPrefix("unix:/") && text.utf8.count - 5 < 108 && !text.hasSuffix("/")
  }

  /// RFC 6454: scheme, host and perhaps a port.
  private static func isOrigin(_ text: String) -> Bool {
    for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
      let host = text.dropFirst(scheme.count)
      return !host.isEmpty && !host.contains { "/?#@\"' ".contains($0) || !$0.isASCII }
    }
    return false
  }

  private static func pools(_ reader: ConfigReader) -> [String: Int] {
    var pools: [String: Int] = [:]
    for entry in reader.named {
      guard let pool = reader.section(of: entry) else { continue }
      guard pool["concurrency"] != nil else {
        reader.refuse(entry.key, entry.node, "needs concurrency, how many of its jobs may run at once")
        continue
      }
      pools[entry.key] = pool.integer("concurrency", in: 1...10_000)
    }
    return pools
  }

  private static func notice(_ reader: ConfigReader) -> NoticeSettings {
    var notice = NoticeSettings()
    if reader["on"] == nil {
      reader.refuse("on", "is missing: a list of \(oneOf(NoticeSettings.occasions))")
    }
    notice.on =
      reader.list("on", of: oneOf(NoticeSettings.occasions), count: 0...NoticeSettings.occasions.count) { node in
        node.plainText.flatMap { NoticeSettings.occasions.contains($0) ? $0 : nil }
      } ?? []
    notice.types =
      reader.list("types", of: "a job type") { node in
        node.plainText.flatMap { JobType.isValid($0) ? $0 : nil }
      } ?? []
    notice.webhook = reader.value("webhook", "a URL beginning with https:// or http://") { node in
      node.plainText.flatMap { isURL($0) ? $0 : nil }
    }
    notice.format = reader.choice("format") ?? notice.format
    notice.command = reader.command("command") ?? []
    notice.secret = reader.value("secret", "whsec_ and base64 of at least 16 bytes, as the receiver shows it") { node in
      node.plainText.flatMap { NoticeSettings.signingKey($0) == nil ? nil : $0 }
    }
    notice.atMost = reader.value("at_most", Rate.expected) { $0.plainText.flatMap(Rate.init(text:)) } ?? notice.atMost
    switch (reader["webhook"] != nil, reader["command"] != nil) {
    case (true, true): reader.refuse("command", "either webhook or command, not both: write a second [[notify]]")
    case (false, false): reader.refuse("webhook", "is missing: a notice needs webhook or command")
    default: break
    }
    if reader["webhook"] == nil, reader["format"] != nil { reader.note("format", "only counts with webhook") }
    if reader["secret"] != nil, reader["webhook"] == nil || notice.format != .standard {
      reader.note("secret", "only counts with webhook and format = \"standard\"")
    }
    return notice
  }

  private static func isURL(_ text: String) -> Bool {
    for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
      return text.utf8.count > scheme.utf8.count && text.utf8.allSatisfy { $0 > 32 && $0 != 127 }
    }
    return false
  }
}
