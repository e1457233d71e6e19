/// A hash of bytes that nobody can aim at who does not know the seed: ids are chosen by producers, and thousands that fall
/// into one place of a table would make every look into it slow. Fast and well mixed, no more: not for proofs. The same
/// bytes and seed give the same value on every machine of one byte order, so it may be kept in files that can be rebuilt.
package enum KeyedHash {
  package static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    var hash = seed ^ 0x9E37_79B9_7F4A_7C15
    var at = 0
    while bytes.count - at >= 8 {
      hash = fold(hash ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self), 0xA076_1D64_78BD_642F)
      at += 8
    }
    var rest: UInt64 = 0
    while at < bytes.count {
      rest = rest << 8 | UInt64(bytes[at])
      at += 1
    }
    hash = fold(hash ^ rest, seed ^ 0xE703_7ED1_A0B4_28DB)
    return fold(hash ^ UInt64(bytes.count), 0x8EBC_6AF0_9C88_C6E3)
  }

  /// Of a text, in UTF-8.
  package static func of(_ text: String, seed: UInt64) -> UInt64 {
    var text = text
    return text.withUTF8 { of(UnsafeRawBufferPointer($0), seed: seed) }
  }

  private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }
}
