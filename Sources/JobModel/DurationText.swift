/// The written form of durations and sizes, the same in job files, configuration and on the command line:
/// `"250ms"`, `"90s"`, `"5m"`, `"2h"`, `"1d"`, or seconds as a number; `"64K"`, `"256M"`, `"2G"`, `"5%"`.
package enum DurationText {
  /// What to say when a text is none.
  package static let expected = "a duration such as \"250ms\", \"90s\", \"5m\", \"2h\", \"1d\", or seconds as a number"

  private static let units: [(suffix: String, microseconds: Int64)] = [
    ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
  ]

  /// At most a hundred years; nil for anything else, negative amounts included.
  package static func parse(_ text: String) -> Duration? {
    for (suffix, microseconds) in units where text.hasSuffix(suffix) {
      let digits = text.dropLast(suffix.count)
      guard let last = digits.utf8.last, last >= 48, last <= 57 else { continue }
      // Neither `1e3s` nor `0x10s`, which `Double` would read.
      guard digits.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || (48...57).contains($0) }) else { return nil }
      return parse(seconds: digits, scale: microseconds)
    }
    return nil
  }

  /// A number of seconds, as JSON and TOML write it.
  package static func parse(seconds text: some StringProtocol) -> Duration? { parse(seconds: text, scale: 1_000_000) }

  private static func parse(seconds text: some StringProtocol, scale: Int64) -> Duration? {
    guard let first = text.utf8.first, first >= 48, first <= 57, let amount = Double(String(text)), amount.isFinite
    else { return nil }
    let total = amount * Double(scale)
    guard total <= 36_525 * 86_400_000_000 else { return nil }
    return .microseconds(Int64(total.rounded()))
  }

  /// The largest unit that needs no fraction, `90s`, `1m`, `250ms`; below a millisecond a fraction of one.
  package static func format(_ duration: Duration) -> String {
    let microseconds = duration.inMicroseconds
    if microseconds == 0 { return "0s" }
    for (suffix, unit) in units.reversed() where microseconds % unit == 0 {
      return "\(microseconds / unit)\(suffix)"
    }
    var fraction = String(microseconds.magnitude % 1000 + 1000).dropFirst()
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return "\(microseconds / 1000).\(fraction)ms"
  }
}

package enum SizeText {
  package static let expected = "a size such as \"64K\", \"256M\", \"2G\", or bytes as a number"

  /// Bytes; K, M, G and T are powers of 1024. nil for anything else.
  package static func parse(_ text: String) -> Int? {
    var digits = Substring(text)
    var shift = 0
    for (suffix, bits) in [("K", 10), ("M", 20), ("G", 30), ("T", 40)] where digits.hasSuffix(suffix) {
      digits.removeLast()
      shift = bits
      break
    }
    guard let first = digits.utf8.first, first >= 48, first <= 57, let amount = Int(digits), amount <= Int.max >> shift
    else { return nil }
    return amount << shift
  }

  /// `"5%"` → 5.0; nil when it is no share between 0 and 100.
  package static func percent(_ text: String) -> Double? {
    let digits = text.dropLast()
    guard text.hasSuffix("%"), digits.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || (48...57).contains($0) }),
      let share = Double(digits), (0...100).contains(share)
    else { return nil }
    return share
  }

  /// `64K`, `1M`, else plain bytes.
  package static func format(_ bytes: Int) -> String {
    guard bytes != 0 else { return "0" }
    for (suffix, bits) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] where bytes & ((1 << bits) - 1) == 0 {
      return "\(bytes >> bits)\(suffix)"
    }
    return "\(bytes)"
  }
}
