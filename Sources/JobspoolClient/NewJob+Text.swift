/// From a `NewJob` to the text of its file.
internal import JobModel
internal import SpoolStore

extension NewJob {
  /// The text, not yet checked: what is in it is the scanner's to judge.
  func text() throws(JobspoolError) -> [UInt8] {
    guard id == nil || uniqueKey == nil else {
      throw JobspoolError(.badJob, "give a job an id or a uniqueKey, not both")
    }
    var writer = JSONWriter(reserving: 256 + (payload?.utf8.count ?? 0))
    writer.beginObject()
    writer.key("type")
    writer.string(type)
    if let id = id ?? uniqueKey.map({ UniqueID.make(type: type, key: $0) }) {
      writer.key("id")
      writer.string(id)
    }
    if let priority {
      writer.key("priority")
      writer.int(priority)
    }
    if let delay {
      writer.key("delay")
      writer.string("\(delay.inMilliseconds)ms")
    }
    if !after.isEmpty { write("after", after, &writer) }
    if let batch {
      writer.key("batch")
      writer.string(batch)
    }
    if !tags.isEmpty { write("tags", tags, &writer) }
    if let maxAttempts {
      writer.key("max_attempts")
      writer.int(maxAttempts)
    }
    try write("meta", json: meta, &writer)
    try write("payload", json: payload, &writer)
    writer.endObject()
    return writer.bytes + [0x0A]
  }

  private func write(_ key: StaticString, _ texts: [String], _ writer: inout JSONWriter) {
    writer.key(key)
    writer.beginArray()
    for text in texts { writer.string(text) }
    writer.endArray()
  }

  /// Checked by itself: a text that closes a brace too many must not end up as other keys of the job.
  private func write(_ key: StaticString, json: String?, _ writer: inout JSONWriter) throws(JobspoolError) {
    guard let json else { return }
    let bytes = Array(json.utf8)
    do throws(JSONReader.Problem) { try JSONReader.check(bytes) } catch {
      throw JobspoolError(.badJob, "the \(key) is no JSON, at byte \(error.offset): \(error.message)")
    }
    writer.key(key)
    writer.raw(bytes)
  }
}
