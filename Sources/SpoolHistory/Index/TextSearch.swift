/// Looks for a piece of text in bytes, whatever the case: each byte may be that of the small or of the capital letter.
internal import Glibc

struct TextSearch {
  private let lower: [UInt8]
  private let upper: [UInt8]
  /// The byte looked for first: the one that ids have least of.
  private let anchor: Int
  /// Ids have only letters, digits and three signs.
  let mayBeInID: Bool

  init(_ text: String) {
    var lower: [UInt8] = []
    var upper: [UInt8] = []
    for character in text {
      let (small, capital) = (Array(character.lowercased().utf8), Array(character.uppercased().utf8))
      // Where the two differ in length (ß, SS) only what was asked for is found.
      let (first, second) =
        small.count == capital.count ? (small, capital) : (Array(String(character).utf8), Array(String(character).utf8))
      lower += first
      upper += second
    }
    self.lower = lower
    self.upper = upper
    func rank(_ byte: UInt8) -> Int {
      switch byte {
      case 48...57: 3
      case 97...102: 2
      case UInt8(ascii: "-"), UInt8(ascii: "\""), UInt8(ascii: ":"): 3
      case 97...122: 1
      default: 0
      }
    }
    anchor = lower.indices.min { rank(lower[$0]) < rank(lower[$1]) } ?? 0
    mayBeInID = lower.allSatisfy {
      ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 122) || $0 == 45 || $0 == 46 || $0 == 95
    }
  }

  func isIn(_ text: UnsafeRawBufferPointer) -> Bool {
    let length = lower.count
    guard text.count >= length, length > 0, let base = text.baseAddress else { return length == 0 }
    return lower.withUnsafeBufferPointer { lower in
      upper.withUnsafeBufferPointer { upper in
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        let (small, capital) = (lower[anchor], upper[anchor])
        func isAt(_ at: Int) -> Bool {
          let start = bytes + (at - anchor)
          var place = 0
          while place < length, start[place] == lower[place] || start[place] == upper[place] { place += 1 }
          return place == length
        }
        var at = anchor
        let last = text.count - length + anchor
        if small == capital || small == capital | 0x20 {
          // Eight at a time: a byte that is the one looked for becomes zero.
          let fold: UInt64 = small == capital ? 0 : 0x2020_2020_2020_2020
          let pattern = UInt64(small) &* 0x0101_0101_0101_0101
          while at + 7 <= last {
            let word = (UnsafeRawPointer(bytes + at).loadUnaligned(as: UInt64.self) | fold) ^ pattern
            if (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080 != 0 {
              for next in at..<at + 8 where (bytes[next] == small || bytes[next] == capital) && isAt(next) {
                return true
              }
            }
            at += 8
          }
        }
        while at <= last {
          if bytes[at] == small || bytes[at] == capital, isAt(at) { return true }
          at += 1
        }
        return false
      }
    }
  }
}
