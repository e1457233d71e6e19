internal import CSpoolShims
internal import Glibc
internal import JobModel

extension WallTime {
  /// The wall clock, for the lines that open an attempt in a job's log.
  static var now: WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }
}
