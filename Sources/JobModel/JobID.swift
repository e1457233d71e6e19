/// Names of jobs and types: what may stand in a file name, and nothing that could leave its folder.
package enum JobID {
  /// `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
  package static func isValid(_ text: some StringProtocol) -> Bool {
    isName(text.utf8, limit: Limits.idLength) { isLetter($0) || isDigit($0) || ($0 >= 65 && $0 <= 90) }
  }

  package static let expected = "1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"

  /// The id of a file name `ID.json`; nil for names that are none.
  package static func fromFileName(_ name: String) -> String? {
    var name = name
    return name.withUTF8 { bytes in fromFileName(bytes).map { String(decoding: $0, as: UTF8.self) } }
  }

  /// The same for the bytes of a name, without a string.
  package static func fromFileName(_ name: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
    let length = name.count - 5
    guard length > 0, length <= Limits.idLength, name[length] == 46, name[length + 1] == 106,
      name[length + 2] == 115, name[length + 3] == 111, name[length + 4] == 110
    else { return nil }
    for index in 0..<length {
      let byte = name[index]
      let isAlphanumeric = isLetter(byte) || isDigit(byte) || (byte >= 65 && byte <= 90)
      guard isAlphanumeric || (index > 0 && (byte == 45 || byte == 46 || byte == 95)) else { return nil }
    }
    return UnsafeBufferPointer(rebasing: name[..<length])
  }

  package static func fileName(_ id: String) -> String { id + ".json" }

  /// A UUIDv7 (RFC 9562): 48 bits of milliseconds, then the 74 random bits handed in, so that names sort by age.
  package static func make(at time: WallTime, random: (UInt64, UInt64)) -> String {
    let milliseconds = UInt64(bitPattern: Int64(time.microseconds / 1000)) & 0xFFFF_FFFF_FFFF
    let high = milliseconds << 16 | 0x7000 | (random.0 & 0x0FFF)
    let low = 0x8000_0000_0000_0000 | (random.1 & 0x3FFF_FFFF_FFFF_FFFF)
    return String(unsafeUninitializedCapacity: 36) { buffer in
      let digits: StaticString = "0123456789abcdef"
      var place = 0
      for index in 0..<32 {
        if index == 8 || index == 12 || index == 16 || index == 20 {
          buffer[place] = UInt8(ascii: "-")
          place += 1
        }
        let word = index < 16 ? high : low
        buffer[place] = digits.utf8Start[Int(word >> UInt64(60 - 4 * (index & 15)) & 15)]
        place += 1
      }
      return 36
    }
  }

  static func isName(_ bytes: some Collection<UInt8>, limit: Int, first: (UInt8) -> Bool) -> Bool {
    guard let lead = bytes.first, first(lead), bytes.count <= limit else { return false }
    return bytes.dropFirst().allSatisfy { first($0) || $0 == 45 || $0 == 46 || $0 == 95 }
  }

  static func isLetter(_ byte: UInt8) -> Bool { byte >= 97 && byte <= 122 }
  static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
}

/// Names of job types.
package enum JobType {
  /// `[a-z0-9][a-z0-9._-]{0,63}`.
  package static func isValid(_ text: some StringProtocol) -> Bool {
    JobID.isName(text.utf8, limit: Limits.typeLength) { JobID.isLetter($0) || JobID.isDigit($0) }
  }

  package static let expected = "1 to 64 lower-case letters, digits, '.', '_' or '-', beginning with a letter or digit"

  /// `jobspool.*` belongs to the program itself.
  package static func isReserved(_ type: String) -> Bool { type.hasPrefix("jobspool.") }
}
