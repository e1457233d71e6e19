/// One job as `GET /v1/jobs/{id}` shows it: its row, and what only its file says. Everything that came from the producer or the
/// handler passes through the redaction first.
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory

struct JobDetail {
  private let reader: SpoolReader
  private let file: JobFile
  private let row: JobRow

  init(_ reader: SpoolReader, _ file: JobFile, _ row: JobRow) {
    self.reader = reader
    self.file = file
    self.row = row
  }

  var bytes: [UInt8] {
    var writer = JSONWriter(reserving: 2048)
    row.write(to: &writer)
    // The row's object goes on.
    var more = JSONWriter(reserving: 1024)
    more.beginObject()
    writeMore(to: &more)
    more.endObject()
    guard more.bytes.count > 2 else { return writer.bytes }
    return writer.bytes.dropLast() + [UInt8(ascii: ",")] + more.bytes.dropFirst()
  }

  private func writeMore(to writer: inout JSONWriter) {
    let record = file.record
    if let job = file.job {
      let masked = reader.redaction(of: job.type).apply(to: file.bytes)
      write("payload", "/payload", of: masked, to: &writer)
      if file.state != .new, file.state != .cur { write("result", "/jobspool/result", of: masked, to: &writer) }
    }
    writer.key("attempts")
    writer.beginArray()
    for attempt in record?.attempts ?? [] { write(attempt, to: &writer) }
    writer.endArray()
    writer.key("after")
    writer.beginArray()
    for parent in row.after {
      switch parent {
      case .job(let id): writer.string(id)
      case .batch(let name): writer.string("batch:\(name)")
      }
    }
    writer.endArray()
    writer.key("handler")
    guard let handler = row.type.flatMap({ reader.configuration?.handlers[$0] }) else { return writer.null() }
    writer.beginObject()
    writer.key("mode")
    writer.string(handler.mode.rawValue)
    writer.key("concurrency")
    writer.int(handler.concurrency)
    writer.endObject()
  }

  private func write(_ key: StaticString, _ pointer: String, of masked: [UInt8], to writer: inout JSONWriter) {
    guard let place = JSONPointer(pointer)?.places(in: masked).first else { return }
    writer.key(key)
    writer.raw(masked[place])
  }

  private func write(_ attempt: JobRecord.Attempt, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("n")
    writer.int(attempt.n)
    writer.key("started_at")
    writer.time(attempt.startedAt)
    writer.key("ended_at")
    writer.time(attempt.endedAt)
    writer.key("outcome")
    writer.string(attempt.outcome.rawValue)
    if let exit = attempt.exit {
      writer.key("exit")
      writer.int(exit)
    }
    if let signal = attempt.signal {
      writer.key("signal")
      writer.int(signal)
    }
    if let error = attempt.error {
      writer.key("error")
      error.write(to: &writer)
    }
    if let time = attempt.cpuTime {
      writer.key("cpu_s")
      writer.double(time.inSeconds)
    }
    if let memory = attempt.peakMemory {
      writer.key("max_rss")
      writer.int(memory)
    }
    writer.endObject()
  }
}
