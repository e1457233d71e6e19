/// Durations counted by size, in buckets that never change: so the counts of different days, and of the lifetime, can be
/// added, and say nearly the same of percentiles as the durations themselves.
package struct Histogram: Sendable, Equatable {
  /// Upper ends of the buckets in microseconds, ten to a decade (Renard's R10) from 0.1 ms to 27 hours, so that a
  /// percentile is off by an eighth at most; what is longer goes into one more.
  package static let bounds: [Int64] = {
    var bounds: [Int64] = []
    var decade: Int64 = 100
    while decade < 100_000_000_000 {
      bounds += [100, 125, 160, 200, 250, 320, 400, 500, 630, 800].map { $0 * (decade / 100) }
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
  /// Of nothing: the largest number.
  package private(set) var shortest = Int64.max

  package init() {}

  package mutating func add(microseconds: Int64) {
    let value = min(max(microseconds, 0), 1 << 52)
    counts[Histogram.bucket(of: value)] += 1
    count += 1
    sum &+= value
    longest = max(longest, value)
    shortest = min(shortest, value)
  }

  package mutating func add(_ other: Histogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    count += other.count
    sum &+= other.sum
    longest = max(longest, other.longest)
    shortest = min(shortest, other.shortest)
  }

  private static func bucket(of value: Int64) -> Int {
    var (low, high) = (0, bounds.count)
    while low < high {
      let middle = (low + high) / 2
      if value <= bounds[middle] { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// How many were no longer than `bound`, which is the end of a bucket.
  package func count(upTo bound: Int64) -> Int { counts[...Histogram.bucket(of: bound)].reduce(0, +) }

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
      let start = max(index == 0 ? 0 : Histogram.bounds[index - 1], shortest)
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
    writer.key("min_us")
    writer.int(count == 0 ? 0 : shortest)
    // Most durations of a type are alike: only what lies between the first and the last that was seen.
    let first = counts.firstIndex { $0 > 0 } ?? 0
    writer.key("first")
    writer.int(first)
    writer.key("buckets")
    writer.beginArray()
    for value in counts[first..<((counts.lastIndex { $0 > 0 } ?? first - 1) + 1)] { writer.int(value) }
    writer.endArray()
    writer.endObject()
  }

  /// nil when it is none.
  package init?(_ value: JSONValue?) {
    guard let value, let count = value["count"]?.int, let sum = value["sum_us"]?.int,
      let longest = value["max_us"]?.int, let shortest = value["min_us"]?.int, let first = value["first"]?.int,
      let buckets = value["buckets"]?.array, (0...counts.count).contains(first), buckets.count <= counts.count - first
    else { return nil }
    for (index, bucket) in buckets.enumerated() {
      guard let number = bucket.int else { return nil }
      counts[first + index] = number
    }
    if count > 0 { self.shortest = Int64(shortest) }
    self.count = count
    self.sum = Int64(sum)
    self.longest = Int64(longest)
  }
}
