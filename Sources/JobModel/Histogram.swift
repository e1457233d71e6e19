/// Durations counted by size, in buckets that never change: so the counts of different days, and of the lifetime, can be
/// added, and say nearly the same of percentiles as the durations themselves.
package struct Histogram: Sendable, Equatable {
  /// Upper ends of the buckets in microseconds, 1-2-5 from 0.5 ms to more than a day; what is longer goes into one more.
  package static let bounds: [Int64] = {
    var bounds: [Int64] = [500]
    var decade: Int64 = 1000
    while decade <= 10_000_000_000 {
      bounds += [decade, 2 * decade, 5 * decade]
      decade *= 10
    }
    return bounds + [decade]
  }()

  /// By bucket, `bounds.count + 1` of them.
  package private(set) var counts = [Int](repeating: 0, count: Histogram.bounds.count + 1)
  package private(set) var count = 0
  /// Microseconds of all together.
  package private(set) var sum: Int64 = 0
  package private(set) var longest: Int64 = 0

  package init() {}

  package mutating func add(microseconds: Int64) {
    let value = min(max(microseconds, 0), 1 << 52)
    counts[Histogram.bucket(of: value)] += 1
    count += 1
    sum &+= value
    longest = max(longest, value)
  }

  package mutating func add(_ other: Histogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    count += other.count
    sum &+= other.sum
    longest = max(longest, other.longest)
  }

  private static func bucket(of value: Int64) -> Int {
    var (low, high) = (0, bounds.count)
    while low < high {
      let middle = (low + high) / 2
      if value <= bounds[middle] { high = middle } else { low = middle + 1 }
    }
    return low
  }

  package var mean: Duration? { count == 0 ? nil : .microseconds(sum / Int64(count)) }

  /// The duration that `share` of all do not exceed, as if those of one bucket were spread evenly over it.
  package func percentile(_ share: Double) -> Duration? {
    guard count > 0 else { return nil }
    let rank = min(max(share, 0), 1) * Double(count)
    var below = 0
    for (index, here) in counts.enumerated() where here > 0 {
      guard Double(below + here) >= rank else {
        below += here
        continue
      }
      let start = index == 0 ? 0 : Histogram.bounds[index - 1]
      let end = min(index < Histogram.bounds.count ? Histogram.bounds[index] : longest, longest)
      let part = max(0, rank - Double(below)) / Double(here)
      return .microseconds(start + Int64(part * Double(max(end - start, 0))))
    }
    return .microseconds(longest)
  }
}

extension Histogram {
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("count")
    writer.int(count)
    writer.key("sum_us")
    writer.int(sum)
    writer.key("max_us")
    writer.int(longest)
    writer.key("buckets")
    writer.beginArray()
    for value in counts[..<((counts.lastIndex { $0 > 0 } ?? -1) + 1)] { writer.int(value) }
    writer.endArray()
    writer.endObject()
  }

  /// nil when it is none.
  package init?(_ value: JSONValue?) {
    guard let value, let count = value["count"]?.int, let sum = value["sum_us"]?.int,
      let longest = value["max_us"]?.int, let buckets = value["buckets"]?.array, buckets.count <= counts.count
    else { return nil }
    for (index, bucket) in buckets.enumerated() {
      guard let number = bucket.int else { return nil }
      counts[index] = number
    }
    self.count = count
    self.sum = Int64(sum)
    self.longest = Int64(longest)
  }
}
