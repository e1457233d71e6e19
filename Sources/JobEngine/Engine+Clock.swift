/// What the engine does when the machine's clock is set. Waiting is done by the monotonic clock, in steps of at most a
/// minute; what is due is said by wall time, because files and the log outlive any other clock.
///
/// Set forward, what became due starts in order, as far as limits allow. Set back, nothing may wait for the clock to catch
/// up: what counts from some moment (retries, delays, rates, the rest of a type) never lasts longer than it was meant to,
/// counted from now; a time that a producer named stays what it is.
internal import JobModel
internal import Logging

/// Tells a clock that was set back from time that passes.
struct ClockWatch {
  /// Wall time at the zero of the monotonic clock; nil: not looked yet.
  private var origin: Int64?

  /// Steps below this are what time servers do to a clock that is right.
  static let step = Duration.seconds(1)

  /// By how much the clock was set back since the last look; nil: it was not.
  mutating func setBack(wall: WallTime, monotonic: Duration) -> Duration? {
    let origin = wall.microseconds - monotonic.inMicroseconds
    defer { self.origin = origin }
    guard let before = self.origin, before - origin > ClockWatch.step.inMicroseconds else { return nil }
    return .microseconds(before - origin)
  }
}

extension Engine {
  func watchClock() {
    let now = effects.now()
    guard let step = clock.setBack(wall: now, monotonic: EventLoop.now) else { return }
    logger.notice(
      "the clock was set back by \(DurationText.format(step)) to \(now.rfc3339); what waits, waits no longer for it")
    agenda.clockSetBack(to: now)
    for type in submissions.keys { submissions[type]?.clockSetBack(to: now) }
    notices.clockSetBack(to: now)
    // Only their files say whether they wait for a time or since one.
    incoming.append(contentsOf: agenda.scheduledIDs)
    status.touch()
  }

  /// Jobs that may not have been started in time are looked at again, which buries them.
  func noteExpired() {
    let now = effects.now()
    while let id = expiries.take(now: now) {
      if agenda.contains(id) { incoming.append(id) }
    }
  }
}
