/// Names of the jobs that a schedule makes: `NAME.YYYYMMDDTHHMMSSZ` for a tick, so that one tick makes one job whatever
/// restarts, and `NAME.run-…` for a run somebody asked for.
package enum FiringID {
  /// The id of a tick.
  package static func tick(_ schedule: String, _ time: WallTime) -> String {
    CronExpression.firingID(of: schedule, at: time)
  }

  /// An id for a run outside the schedule. Base 36 of the milliseconds: as sortable as a date, and short enough for the
  /// longest name.
  package static func run(_ schedule: String, _ time: WallTime) -> String {
    "\(schedule).run-\(String(time.microseconds / 1000, radix: 36))"
  }

  /// The schedule of an id that has the form of a firing's; whether there is such a schedule is not asked.
  package static func schedule(of id: String) -> String? {
    guard let dot = id.utf8.lastIndex(of: UInt8(ascii: ".")), dot > id.startIndex else { return nil }
    let suffix = Substring(id[id.index(after: dot)...])
    return isRun(suffix) || isTick(suffix) ? String(id[..<dot]) : nil
  }

  /// Whether the id is that of a tick, not of a run asked for.
  package static func isTick(_ id: String) -> Bool {
    guard let dot = id.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
    return isTick(id[id.index(after: dot)...])
  }

  private static func isRun(_ suffix: Substring) -> Bool { suffix.hasPrefix("run-") && suffix.utf8.count > 4 }

  private static func isTick(_ suffix: Substring) -> Bool {
    let bytes = Array(suffix.utf8)
    guard bytes.count == 16, bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "Z") else { return false }
    return bytes.enumerated().allSatisfy { $0.offset == 8 || $0.offset == 15 || JobID.isDigit($0.element) }
  }
}
