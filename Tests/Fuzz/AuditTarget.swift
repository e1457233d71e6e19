/// The audit log after somebody or a disk changed it: every reader gets through, and a log that is said to be whole has a
/// chain that is.
import JobModel
import SpoolHistory
import SpoolStore

extension FuzzTarget {
  private static let folder = ScratchFolder()
  private static let name = "audit-n-2026-11-21.jsonl"
  private static let now = WallTime(seconds: 1_795_000_000)

  static let audit = FuzzTarget(
    name: "audit",
    words: [
      "\"prev\":\"", "\"seq\":", "\"event\":\"finished\"", "\"record\":{", "\"record_sha256\":\"\",\"brief\":{",
      "\"job\":\"a\"", "\"ts\":\"",
      "\"to\":\"dead\"", "\n", ",\"run_us\":", "\"rate_key\":\"ffffffffffffffff\"", "\"submitted_by\":{\"uid\":",
      "\"tick\":\"", "\"due\":\"",
      "\"last_seq\":", "\u{0}",
    ]
  ) { bytes in
    folder.write(bytes, to: "log/\(name)")
    let spool = try folder.spool()
    let check = try AuditCheck(spool)
    if check.faults.isEmpty, check.unexplained.isEmpty {
      try require(isChain(bytes), "the log is said to be whole, and is not")
    }
    let ids: Set = ["a", "b", "c"]
    let traces = try AuditReader.traces(of: ids, in: spool)
    for trace in traces.values {
      _ = trace.bearsOut([])
      if let record = trace.record { try require((try? JSONReader.check(record)) != nil, "a record that is no JSON") }
    }
    _ = try AuditReader.known(ids, in: spool)
    var rollup = RollupCount()
    var changes = LogMark()
    try AuditReader.lines(in: spool) { line, _ in
      rollup.take(line)
      return true
    }
    let json = rollup.rollup.json(node: "n", day: "2026-11-21")
    try require((try? JSONReader.check(json)) != nil, "its rollup is no JSON")
    changes = try LogMark(spool)
    _ = try changes.changes(since: LogMark(), in: spool)
    let feed = HistoryFeed(spool, configuration: nil) { now }
    try feed.load()
    feed.read { index, status in
      for id in ids { _ = index.job(id, status: status, now: now).map { ($0.updatedAt.rfc3339, $0.error) } }
      _ = index.deadGroups(limit: 5, now: now)
    }
    // The writer goes on behind what is whole.
    let log = try AuditLog(spool, node: "n", now: now)
    try log.append(.alert, at: now)
    try log.commit()
    let after = try AuditCheck(spool)
    // Only an unfinished last line is cut off; whole lines of rubbish at the end stay, and are damage from then on.
    let isTorn = check.faults.count == 1 && bytes.last != UInt8(ascii: "\n")
    if check.damage.isEmpty, check.faults.isEmpty || isTorn {
      try require(after.damage.isEmpty, "going on behind a torn line, it damages the log: \(after.damage[0])")
    }
    folder.emptyLog()
    return
      "\(check.faults.isEmpty ? "ok" : "no") \(check.faults.first?.message ?? "") \(min(traces.count, 3)) \(rollup.rollup.isEmpty)"
  }

  /// Each line is JSON, numbered one by one, and holds the hash of the one before.
  private static func isChain(_ bytes: [UInt8]) -> Bool {
    var number: Int?
    var hash: String?
    for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast() {
      let line = Array(line)
      guard let value = try? JSONReader.parse(line, rawKeys: ["record", "meta", "brief"], slack: JSONReader.ownLevels)
      else {
        // Duplicate keys and lone surrogates are the readers' to refuse; the chain is one of bytes.
        guard (try? JSONReader.check(line)) != nil else { return false }
        number = number.map { $0 + 1 }
        hash = Digest.sha256(line)
        continue
      }
      if let known = number, value["seq"]?.int != known + 1 { return false }
      if let hash, value["prev"]?.string != hash { return false }
      number = value["seq"]?.int ?? number
      hash = Digest.sha256(line)
    }
    return true
  }
}
