/// What a handler reads: the job as one line of JSON, without the daemon's record.
extension Job {
  /// `{"id","type","attempt","max_attempts","payload","priority","submitted_at", …}` and a newline; the payload's bytes are
  /// the producer's, except for line breaks between its tokens.
  package func handlerInput(id: String, attempt: Int, maxAttempts: Int, submittedAt: WallTime) -> [UInt8] {
    var writer = JSONWriter(reserving: 256 + (payload?.count ?? 0))
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("type")
    writer.string(type)
    writer.key("attempt")
    writer.int(attempt)
    writer.key("max_attempts")
    writer.int(maxAttempts)
    writer.key("payload")
    writer.raw(payloadBytes)
    writer.key("priority")
    writer.int(priority)
    writer.key("submitted_at")
    writer.time(submittedAt)
    if let batch {
      writer.key("batch")
      writer.string(batch)
    }
    if let parent {
      writer.key("parent")
      writer.string(parent)
    }
    if !tags.isEmpty {
      writer.key("tags")
      writer.value(.array(tags.map { .string($0) }))
    }
    if let meta {
      writer.key("meta")
      writer.raw(bytes[meta])
    }
    writer.endObject()
    var line = writer.bytes
    // Line breaks in checked JSON can only stand between its tokens.
    for index in line.indices where line[index] == 0x0A || line[index] == 0x0D { line[index] = 0x20 }
    line.append(0x0A)
    return line
  }
}
