// Which firings of a schedule are due. A value without clock or disk: it is given what has been dealt with and what time
// it is, so that a restart, a late timer and a clock set forward or back are the same question.
//
// Promises: a tick is answered for once, in order; whatever the clock does, one look fires at most `firingsMadeUp` jobs,
// and what it gives up it says. What a firing does while an earlier one still runs is the engine's to decide.

/// One tick of a schedule and when its job is made.
package struct Firing: Sendable, Equatable {
  /// The time of the expression, which names the firing.
  package var tick: WallTime
  /// The tick, later by the schedule's jitter.
  package var start: WallTime

  package init(tick: WallTime, start: WallTime) {
    self.tick = tick
    self.start = start
  }
}

/// What a look found.
package struct DueFirings: Sendable, Equatable {
  /// To be made now, oldest first.
  package var fire: [Firing] = []
  /// How many at the beginning of `fire` are late: made up for.
  package var late = 0
  /// Ticks given up, oldest and newest; nil when none.
  package var missed: ClosedRange<WallTime>?
  /// How many were given up; at least so many when `missedMore`.
  package var missedCount = 0
  package var missedMore = false
  /// A firing in `fire` runs in place of the missed ones, so the schedule did run.
  package var isMadeUp: Bool { !fire.isEmpty }
}

/// When a schedule fires.
package struct ScheduleRule: Sendable, Equatable {
  package var name: String
  package var cron: CronExpression
  package var zone: TimeZoneRules
  package var catchUp: ScheduleSettings.CatchUp
  package var jitter: Duration

  package init(_ settings: ScheduleSettings) {
    name = settings.name
    cron = settings.cron
    zone = settings.zone
    catchUp = settings.catchUp
    jitter = settings.jitter ?? .zero
  }

  /// The first firing whose tick is strictly after `mark`; nil when the calendar has no more.
  package func next(after mark: WallTime) -> Firing? {
    guard let tick = cron.next(after: mark, in: zone) else { return nil }
    return Firing(tick: tick, start: start(of: tick))
  }

  /// The firings due at `now`, of those with ticks after `mark`.
  ///
  /// A firing is late when a minute has passed since its start, or the next tick (but at least 5 seconds): until then it
  /// is merely carried out a little after its time. Of the late ones `all` makes every job up to a limit, `one` the newest
  /// unless one that is on time takes its place, `none` no job.
  package func due(after mark: WallTime, now: WallTime) -> DueFirings {
    var found: [Firing] = []
    var result = DueFirings()
    var first: WallTime?
    while let firing = next(after: found.last?.tick ?? mark), firing.start <= now {
      first = first ?? firing.tick
      found.append(firing)
      guard found.count > Limits.firingsMadeUp else { continue }
      // Too many to walk through: the clock jumped by years, perhaps. The newest are found from the other end.
      found = newest(Limits.firingsMadeUp, after: mark, now: now)
      result.missedMore = true
      break
    }
    let onTime = found.firstIndex { now - $0.start <= patience($0) } ?? found.count
    switch catchUp {
    case .none: result.fire = Array(found[onTime...])
    case .one: result.fire = Array(found[(onTime < found.count ? onTime : max(0, onTime - 1))...])
    case .all: result.fire = found
    }
    let kept = found.count - result.fire.count
    result.late = max(0, onTime - kept)
    result.missedCount = kept + (result.missedMore ? 1 : 0)
    if result.missedCount > 0, let first {
      // With all of `found` made up, the newest given up is just before them.
      result.missed = first...(kept > 0 ? found[kept - 1].tick : max(first, last(before: found[0].tick) ?? first))
    }
    return result
  }

  /// The newest `count` firings with ticks after `mark` whose start has come, oldest first.
  private func newest(_ count: Int, after mark: WallTime, now: WallTime) -> [Firing] {
    var found: [Firing] = []
    var end = now.wholeSeconds + 1
    while found.count < count, let tick = last(before: WallTime(seconds: end)), tick > mark {
      let start = start(of: tick)
      if start <= now { found.append(Firing(tick: tick, start: start)) }
      end = tick.wholeSeconds
    }
    return found.reversed()
  }

  /// The last tick before `time`, by bisection: the next tick after a moment never comes before that after an earlier one.
  private func last(before time: WallTime) -> WallTime? {
    let end = time.wholeSeconds
    func fires(after second: Int64) -> Bool {
      cron.next(after: WallTime(seconds: second), in: zone).map { $0.wholeSeconds < end } ?? false
    }
    var step: Int64 = 1
    var low = end - 1
    while !fires(after: low) {
      guard low > 0 else { return nil }
      low = max(0, end - 1 - step)
      step *= 2
    }
    // A tick lies after `low`, none at or after `high` and before `end`.
    var high = end
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if fires(after: middle) { low = middle } else { high = middle }
    }
    return cron.next(after: WallTime(seconds: low), in: zone)
  }

  /// How long after its start a firing still counts as carried out in time.
  private func patience(_ firing: Firing) -> Duration {
    let interval = next(after: firing.tick).map { $0.tick - firing.tick } ?? .seconds(60)
    return min(max(interval, .seconds(5)), .seconds(60))
  }

  /// The tick, later by less than `jitter`, and always before the next tick, so that firings keep their order. The share
  /// comes from name and tick: a restarted daemon, or another one, finds the same.
  private func start(of tick: WallTime) -> WallTime {
    guard jitter > .zero else { return tick }
    let interval = cron.next(after: tick, in: zone).map { $0 - tick } ?? jitter
    let span = min(jitter, interval).inMilliseconds
    guard span > 0 else { return tick }
    var hash = StableHash()
    hash.add(name.utf8)
    hash.add([0])
    withUnsafeBytes(of: tick.wholeSeconds.littleEndian) { hash.add($0) }
    return tick + .milliseconds(Int64(hash.value % UInt64(span)))
  }
}

/// FNV-1a with a finish that spreads it (MurmurHash3's): the same on every machine and in every version, which Swift's
/// own hashing is not.
private struct StableHash {
  private var state: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  var value: UInt64 {
    var value = state
    value = (value ^ (value >> 33)) &* 0xff51_afd7_ed55_8ccd
    value = (value ^ (value >> 33)) &* 0xc4ce_b9fe_1a85_ec53
    return value ^ (value >> 33)
  }
}
