/// SHA-256 in hexadecimal, for the audit chain and for telling one dropped file from another.
internal import Crypto

package enum Digest {
  package static func sha256(_ bytes: some ContiguousBytesCollection) -> String {
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return hex(hash.finalize())
  }

  /// Over several pieces, as if they were one.
  package static func sha256(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>) -> String {
    var hash = SHA256()
    first.withUnsafeBytes { hash.update(bufferPointer: $0) }
    second.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return hex(hash.finalize())
  }

  /// What stands before the first line of a chain.
  package static let none = String(repeating: "0", count: 64)

  private static func hex(_ digest: SHA256.Digest) -> String {
    String(unsafeUninitializedCapacity: 64) { buffer in
      let digits: StaticString = "0123456789abcdef"
      var place = 0
      digest.withUnsafeBytes { bytes in
        for byte in bytes {
          buffer[place] = digits.utf8Start[Int(byte >> 4)]
          buffer[place + 1] = digits.utf8Start[Int(byte & 15)]
          place += 2
        }
      }
      return 64
    }
  }
}

/// Arrays and slices of bytes.
package protocol ContiguousBytesCollection {
  func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}
extension [UInt8]: ContiguousBytesCollection {}
extension ArraySlice<UInt8>: ContiguousBytesCollection {}
extension UnsafeRawBufferPointer: ContiguousBytesCollection {
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(self)
  }
}
