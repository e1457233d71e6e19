/// Reads one line of the audit log at the speed of the bytes: no objects, no strings, only ranges. It relies on the layout
/// that `AuditLog.append` writes; a line that is laid out otherwise is passed over, as every reader of the log does.
internal import Glibc
internal import JobModel
internal import SpoolStore

/// The members of one JSON object, one after the other, unparsed.
struct MemberScan {
  private let base: UnsafePointer<UInt8>
  private var at: Int
  private let end: Int

  /// - Parameter object: begins with its brace.
  init?(_ object: UnsafeRawBufferPointer, from start: Int = 0) {
    guard let base = object.baseAddress, start < object.count else { return nil }
    self.base = base.assumingMemoryBound(to: UInt8.self)
    at = start
    end = object.count
  }

  /// Key and value as they stand, the key without its quotes; nil at the end of the object or where it is broken.
  mutating func next() -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
    while at < end, base[at] == 0x2C || base[at] == 0x7B || base[at] == 0x20 { at += 1 }
    guard at < end, base[at] == 0x22 else { return nil }
    let keyStart = at + 1
    guard skipString() else { return nil }
    let key = UnsafeRawBufferPointer(start: base + keyStart, count: at - 1 - keyStart)
    guard at < end, base[at] == 0x3A else { return nil }
    at += 1
    let start = at
    guard skipValue(), at > start else { return nil }
    return (key, UnsafeRawBufferPointer(start: base + start, count: at - start))
  }

  private mutating func skipString() -> Bool {
    at += 1
    while at < end {
      guard let found = memchr(base + at, 0x22, end - at) else { return false }
      at = UnsafeRawPointer(found) - UnsafeRawPointer(base) + 1
      // A quote counts unless an odd number of backslashes stands before it.
      var slashes = 0
      while base[at - 2 - slashes] == 0x5C { slashes += 1 }
      if slashes & 1 == 0 { return true }
    }
    return false
  }

  private mutating func skipValue() -> Bool {
    guard at < end else { return false }
    switch base[at] {
    case 0x22: return skipString()
    case 0x7B, 0x5B:
      var depth = 0
      while at < end {
        switch base[at] {
        case 0x22:
          guard skipString() else { return false }
        case 0x7B, 0x5B:
          depth += 1
          at += 1
        case 0x7D, 0x5D:
          depth -= 1
          at += 1
          if depth == 0 { return true }
        default: at += 1
        }
      }
      return false
    default:
      while at < end, base[at] != 0x2C, base[at] != 0x7D, base[at] != 0x5D { at += 1 }
      return true
    }
  }
}

/// The beginning of a line, which every line has.
struct LineScan {
  /// Microseconds since 1970.
  let time: Int64
  let sequence: UInt32
  let event: AuditEvent
  let job: UnsafeRawBufferPointer?
  /// What follows.
  var rest: MemberScan

  init?(_ line: UnsafeRawBufferPointer) {
    // {"ts":"2026-11-21T01:39:02.512Z","seq":N,"event":"…"
    guard line.count > 60, line[38] == 0x3A, let time = LineScan.time(UnsafeRawBufferPointer(rebasing: line[7..<31]))
    else {
      return nil
    }
    self.time = time
    var at = 39
    var number: UInt64 = 0
    while at < line.count, line[at] >= 48, line[at] <= 57 {
      number = number &* 10 &+ UInt64(line[at] - 48)
      at += 1
    }
    sequence = UInt32(truncatingIfNeeded: number)
    // ,"event":"
    let name = at + 10
    guard name < line.count, line[at + 8] == 0x3A, line[at + 9] == 0x22 else { return nil }
    var end = name
    while end < line.count, line[end] != 0x22 { end += 1 }
    guard end < line.count,
      let event = LineScan.event(UnsafeRawBufferPointer(rebasing: line[name..<end])),
      var rest = MemberScan(line, from: end + 1)
    else { return nil }
    self.event = event
    // ,"job":"
    let jobStart = end + 9
    if jobStart < line.count, line[end + 3] == 0x6A, line[end + 7] == 0x3A, line[jobStart - 1] == 0x22,
      line[end + 6] == 0x22
    {
      job = rest.next().map { UnsafeRawBufferPointer(rebasing: $0.value.dropFirst().dropLast()) }
    } else {
      job = nil
    }
    self.rest = rest
  }

  /// Those of jobs first, in the order of how often they occur.
  private static let events: [(name: StaticString, event: AuditEvent)] = [
    ("claimed", .claimed), ("submitted", .submitted), ("finished", .finished), ("retried", .retried), ("stage", .stage),
    ("buried", .buried), ("purged", .purged), ("rejected", .rejected), ("cancelled", .cancelled), ("expired", .expired),
    ("requeued", .requeued), ("held", .held), ("released", .released), ("duplicate", .duplicate), ("edited", .edited),
    ("stalled", .stalled),
  ]

  private static func event(_ name: UnsafeRawBufferPointer) -> AuditEvent? {
    for known in events where name.equals(known.name) { return known.event }
    return AuditEvent(rawValue: String(decoding: name, as: UTF8.self))
  }

  /// `2026-11-21T01:39:02.512Z`, as we write it and no other way.
  static func time(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard text.count == 24, text[10] == 0x54, text[19] == 0x2E, text[23] == 0x5A else { return nil }
    @inline(__always) func number(_ start: Int, _ digits: Int) -> Int64 {
      var value: Int64 = 0
      for index in start..<start + digits { value = value &* 10 &+ Int64(text[index]) &- 48 }
      return value
    }
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2))
    guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
    // Days since 1970 by eras of 400 years that begin in March.
    let shifted = month > 2 ? year : year - 1
    let era = shifted / 400
    let inEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let days = era * 146_097 + inEra * 365 + inEra / 4 - inEra / 100 + dayOfYear - 719_468
    let seconds = days * 86_400 + number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2)
    return (seconds * 1000 + number(20, 3)) * 1000
  }
}

extension UnsafeRawBufferPointer {
  /// A JSON string's text without quotes and escapes; nil when it is no string.
  @discardableResult
  func unquoted<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result? {
    guard count >= 2, self[0] == 0x22, self[count - 1] == 0x22 else { return nil }
    let inner = UnsafeRawBufferPointer(rebasing: self[1..<count - 1])
    guard let base = inner.baseAddress, memchr(base, 0x5C, inner.count) != nil else { return body(inner) }
    guard var text = (try? JSONReader.parse(Array(self)))?.string else { return nil }
    return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
  }

  /// The digits it begins with, as a number.
  var wholeNumber: Int64 {
    var value: Int64 = 0
    for byte in self {
      guard byte >= 48, byte <= 57 else { break }
      value = value &* 10 &+ Int64(byte - 48)
    }
    return value
  }
}
