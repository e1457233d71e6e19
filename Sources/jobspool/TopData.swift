/// What `top` shows, collected: the daemon's own view, counts from the folders, and the ends of the last minutes from the
/// audit log, which is read once and then only where it has grown.
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct TopData {
  /// One bar of the sparkline.
  static let interval: Int64 = 5
  static let bars = 60

  private let options: SpoolOptions
  private var tail: AuditTail
  /// Number of the interval since 1970 → what ended in it.
  private var ends: [Int64: (done: Int, dead: Int)] = [:]

  private(set) var reader: SpoolReader
  private(set) var counts = JobCounts()
  /// What the last look cost: a spool with a million files is not counted every second.
  private(set) var cost = Duration.zero

  init(_ options: SpoolOptions) throws {
    self.options = options
    reader = try options.reader()
    tail = AuditTail(reader.spool)
    _ = try tail.last(0)
    let oldest = reader.now.wholeSeconds - TopData.interval * Int64(TopData.bars)
    for file in try AuditFile.list(reader.spool).reversed() {
      var isOver = false
      try MappedFile(file.name, in: reader.spool).linesBackwards { line in
        guard let fields = AuditLine(line) else { return true }
        isOver = fields.time.wholeSeconds < oldest
        if !isOver { TopData.note(fields.event, fields.time, &ends) }
        return !isOver
      }
      if isOver { break }
    }
    try look()
  }

  /// Looks again.
  mutating func look() throws {
    let clock = ContinuousClock()
    let start = clock.now
    reader = SpoolReader(reader.spool, configuration: reader.configuration, now: .current)
    counts = try reader.counts()
    var ends = ends
    try tail.next { line in
      line.withUnsafeBytes { bytes in
        if let fields = AuditLine(bytes) { TopData.note(fields.event, fields.time, &ends) }
      }
    }
    let oldest = reader.now.wholeSeconds / TopData.interval - Int64(TopData.bars)
    self.ends = ends.filter { $0.key > oldest }
    cost = clock.now - start
  }

  private static func note(_ event: AuditEvent, _ time: WallTime, _ ends: inout [Int64: (done: Int, dead: Int)]) {
    switch event {
    case .finished: ends[time.wholeSeconds / interval, default: (0, 0)].done += 1
    case .buried: ends[time.wholeSeconds / interval, default: (0, 0)].dead += 1
    default: break
    }
  }

  /// What was done in each interval, the newest last; the one that is not over yet is left out.
  func history(_ bars: Int) -> [(done: Int, dead: Int)] {
    let newest = reader.now.wholeSeconds / TopData.interval - 1
    return (0..<Int64(min(bars, TopData.bars))).reversed().map { ends[newest - $0] ?? (0, 0) }
  }
}
