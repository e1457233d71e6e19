/// One job as `GET /v1/jobs/{id}` shows it: its row, and what only its file says. Everything that came from the producer or the
/// handler passes through the redaction first.
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct JobDetail {
  private let reader: SpoolReader
  private let file: JobFile
  private let row: JobRow
  /// Some of the jobs that this one submitted, and how many there are.
  private let children: [JobRow]
  private let childCount: Int

  init(_ reader: SpoolReader, _ file: JobFile, _ row: JobRow, children: HistoryPage) {
    self.children = children.rows
    childCount = children.total
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
    if let job = file.job { write(job, to: &writer) }
    writer.key("has_log")
    writer.bool(reader.spool.hasRoot("log/jobs/\(file.id).log"))
    writer.key("handler")
    guard let handler = row.type.flatMap({ reader.configuration?.handlers[$0] }) else { return writer.null() }
    writer.beginObject()
    writer.key("mode")
    writer.string(handler.mode.rawValue)
    writer.key("concurrency")
    writer.int(handler.concurrency)
    writer.endObject()
  }

  /// What the job asks for, over what its handler says.
  private func write(_ job: Job, to writer: inout JSONWriter) {
    let handler = reader.configuration?.handlers[job.type]
    if let expiresAt = job.expiry {
      writer.key("expires_at")
      writer.time(expiresAt)
    }
    if let notify = job.notify {
      writer.key("notify")
      writer.beginArray()
      for occasion in notify { writer.string(occasion) }
      writer.endArray()
    }
    if let handler {
      writer.key("max_attempts")
      writer.int(job.retryPolicy(handler.retry).maxAttempts)
    }
    if let timeout = job.timeout ?? handler?.timeout {
      writer.key("timeout_s")
      writer.double(timeout.inSeconds)
    }
    if row.phase == .retry, let due = row.due {
      writer.key("next_attempt_at")
      writer.time(due)
    }
    writer.key("children")
    writer.beginArray()
    for child in children.prefix(100) {
      writer.beginObject()
      writer.key("id")
      writer.string(child.id)
      writer.key("type")
      if let type = child.type { writer.string(type) } else { writer.null() }
      writer.key("state")
      writer.string(child.state.rawValue)
      writer.endObject()
    }
    writer.endArray()
    writer.key("children_total")
    writer.int(childCount)
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
    if let time = attempt.cpuTime {
      writer.key("cpu_s")
      writer.double(time.inSeconds)
    }
    if let peak = attempt.peakMemory {
      writer.key("max_rss")
      writer.int(peak)
    }
    if let error = attempt.error {
      writer.key("error")
      error.write(to: &writer)
    }
    writer.endObject()
  }
}
