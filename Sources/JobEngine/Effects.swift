/// Everything the engine takes from the outside that is not a file or a process: time, chance, and where to say things.
/// Handed in, so that tests decide them.
internal import CSpoolShims
internal import Glibc
package import JobModel
package import Logging

package struct Effects {
  /// Wall time: for names, records, due times and the audit log. Waiting is the loop's, on the monotonic clock.
  package var now: () -> WallTime
  /// A number in 0..<1.
  package var random: () -> Double
  package var logger: Logger

  package init(now: @escaping () -> WallTime, random: @escaping () -> Double, logger: Logger) {
    self.now = now
    self.random = random
    self.logger = logger
  }

  /// CLOCK_REALTIME.
  package static func wallTime() -> WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  /// The real ones.
  package static func real(logger: Logger) -> Effects {
    Effects(
      now: wallTime,
      random: { Double(spool_random() >> 11) / 9_007_199_254_740_992 },
      logger: logger)
  }
}
