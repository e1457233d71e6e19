/// One run of a job, from its claim to its settlement.
internal import JobModel
internal import SpoolStore

final class Attempt {
  let id: String
  let typeNumber: Agenda.TypeNumber
  let handler: HandlerSettings
  let job: Job
  let number: Int
  var startedAt: WallTime
  /// The one by which a type that rests is tried.
  let isTried: Bool
  /// The right to settle; taken once.
  var claim: Claim?
  /// The record as it was before this run.
  var record: JobRecord
  var progress = JobRecord.Progress()
  /// When its handler was last heard from; nil, never.
  var lastSign: WallTime?
  /// How many stages it named, when the last one came into the audit log, and how many have not since.
  var stages = 0
  var stageNoted = Duration.zero
  var stagesSkipped = 0
  /// What it said in the daemon's log.
  var logLines = 0
  var logBytes = 0
  var isCancelled = false
  var cancelledBy = ""

  init(
    claim: consuming Claim, typeNumber: Agenda.TypeNumber, handler: HandlerSettings, job: Job, number: Int,
    startedAt: WallTime, record: JobRecord, isTried: Bool
  ) {
    id = claim.id
    self.typeNumber = typeNumber
    self.handler = handler
    self.job = job
    self.number = number
    self.startedAt = startedAt
    self.isTried = isTried
    self.claim = consume claim
    self.record = record
  }

  /// What the handler reads: the job as one line of JSON (DESIGN: `{"id","type","attempt","payload",…}`).
  ///
  /// - Parameter clear: the job with its secrets opened.
  func inputLine(_ clear: Job) -> [UInt8] {
    clear.handlerInput(
      id: id, attempt: number, maxAttempts: job.retryPolicy(handler.retry).maxAttempts, submittedAt: record.submittedAt)
  }
}
