/// Makes new inputs of old ones. The same seed gives the same inputs, as long as what is kept of them is the same.
struct Mutator {
  private var state: UInt64
  let words: [[UInt8]]

  /// Numbers at which arithmetic goes wrong.
  private static let numbers = [
    "0", "-0", "-1", "1", "9", "127", "128", "255", "256", "65535", "65536", "2147483647", "2147483648", "-2147483649",
    "4294967295", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e308", "1e309",
    "-1e309", "1e-400", "0.1", "1e19", "99999999999999999999999999", "253402300799", "253402300800",
  ]
  /// Characters at which texts go wrong.
  private static let characters = [
    "\u{0}", "\u{7F}", "\u{80}", "\u{9F}", "\u{301}", "\u{2028}", "\u{D7FF}", "\u{E000}", "\u{FEFF}", "\u{FFFF}",
    "\u{1F600}", "\u{10FFFF}", "\\ud800", "\\udc00", "\\u0000", "\\\"", "\\\\", "\n", "\r\n",
  ]
  private static let brackets: [(String, String)] = [
    ("[", "]"), ("{\"a\":", "}"), ("(", ")"), ("\"", "\""), (" ", " "),
  ]

  init(seed: UInt64, words: [String]) {
    state = seed
    self.words = (words + Mutator.numbers + Mutator.characters).map { Array($0.utf8) }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// 0 up to but not including `limit`; 0 when that is 0.
  mutating func below(_ limit: Int) -> Int { limit < 1 ? 0 : Int(next() % UInt64(limit)) }

  private mutating func range(in bytes: [UInt8], atMost: Int = 64) -> Range<Int> {
    let start = below(bytes.count + 1)
    return start..<min(bytes.count, start + 1 + below(atMost))
  }

  mutating func change(_ seed: [UInt8], from pool: [[UInt8]], limit: Int) -> [UInt8] {
    var bytes = seed
    for _ in 0...below(4) { step(&bytes, pool) }
    return bytes.count > limit ? Array(bytes.prefix(limit)) : bytes
  }

  private mutating func step(_ bytes: inout [UInt8], _ pool: [[UInt8]]) {
    switch below(12) {
    case 0 where !bytes.isEmpty: bytes[below(bytes.count)] ^= 1 << UInt8(below(8))
    case 1 where !bytes.isEmpty: bytes[below(bytes.count)] = UInt8(below(256))
    case 2: bytes.insert(UInt8(below(256)), at: below(bytes.count + 1))
    case 3: bytes.removeSubrange(range(in: bytes))
    case 4:
      let piece = bytes[range(in: bytes)]
      bytes.insert(contentsOf: piece, at: below(bytes.count + 1))
    case 5, 6: bytes.insert(contentsOf: words[below(words.count)], at: below(bytes.count + 1))
    case 7: bytes.replaceSubrange(range(in: bytes, atMost: 8), with: words[below(words.count)])
    case 8:
      // The tail of another one.
      let other = pool[below(pool.count)]
      bytes = Array(bytes.prefix(below(bytes.count + 1))) + other.dropFirst(below(other.count + 1))
    case 9: replaceNumber(&bytes)
    case 10:
      let place = range(in: bytes)
      let (left, right) = Mutator.brackets[below(Mutator.brackets.count)]
      let times = 1 << below(11)
      let inner = Array(bytes[place])
      bytes.replaceSubrange(
        place,
        with: (0..<times).flatMap { _ in left.utf8 } + inner + (0..<times).flatMap { _ in right.utf8 })
    default:
      let piece = Array(bytes[range(in: bytes, atMost: 16)])
      let times = 1 + below(64)
      bytes.insert(contentsOf: (0..<times).flatMap { _ in piece }, at: below(bytes.count + 1))
    }
  }

  /// A run of digits by another number.
  private mutating func replaceNumber(_ bytes: inout [UInt8]) {
    var start = below(bytes.count)
    while start < bytes.count, !(48...57).contains(bytes[start]) { start += 1 }
    guard start < bytes.count else { return }
    var end = start
    while end < bytes.count, (48...57).contains(bytes[end]) { end += 1 }
    let number = Mutator.numbers[below(Mutator.numbers.count)]
    bytes.replaceSubrange(start..<end, with: Array(number.utf8))
  }
}
