// Time zones from the system's compiled files (tzdata), in the format of RFC 8536: TZif, version 2 or later. Promises
// to read any bytes without harm: a file that is not what it should be is an error that says so. What the rules mean is
// JobModel's work.

import Glibc
package import JobModel

/// Reads the rules of one time zone.
package enum TimeZoneFile {
  /// Where Debian's tzdata keeps them.
  package static let systemDirectory = "/usr/share/zoneinfo"

  /// The largest file of tzdata has under 4 KiB.
  private static let largestFile = 1 << 20

  /// The rules of the zone called `name`, e.g. `Europe/Berlin`. `UTC` needs no file.
  ///
  /// - Throws: `TimeZoneProblem`, naming the zone and the file.
  package static func load(
    _ name: String, directory: String = systemDirectory
  ) throws(TimeZoneProblem) -> TimeZoneRules {
    if name == "UTC" { return .utc }
    guard isZoneName(name) else {
      throw TimeZoneProblem("'\(printable(name))' is no name of a time zone; names are like Europe/Berlin or UTC")
    }
    let path = directory + "/" + name
    do {
      return try decode(try read(path))
    } catch {
      throw TimeZoneProblem("time zone \(name): \(error.message) (\(path))")
    }
  }

  /// Letters, digits, `+ - _ .` between single slashes; nothing that leaves the directory.
  private static func isZoneName(_ name: String) -> Bool {
    name.utf8.count <= 100
      && name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
        part.first?.isLetter == true
          && part.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
              || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-_".utf8.contains(byte)
          }
      }
  }

  private static func printable(_ name: String) -> String {
    String(String.UnicodeScalarView(name.unicodeScalars.prefix(60).map { $0.value < 32 || $0.value == 127 ? "?" : $0 }))
  }

  private static func read(_ path: String) throws(TimeZoneProblem) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw TimeZoneProblem(
        errno == ENOENT
          ? "there is no such zone; check the spelling and that the package tzdata is installed"
          : "cannot open it: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw TimeZoneProblem("this is no file but a folder of zones, or something else")
    }
    guard status.st_size <= largestFile else { throw TimeZoneProblem("too large for a time zone file") }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var length = 0
    while length < bytes.count {
      let count = bytes.withUnsafeMutableBytes { buffer in
        Glibc.read(descriptor, buffer.baseAddress! + length, buffer.count - length)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw TimeZoneProblem("cannot read it: \(String(cString: strerror(errno)))") }
      if count == 0 { break }
      length += count
    }
    return Array(bytes[..<length])
  }

  /// The rules in the bytes of a TZif file.
  package static func decode(_ bytes: [UInt8]) throws(TimeZoneProblem) -> TimeZoneRules {
    var reader = TZifReader(bytes)
    let old = try reader.header()
    guard old.version >= UInt8(ascii: "2") else {
      throw TimeZoneProblem("a TZif file of version 1; version 2 or later is needed")
    }
    // The first block repeats the second for programs of 32 bits.
    try reader.skip(old.length(timeSize: 4))
    let header = try reader.header()
    guard header.leapSeconds == 0 else {
      throw TimeZoneProblem("its times count leap seconds, system time does not; use the zone without right/")
    }
    guard header.types > 0, header.types <= 256 else { throw TimeZoneProblem("damaged: no types of local time") }
    guard header.length(timeSize: 8) <= bytes.count else { throw TimeZoneProblem("damaged: it ends too early") }
    var times: [Int64] = []
    for _ in 0..<header.transitions { times.append(try reader.integer(8)) }
    var kinds: [Int] = []
    for _ in 0..<header.transitions { kinds.append(Int(try reader.integer(1))) }
    var offsets: [Int64] = []
    for _ in 0..<header.types {
      let offset = try reader.integer(4)
      guard abs(offset) < TimeZoneRules.largestOffset else {
        throw TimeZoneProblem("damaged: an offset of \(offset) s")
      }
      offsets.append(offset)
      try reader.skip(2)
    }
    try reader.skip(header.characters + header.standardMarks + header.utcMarks)
    let rule = try footer(&reader)

    var changes: [TimeZoneRules.Change] = []
    // RFC 8536, section 3.2: before the first change, type 0.
    for (time, kind) in zip(times, kinds) {
      guard offsets.indices.contains(kind) else { throw TimeZoneProblem("damaged: a change to type \(kind)") }
      // -2^59 is the earliest time the format recommends; a bound keeps all sums of times and offsets within Int64.
      guard abs(time / 2) <= 1 << 58, time > changes.last?.at ?? .min else {
        throw TimeZoneProblem("damaged: changes out of order")
      }
      changes.append(.init(at: time, offset: offsets[kind]))
    }
    return TimeZoneRules(offset: offsets[0], changes: changes, rule: rule)
  }

  private static func footer(_ reader: inout TZifReader) throws(TimeZoneProblem) -> YearlyRule? {
    guard try reader.integer(1) == 10 else { throw TimeZoneProblem("damaged: no rule at its end") }
    var text: [UInt8] = []
    while true {
      let byte = UInt8(truncatingIfNeeded: try reader.integer(1))
      if byte == 10 { break }
      text.append(byte)
    }
    // Empty: nobody knows what comes after the last change.
    if text.isEmpty { return nil }
    guard let rule = YearlyRule(posix: String(decoding: text, as: UTF8.self)) else {
      throw TimeZoneProblem("cannot understand the rule at its end")
    }
    return rule
  }
}

/// Why a time zone cannot be had.
package struct TimeZoneProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// Which zone, what is wrong with it, and where it was looked for.
  package var message: String
  package var description: String { message }
  package init(_ message: String) { self.message = message }
}

/// Numbers in network order, from bytes that may end anywhere.
private struct TZifReader {
  struct Header {
    var version: UInt8
    var utcMarks: Int
    var standardMarks: Int
    var leapSeconds: Int
    var transitions: Int
    var types: Int
    var characters: Int

    /// Bytes of the block that follows, with times of so many bytes.
    func length(timeSize: Int) -> Int {
      transitions * (timeSize + 1) + types * 6 + characters + leapSeconds * (timeSize + 4) + standardMarks + utcMarks
    }
  }

  private let bytes: [UInt8]
  private var index = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func header() throws(TimeZoneProblem) -> Header {
    guard bytes.count - index >= 44, bytes[index..<index + 4].elementsEqual("TZif".utf8) else {
      throw TimeZoneProblem("not a time zone file (TZif)")
    }
    let version = bytes[index + 4]
    index += 20
    var counts: [Int] = []
    for _ in 0..<6 { counts.append(Int(UInt32(truncatingIfNeeded: try integer(4)))) }
    return Header(
      version: version, utcMarks: counts[0], standardMarks: counts[1], leapSeconds: counts[2],
      transitions: counts[3], types: counts[4], characters: counts[5])
  }

  mutating func skip(_ count: Int) throws(TimeZoneProblem) {
    guard count <= bytes.count - index else { throw TimeZoneProblem("damaged: it ends too early") }
    index += count
  }

  /// A signed number of `size` bytes; of one byte, unsigned.
  mutating func integer(_ size: Int) throws(TimeZoneProblem) -> Int64 {
    let start = index
    try skip(size)
    let value = bytes[start..<index].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    switch size {
    case 4: return Int64(Int32(truncatingIfNeeded: value))
    case 8: return Int64(bitPattern: value)
    default: return Int64(value)
    }
  }
}
