/// How it went in some time, for people and programs: totals, success, durations, promises kept, the commonest errors, and
/// whether there is enough room for what comes in.
package import JobModel
internal import SpoolConfig
package import SpoolStore

package struct Report: Sendable {
  package var title: String
  package var numbers: Numbers
  package var until: WallTime
  /// Jobs that wait now.
  package var waiting: Int
  /// How many may run at once: of each type, and in all.
  package var concurrency: [String: Int]
  package var maxJobs: Int?

  /// How much comes in and goes out, and how much room that takes.
  package struct Capacity: Sendable, Equatable {
    package var arrivalsPerHour: Double
    package var completionsPerHour: Double
    /// Arrival rate × mean run time: with fewer at once the queue grows for ever.
    package var needed: Double?
    /// How many ran at once on average.
    package var busy: Double
  }

  package func capacity(_ type: Rollup.OfType) -> Capacity {
    let seconds = max(Double((until - numbers.since).inMicroseconds) / 1e6, 1)
    let arrivals = Double(type.submitted) / seconds
    return Capacity(
      arrivalsPerHour: arrivals * 3600, completionsPerHour: Double(type.ended) / seconds * 3600,
      needed: type.run.mean.map { arrivals * Double($0.inMicroseconds) / 1e6 },
      busy: Double(type.run.sum) / 1e6 / seconds)
  }

  /// Types by name.
  package var types: [(name: String, numbers: Rollup.OfType)] {
    numbers.rollup.types.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  package static let errorsShown = 10
}

extension SpoolReader {
  /// The report of the time since `since`.
  package func report(_ title: String, since: WallTime) throws(SpoolError) -> Report {
    Report(
      title: title, numbers: try numbers(since: since), until: now, waiting: try Scan.ids(in: .new, of: spool).count,
      concurrency: configuration?.handlers.mapValues(\.concurrency) ?? [:], maxJobs: configuration?.settings.maxJobs)
  }
}

/// Numbers as people read them.
package enum Figure {
  /// One digit behind the point, two below ten, rounded.
  package static func text(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "-" }
    let digits: Double = abs(value) < 10 ? 100 : 10
    let scaled = Int64((abs(value) * digits).rounded())
    let unit = Int64(digits)
    var fraction = "\(scaled % unit)"
    if unit == 100, scaled % unit < 10 { fraction = "0\(fraction)" }
    return "\(value < 0 && scaled > 0 ? "-" : "")\(scaled / unit).\(fraction)"
  }

  /// A share of 1 as `98.2%`, rounded down: 100% means all.
  package static func percent(_ share: Double?) -> String {
    guard let share, share.isFinite else { return "-" }
    let tenths = Int((share * 1000 + 1e-9).rounded(.down))
    return "\(tenths / 10).\(tenths % 10)%"
  }

  /// `250ms`, `3.2s`, `12m`, `5h`, `9d`.
  package static func duration(_ duration: Duration?) -> String {
    guard let microseconds = duration?.inMicroseconds else { return "-" }
    switch microseconds {
    case ..<10_000: return "\(text(Double(microseconds) / 1000))ms"
    case ..<1_000_000: return "\(microseconds / 1000)ms"
    case ..<120_000_000: return "\(text(Double(microseconds) / 1e6))s"
    case ..<7_200_000_000: return "\(microseconds / 60_000_000)m"
    case ..<172_800_000_000: return "\(microseconds / 3_600_000_000)h"
    default: return "\(microseconds / 86_400_000_000)d"
    }
  }
}
