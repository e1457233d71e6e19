/// Tags of answers (ETag): a digest of their bytes.
internal import Crypto

enum EntityTag {
  static func make(_ bytes: [UInt8]) -> String {
    SHA256.hash(data: bytes).prefix(12).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
