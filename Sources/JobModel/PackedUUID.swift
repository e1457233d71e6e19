/// A UUID in its usual writing, 36 lower-case letters, as the 16 bytes it stands for: what jobspool's own ids are, and what
/// most other ids are. Anything else is no such text, so packing and unpacking give back the same bytes.
struct PackedUUID: Equatable {
  var high: UInt64
  var low: UInt64

  static let textLength = 36

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  init?(_ text: UnsafeBufferPointer<UInt8>) {
    guard text.count == PackedUUID.textLength else { return nil }
    var words: (UInt64, UInt64) = (0, 0)
    var digits = 0
    for (index, byte) in text.enumerated() {
      if PackedUUID.isDash(index) {
        guard byte == UInt8(ascii: "-") else { return nil }
        continue
      }
      let value: UInt8
      switch byte {
      case 48...57: value = byte - 48
      case 97...102: value = byte - 87
      default: return nil
      }
      if digits < 16 { words.0 = words.0 << 4 | UInt64(value) } else { words.1 = words.1 << 4 | UInt64(value) }
      digits += 1
    }
    high = words.0
    low = words.1
  }

  var text: String {
    String(unsafeUninitializedCapacity: PackedUUID.textLength) { buffer in
      let letters: StaticString = "0123456789abcdef"
      var digit = 0
      for index in 0..<PackedUUID.textLength {
        if PackedUUID.isDash(index) {
          buffer[index] = UInt8(ascii: "-")
        } else {
          let word = digit < 16 ? high : low
          buffer[index] = letters.utf8Start[Int(word >> UInt64(60 - 4 * (digit & 15)) & 15)]
          digit += 1
        }
      }
      return PackedUUID.textLength
    }
  }

  private static func isDash(_ index: Int) -> Bool { index == 8 || index == 13 || index == 18 || index == 23 }
}
