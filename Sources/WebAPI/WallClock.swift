/// The time of day, for judging tokens and files by.
internal import FoundationEssentials
internal import JobModel

extension WallTime {
  /// Now. (Not by clock_gettime: NIO's modules bring a `timespec` of their own.)
  static var current: WallTime { WallTime(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }
}
