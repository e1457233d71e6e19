/// What happened, from the audit log: ends by type, how long jobs ran and how long they waited. One pass over the lines,
/// none of which is parsed as a whole.
package import JobModel
package import SpoolStore

package struct Statistics: Sendable, Equatable {
  /// Durations seen, in microseconds.
  package struct Spread: Sendable, Equatable {
    package private(set) var values: [Int64] = []
    package init() {}

    mutating func add(_ duration: Duration) { values.append(max(duration.inMicroseconds, 0)) }
    mutating func sort() { values.sort() }
    mutating func add(_ other: Spread) { values += other.values }

    package var count: Int { values.count }
    package var mean: Duration? {
      values.isEmpty ? nil : .microseconds(values.reduce(0, +) / Int64(values.count))
    }
    /// The nearest rank: the smallest value that `share` of all do not exceed.
    package func percentile(_ share: Double) -> Duration? {
      guard !values.isEmpty else { return nil }
      let rank = Int((share * Double(values.count)).rounded(.up))
      return .microseconds(values[min(max(rank, 1), values.count) - 1])
    }
  }

  package struct OfType: Sendable, Equatable {
    package var submitted = 0
    package var done = 0
    package var failed = 0
    package var retried = 0
    /// Rejected, expired, cancelled, duplicate: ended without the handler having failed.
    package var otherwise = 0
    /// First claim to the end of the attempt, for every attempt.
    package var run = Spread()
    /// From when it could run to its first start.
    package var wait = Spread()
    package init() {}

    /// Done among all that ran to an end; nil when none did.
    package var success: Double? { done + failed == 0 ? nil : Double(done) / Double(done + failed) }

    mutating func add(_ other: OfType) {
      submitted += other.submitted
      done += other.done
      failed += other.failed
      retried += other.retried
      otherwise += other.otherwise
      run.add(other.run)
      wait.add(other.wait)
    }
  }

  package var since: WallTime
  package var types: [String: OfType] = [:]

  package var total: OfType {
    var total = OfType()
    for type in types.values { total.add(type) }
    total.run.sort()
    total.wait.sort()
    return total
  }
}

extension SpoolReader {
  /// Everything since `since`; ends without a known type count under the empty name.
  package func statistics(since: WallTime) throws(SpoolError) -> Statistics {
    var tally = Tally(since: since)
    // Waiting and running jobs may have begun on the days before; those of one day are looked at for their beginnings.
    let from = WallTime(microseconds: max(since.microseconds - 86_400_000_000, 0)).day
    try AuditReader.lines(in: spool, from: from) { line, _ in
      if let fields = AuditLineFields(line) { tally.take(fields, line) }
      return true
    }
    return tally.finished
  }
}

/// The pass in progress.
private struct Tally {
  var statistics: Statistics
  private var due: [String: WallTime] = [:]
  private var claims: [String: (time: WallTime, type: String?)] = [:]

  init(since: WallTime) { statistics = Statistics(since: since) }

  mutating func take(_ line: AuditLineFields, _ bytes: UnsafeRawBufferPointer) {
    guard let job = line.job else { return }
    let counts = line.time >= statistics.since
    switch line.event {
    case .submitted:
      due[job] = max(line.time, AuditLineFields.time("\"due\":\"", in: bytes) ?? line.time)
      if counts { statistics.types[line.type ?? "", default: .init()].submitted += 1 }
    case .claimed:
      claims[job] = (line.time, line.type)
      if let ready = due.removeValue(forKey: job), counts {
        statistics.types[line.type ?? "", default: .init()].wait.add(line.time - ready)
      }
    case .finished, .buried, .retried, .released, .rejected, .expired, .cancelled, .duplicate, .purged:
      due[job] = nil
      let claim = claims.removeValue(forKey: job)
      guard counts, line.event != .released, line.event != .purged else { return }
      let type = line.type ?? claim?.type ?? ""
      switch line.event {
      case .finished: statistics.types[type, default: .init()].done += 1
      case .buried: statistics.types[type, default: .init()].failed += 1
      case .retried: statistics.types[type, default: .init()].retried += 1
      default: statistics.types[type, default: .init()].otherwise += 1
      }
      if let claim, line.event == .finished || line.event == .buried || line.event == .retried {
        statistics.types[type, default: .init()].run.add(line.time - claim.time)
      }
    default: break
    }
  }

  var finished: Statistics {
    var result = statistics
    for type in result.types.keys {
      result.types[type]?.run.sort()
      result.types[type]?.wait.sort()
    }
    return result
  }
}

/// The first fields of an audit line, found by their place as `AuditLineHead` does, with time and type.
struct AuditLineFields {
  var time: WallTime
  var event: AuditEvent
  var job: String?
  var type: String?

  init?(_ line: UnsafeRawBufferPointer) {
    guard let head = AuditLineHead(line), let time = Self.time("{\"ts\":\"", in: line) else { return nil }
    self.time = time
    event = head.event
    job = head.job
    type = Self.text("\",\"type\":\"", in: line, within: 400)
  }

  static func time(_ key: StaticString, in line: UnsafeRawBufferPointer) -> WallTime? {
    text(key, in: line, within: line.count).flatMap { WallTime(rfc3339: $0) }
  }

  /// The string after `key`, which must begin among the first `limit` bytes.
  private static func text(_ key: StaticString, in line: UnsafeRawBufferPointer, within limit: Int) -> String? {
    let length = key.utf8CodeUnitCount
    var at = 0
    search: while at + length < min(limit, line.count) {
      for index in 0..<length where line[at + index] != key.utf8Start[index] {
        at += 1
        continue search
      }
      let start = at + length
      guard let end = line[start...].firstIndex(of: UInt8(ascii: "\"")) else { return nil }
      return String(decoding: line[start..<end], as: UTF8.self)
    }
    return nil
  }
}
