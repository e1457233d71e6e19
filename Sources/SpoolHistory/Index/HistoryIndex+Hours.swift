/// How long the runs of each type took, hour by hour, for the little curve beside it.
package import JobModel

extension HistoryIndex {
  /// Seconds of an average run in each of the last 24 hours, the newest last; nil for an hour without one.
  package func hourlyRuns(now: WallTime) -> [String: [Double?]] {
    let last = now.microseconds / 3_600_000_000
    var hours: [String: [Double?]] = [:]
    for (place, hour) in ((last - 23)...last).enumerated() {
      for (type, mean) in minutes.runs[hour] ?? [:] where mean.count > 0 {
        let seconds = Double(mean.sum) / Double(mean.count) / 1_000_000
        hours[types.string(UInt32(type)), default: [Double?](repeating: nil, count: 24)][place] = seconds
      }
    }
    return hours
  }
}
