/// Every key the three files accept, once: the reader may ask for no other, any other in a file is refused, and
/// docs/CONFIGURATION.md is compared with it. `NAME` stands for a name of the administrator's choosing.
package enum ConfigKeys: Sendable {
  case daemon, handler, schedule

  package var all: [String] {
    switch self {
    case .daemon:
      [
        "max_jobs", "rescan", "drain", "node", "min_free", "max_job_bytes", "durability",
        "web.listen", "web.stats_interval", "web.allowed_origins", "web.key", "web.public_key", "web.roles.NAME",
        "web.rate.NAME",
        "retain.done", "retain.dead", "retain.log", "retain.done_max", "retain.dead_max",
        "pools.NAME.concurrency",
        "notify.on", "notify.types", "notify.webhook", "notify.format", "notify.command", "notify.secret",
        "notify.at_most",
      ]
    case .handler:
      [
        "command", "mode", "processes", "recycle_after", "watch", "grace", "max_result_bytes",
        "concurrency", "pool", "serial_by", "timeout", "stalled_after",
        "max_attempts", "backoff.base", "backoff.factor", "backoff.max", "backoff.jitter", "delays",
        "rate.limit", "rate.per", "rate.by", "rate.over",
        "schema", "redact", "encrypt",
        "retain.done", "retain.dead", "retain.log", "retain.done_max", "retain.dead_max",
        "allow", "limits.memory", "limits.cpu", "limits.files", "limits.nice", "user", "env.NAME", "sla",
      ]
    case .schedule:
      [
        "cron", "timezone", "type", "payload", "description", "enabled", "overlap", "catch_up", "jitter",
      ]
    }
  }

  /// The names that may stand below `pattern` (empty for the top of the file).
  func names(below pattern: String) -> [String] {
    let prefix = pattern.isEmpty ? "" : pattern + "."
    var names: [String] = []
    for key in all where key.hasPrefix(prefix) {
      let name = String(key.dropFirst(prefix.count).prefix { $0 != "." })
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

/// The walk through a document that refuses unknown keys.
struct KeyWalk {
  let keys: ConfigKeys
  let log: ProblemLog

  func visit(_ root: TOMLNode) {
    guard case .table(let entries) = root.value else { return }
    visit(entries, pattern: "", path: "")
  }

  private func visit(_ entries: [TOMLEntry], pattern: String, path: String) {
    let names = keys.names(below: pattern)
    for entry in entries {
      let entryPath = dotted(path, entry.key)
      let place = (entry.line, entry.column)
      guard let name = names.contains(entry.key) ? entry.key : names.first(where: { $0 == "NAME" }) else {
        log.add(refusal(of: entry.key, among: names, path: path), key: entryPath, at: place)
        continue
      }
      let entryPattern = dotted(pattern, name)
      // Below a key that takes a value as a whole, all is the author's.
      if keys.all.contains(entryPattern) { continue }
      switch entry.node.value {
      case .table(let inner): visit(inner, pattern: entryPattern, path: entryPath)
      case .array(let items):
        for case .table(let inner) in items.map(\.value) { visit(inner, pattern: entryPattern, path: entryPath) }
      default: break
      }
    }
  }

  private func refusal(of key: String, among names: [String], path: String) -> String {
    if let near = nearMiss(of: key, among: names) { return "unknown key; did you mean \(near)?" }
    // TOML's commonest trap: whatever follows a [header] belongs to it.
    let top = keys.names(below: "")
    if !path.isEmpty, top.contains(key) {
      return "unknown key; to set \(key) of the file itself, write it above the first [section]"
    }
    return "unknown key; known here: \(names.joined(separator: ", "))"
  }
}

/// `web` and `listen` to `web.listen`; names that TOML would quote are quoted.
func dotted(_ path: String, _ key: String) -> String {
  let bare =
    !key.isEmpty
    && key.utf8.allSatisfy {
      (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 95 || $0 == 45
    }
  let shown = bare ? key : quoted(key)
  return path.isEmpty ? shown : "\(path).\(shown)"
}
