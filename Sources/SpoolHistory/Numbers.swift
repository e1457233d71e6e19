/// What happened in any time, from the rollups of whole days and the audit log of the rest: also of days whose log and jobs
/// retention removed long ago. Percentiles are as fine as the buckets of `Histogram`.
package import JobModel
package import SpoolStore

/// Numbers of a time, and how far back they really go.
package struct Numbers: Sendable, Equatable {
  package var rollup = Rollup()
  /// The beginning asked for, or of what is known if that is later.
  package var since: WallTime
  /// A day whose log is gone counts whole, though only a part of it was asked for.
  package var isRounded = false
}

extension SpoolReader {
  /// Numbers since a moment.
  package func numbers(since: WallTime) throws(SpoolError) -> Numbers {
    let logs = Dictionary(try AuditFile.list(spool).map { (RollupFile($0).name, $0) }) { first, _ in first }
    var days = Dictionary(try RollupFile.list(spool).map { ($0.name, $0) }) { first, _ in first }
    let rolled = Set(days.keys)
    for (name, log) in logs { days[name] = RollupFile(log) }
    let known = days.values.sorted { ($0.day, $0.node) < ($1.day, $1.node) }
    var numbers = Numbers(since: max(since, try first(of: known, logs) ?? since))
    let isMidnight = since.microseconds % 86_400_000_000 == 0
    for day in known where day.day >= since.day {
      let isWhole = day.day > since.day || isMidnight
      if isWhole, day.day < now.day, rolled.contains(day.name), let rollup = day.read(spool) {
        numbers.rollup.add(rollup)
      } else if let log = logs[day.name] {
        numbers.rollup.add(try count(log, since: isWhole ? nil : since))
      } else if let rollup = day.read(spool) {
        numbers.rollup.add(rollup)
        numbers.isRounded = numbers.isRounded || !isWhole
      }
    }
    return numbers
  }

  /// Everything that ever happened here, whatever retention removed.
  package func lifetime() throws(SpoolError) -> Numbers { try numbers(since: WallTime(seconds: 0)) }

  /// Since midnight, UTC.
  package func today() throws(SpoolError) -> Numbers {
    try numbers(since: WallTime(seconds: now.wholeSeconds - now.wholeSeconds % 86_400))
  }

  private func count(_ log: AuditFile, since: WallTime?) throws(SpoolError) -> Rollup {
    var count = RollupCount(since: since)
    let map = try MappedFile(log.name, in: spool)
    map.lines { line in
      count.take(line)
      return true
    }
    return count.rollup
  }

  /// When the first thing known happened.
  private func first(of days: [RollupFile], _ logs: [String: AuditFile]) throws(SpoolError) -> WallTime? {
    guard let oldest = days.first else { return nil }
    var first = WallTime(rfc3339: "\(oldest.day)T00:00:00Z")
    if let log = logs[oldest.name] {
      try MappedFile(log.name, in: spool).lines { line in
        guard let line = AuditLine(line) else { return true }
        first = line.time
        return false
      }
    }
    return first
  }
}
