/// The fields of an audit line that statistics and retention need, found without parsing the line as a whole: our own
/// writer fixed their order, and a day may have millions of lines.
internal import CSpoolShims
package import JobModel

package struct AuditLine {
  package var time: WallTime
  package var event: AuditEvent
  package var job: String?
  package var type: String?
  package let bytes: UnsafeRawBufferPointer
  /// Where the record begins, which may hold anything; our own keys stand before it.
  private let own: UnsafeRawBufferPointer

  /// - Parameter line: without its newline; must outlive this value. nil: none of our lines.
  package init?(_ line: UnsafeRawBufferPointer) {
    guard let head = AuditLineHead(line), let time = AuditLine.time(line) else { return nil }
    self.time = time
    event = head.event
    job = head.job
    bytes = line
    let end = AuditLine.find(",\"record", in: line) ?? AuditLine.find(",\"meta\":", in: line) ?? line.count
    own = UnsafeRawBufferPointer(rebasing: line[..<end])
    type = job == nil ? nil : AuditLine.text("\",\"type\":\"", in: own)
  }

  /// The folder a move came from.
  package var from: JobState? { AuditLine.text("\",\"from\":\"", in: own).flatMap(JobState.init(rawValue:)) }

  /// A number of the line's own.
  package func number(_ key: StaticString) -> Int64? {
    guard var at = AuditLine.find(key, in: own).map({ $0 + key.utf8CodeUnitCount }) else { return nil }
    var number: Int64 = 0
    var digits = 0
    while at < own.count, own[at] >= 48, own[at] <= 57, digits < 18 {
      number = number * 10 + Int64(own[at] - 48)
      digits += 1
      at += 1
    }
    return digits > 0 ? number : nil
  }

  /// Whether the line itself, not its record, holds these bytes.
  package func has(_ text: StaticString) -> Bool { AuditLine.find(text, in: own) != nil }

  /// The record, parsed; where only its hash is there, the brief beside it, which lines of older versions lack.
  package var record: JSONValue? {
    let line = try? JSONReader.parse(Array(bytes), rawKeys: JobRecord.rawKeys, slack: JSONReader.ownLevels)
    return line?["record"] ?? line?["brief"]
  }

  private static func time(_ line: UnsafeRawBufferPointer) -> WallTime? {
    guard line.count > 31 else { return nil }
    // {"ts":"2026-11-21T01:39:02.512Z"
    return WallTime(rfc3339: String(decoding: UnsafeRawBufferPointer(rebasing: line[7..<31]), as: UTF8.self))
  }

  private static func text(_ key: StaticString, in line: UnsafeRawBufferPointer) -> String? {
    guard let start = find(key, in: line).map({ $0 + key.utf8CodeUnitCount }),
      let end = line[start...].firstIndex(of: UInt8(ascii: "\""))
    else { return nil }
    return String(decoding: UnsafeRawBufferPointer(rebasing: line[start..<end]), as: UTF8.self)
  }

  static func find(_ key: StaticString, in line: UnsafeRawBufferPointer) -> Int? {
    guard let base = line.baseAddress, let found = spool_memmem(base, line.count, key.utf8Start, key.utf8CodeUnitCount)
    else { return nil }
    return UnsafeRawPointer(found) - base
  }
}
