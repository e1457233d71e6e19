/// One run of a job, from its claim to its settlement.
internal import JobModel
internal import SpoolStore

final class Attempt {
  let id: String
  let typeNumber: Agenda.TypeNumber
  let handler: HandlerSettings
  let job: Job
  let number: Int
  let startedAt: WallTime
  /// The right to settle; taken once.
  var claim: Claim?
  /// The record as it was before this run.
  var record: JobRecord
  var progress = JobRecord.Progress()
  /// The newest stage, to tell changes from repetitions.
  var isCancelled = false
  var cancelledBy = ""

  init(
    claim: consuming Claim, typeNumber: Agenda.TypeNumber, handler: HandlerSettings, job: Job, number: Int,
    startedAt: WallTime, record: JobRecord
  ) {
    id = claim.id
    self.typeNumber = typeNumber
    self.handler = handler
    self.job = job
    self.number = number
    self.startedAt = startedAt
    self.claim = consume claim
    self.record = record
  }

  /// What the handler reads: the job as one line of JSON (DESIGN: `{"id","type","attempt","payload",…}`).
  var inputLine: [UInt8] {
    var writer = JSONWriter(reserving: 256 + (job.payload?.count ?? 0))
    writer.beginObject()
    writer.key("id")
    writer.string(id)
    writer.key("type")
    writer.string(job.type)
    writer.key("attempt")
    writer.int(number)
    writer.key("max_attempts")
    writer.int(job.retryPolicy(handler.retry).maxAttempts)
    writer.key("payload")
    writer.raw(job.payloadBytes)
    writer.key("priority")
    writer.int(job.priority)
    writer.key("submitted_at")
    writer.time(record.submittedAt)
    if let batch = job.batch {
      writer.key("batch")
      writer.string(batch)
    }
    if let parent = job.parent {
      writer.key("parent")
      writer.string(parent)
    }
    if !job.tags.isEmpty {
      writer.key("tags")
      writer.value(.array(job.tags.map { .string($0) }))
    }
    if let meta = job.meta {
      writer.key("meta")
      writer.raw(job.bytes[meta])
    }
    writer.endObject()
    var line = writer.bytes
    // Line breaks in checked JSON can only stand between its tokens.
    for index in line.indices where line[index] == 0x0A || line[index] == 0x0D { line[index] = 0x20 }
    line.append(0x0A)
    return line
  }
}
