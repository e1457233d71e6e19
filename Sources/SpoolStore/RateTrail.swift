/// What the audit log remembers of a rate: the jobs of one type and value that were accepted, or started, of late. Reading
/// side; the daemon counts in memory and reads the log only at its start.
internal import CSpoolShims
package import JobModel

package enum RateTrail {
  /// Bytes of the log looked at, at most: a command must not take seconds to say that a job may come. With more in one
  /// interval the answer is "not known".
  package static let reach = 32 << 20

  /// Whether the line has a rate's key at all; most have none, and need not be parsed.
  package static func mayCount(_ line: UnsafeRawBufferPointer) -> Bool { contains(line, "\"rate_key\":\"") }

  /// The newest jobs that count, newest first, at most `limit`; nil when the log cannot be read, or not far enough.
  ///
  /// - Parameters:
  ///   - event: `submitted` or `claimed`.
  ///   - since: nothing older counts.
  package static func newest(
    _ event: AuditEvent, type: String, key: UInt64, since: WallTime, limit: Int, in spool: Spool
  ) -> [(job: String, at: WallTime)]? {
    let needle = "\"rate_key\":\"\(String(key, radix: 16))\""
    var found: [(job: String, at: WallTime)] = []
    var left = reach
    do throws(SpoolError) {
      for file in try AuditFile.list(spool).reversed() {
        var isOver = false
        try MappedFile(file.name, in: spool).linesBackwards { line in
          left -= line.count + 1
          guard left > 0, line.count > 31 else { return left > 0 }
          let isCounted = contains(line, needle)
          // The clock is asked of every line only as far as it has to be: lines are in order but for a clock set back.
          guard isCounted || left & 0xFF == 0 else { return true }
          guard let at = WallTime(rfc3339: String(decoding: line[7..<31], as: UTF8.self)) else { return true }
          isOver = at < since
          guard !isOver, isCounted, let head = AuditLineHead(line), head.event == event, let job = head.job,
            let value = try? JSONReader.parse(Array(line), rawKeys: ["meta", "record"]),
            value["type"]?.string == type
          else { return !isOver }
          found.append((job, at))
          return found.count < limit
        }
        if isOver || found.count >= limit { return found }
        if left <= 0 { return nil }
      }
    } catch {
      return nil
    }
    return found
  }

  private static func contains(_ line: UnsafeRawBufferPointer, _ text: String) -> Bool {
    guard let base = line.baseAddress else { return false }
    var text = text
    return text.withUTF8 { spool_memmem(base, line.count, $0.baseAddress, $0.count) != nil }
  }
}
