/// A sliding window per key: never more than `limit` events in any interval of `per`. Exact, not an approximation by
/// buckets: the times of the last `limit` events are kept, oldest first.
package struct RateWindow: Sendable {
  package var rate: Rate
  private var times: [UInt64: [WallTime]] = [:]
  /// Keys that had `limit` events when last seen.
  private var full: Set<UInt64> = []
  private var sweepAt = 1024

  package init(_ rate: Rate) { self.rate = rate }

  /// When the next event of this key is allowed; nil: now.
  package func next(_ key: UInt64, now: WallTime) -> WallTime? {
    guard let known = times[key], known.count >= rate.limit else { return nil }
    let free = known[known.count - rate.limit] + rate.per
    return free > now ? free : nil
  }

  /// Counts an event. Events may be told out of order, as when they are read back from the log.
  package mutating func count(_ key: UInt64, at time: WallTime) {
    var known = times[key] ?? []
    var place = known.count
    while place > 0, known[place - 1] > time { place -= 1 }
    known.insert(time, at: place)
    if known.count > rate.limit { known.removeFirst(known.count - rate.limit) }
    if known.count == rate.limit { full.insert(key) }
    times[key] = known
    if times.count >= sweepAt { sweep(now: time) }
  }

  /// Takes back an event that was counted at just this time and did not happen after all. The one it pushed out did not
  /// matter any more, or this one had not been allowed.
  package mutating func takeBack(_ key: UInt64, at time: WallTime) {
    guard let place = times[key]?.lastIndex(of: time) else { return }
    times[key]?.remove(at: place)
  }

  /// An event that was counted at just this time happened somewhat later.
  package mutating func move(_ key: UInt64, from time: WallTime, to later: WallTime) {
    guard let place = times[key]?.lastIndex(of: time) else { return }
    times[key]?.remove(at: place)
    count(key, at: later)
  }

  /// The clock was set back: what happened "later" than now happened just before it was set. Nobody waits longer than
  /// `per` for it, and in no interval there are more than `limit`.
  package mutating func clockSetBack(to now: WallTime) {
    for (key, known) in times where (known.last ?? now) > now { times[key] = known.map { min($0, now) } }
  }

  /// Some of the keys that allow no event now, and until when. Costs no more than it gives.
  package mutating func refusing(_ count: Int, now: WallTime) -> [(key: UInt64, until: WallTime)] {
    var found: [(key: UInt64, until: WallTime)] = []
    var stale: [UInt64] = []
    for key in full {
      if let until = next(key, now: now) { found.append((key, until)) } else { stale.append(key) }
      if found.count == count || stale.count > 1000 { break }
    }
    full.subtract(stale)
    return found.sorted { ($0.until, $0.key) < ($1.until, $1.key) }
  }

  /// Forgets keys whose events no longer matter, so that memory follows the keys in use.
  private mutating func sweep(now: WallTime) {
    times = times.filter { ($0.value.last ?? now) + rate.per > now }
    full = full.filter { times[$0] != nil }
    sweepAt = max(1024, times.count * 2)
  }
}

/// A value of a job that limits go by (`serial_by`, `rate.by`), as a number. Two values that are the same JSON have the
/// same number; that two others share one is as good as impossible, and would only make one wait for the other.
package enum LimitKey {
  /// The key of jobs without such a value, and of limits that go by none.
  package static let none: UInt64 = 0

  package static func of(_ value: JSONValue?) -> UInt64 {
    guard let value, value != .null else { return none }
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in value.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash == none ? 1 : hash
  }
}

extension HandlerSettings.RateLimit {
  /// What a job counts for.
  package func key(of job: Job) -> UInt64 { by.map { LimitKey.of(job.value(at: $0)) } ?? LimitKey.none }
}
