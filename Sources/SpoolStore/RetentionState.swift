/// How far retention has read the audit log, in `log/retention.json`: derived, and only there so that a restart does not
/// begin at the log's oldest line. Rules that changed, or a file that is missing or damaged, mean just that beginning.
package import JobModel

package struct RetentionState: Sendable {
  package var ages: [AgeSweep]
  package var counts: [CountSweep]
  /// Nothing was known: what the log does not tell has to be looked for.
  package let isNew: Bool

  private static let name = "retention.json"

  package init(_ rules: RetentionRules, in spool: Spool) {
    let known = spool.readRoot("log/\(RetentionState.name)", limit: 1 << 20).flatMap { try? JSONReader.parse($0) }
    isNew = known == nil
    var places: [String: LogCursor] = [:]
    if known?["rules"]?.string == rules.signature {
      for entry in known?["places"]?.array ?? [] {
        guard let name = entry["of"]?.string, let file = entry["file"]?.string, let offset = entry["offset"]?.int else {
          continue
        }
        places[name] = LogCursor(file: file, offset: offset)
      }
    }
    ages = rules.ages.map { AgeSweep(age: $0, from: places[RetentionState.name(of: $0)] ?? LogCursor()) }
    counts = rules.bounds.map { CountSweep($0, from: places[RetentionState.name(of: $0)] ?? LogCursor()) }
  }

  private static func name(of age: Duration) -> String { "age \(age.inMilliseconds)" }

  private static func name(of bound: RetentionRules.Bound) -> String { "\(bound.state.rawValue) \(bound.type ?? "*")" }

  /// What `write` would keep; equal when nothing moved on.
  package func json(_ rules: RetentionRules) -> [UInt8] {
    var writer = JSONWriter(reserving: 512)
    writer.beginObject()
    writer.key("rules")
    writer.string(rules.signature)
    writer.key("places")
    writer.beginArray()
    let places =
      ages.map { (RetentionState.name(of: $0.age), $0.cursor) }
      + counts.map { (RetentionState.name(of: $0.bound), $0.cursor) }
    for (name, cursor) in places {
      guard let place = cursor.place else { continue }
      writer.beginObject()
      writer.key("of")
      writer.string(name)
      writer.key("file")
      writer.string(place.name)
      writer.key("offset")
      writer.int(place.offset)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  package func write(_ json: [UInt8], in spool: Spool) throws(SpoolError) {
    try spool.replaceLogFile(RetentionState.name, with: json + [0x0A], durably: false)
  }
}
