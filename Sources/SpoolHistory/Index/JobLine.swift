/// What the index wants of a line about a job, once its beginning has been read: picked out in one pass, and of the record
/// only as much as the event asks for.
internal import JobModel

struct JobLine {
  var type: UnsafeRawBufferPointer?
  var from: JobState?
  var attempt: UInt16?
  /// Milliseconds.
  var run: UInt32?
  var waited: UInt32?
  /// Microseconds, as the line has them.
  var runMicroseconds: Int64?
  var waitMicroseconds: Int64?
  var slaKept: Bool?
  var isDiscarded = false
  /// The attempt's end may be told of a job whose claim was not one (a twin, a crash).
  var submittedAt: Int64?
  var due: Int64?
  /// JSON as they stand; `uid` is digits.
  var user: UnsafeRawBufferPointer?
  var uid: UnsafeRawBufferPointer?
  var subject: UnsafeRawBufferPointer?
  var priority: UInt8?
  /// JSON as it stands.
  var batch: UnsafeRawBufferPointer?
  var parent: UnsafeRawBufferPointer?
  var after: UnsafeRawBufferPointer?
  var runsIfDead = false
  var tags: UnsafeRawBufferPointer?
  var meta: UnsafeRawBufferPointer?
  // From the record.
  var outcome: JobOutcome?
  var runAt: Int64?
  var error: (code: String, message: String)?

  /// - Parameter isDescribed: who submitted the job is known, so a record need not be asked.
  init(_ scan: inout LineScan, isDescribed: Bool) {
    let isSubmission = scan.event == .submitted
    scanning: while let (key, value) = scan.rest.next() {
      switch key.count {
      case 2:
        if isSubmission, key.equals("by") { user = value }
      case 3:
        if key.equals("uid") { uid = value }
        if key.equals("due") { due = value.unquoted(LineScan.time) ?? nil }
        if key.equals("sla") { slaKept = value.equals("\"kept\"") }
      case 4:
        if key.equals("type") { type = UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast()) }
        if key.equals("from") {
          from = value.unquoted { JobState(rawValue: String(decoding: $0, as: UTF8.self)) } ?? nil
        }
        if key.equals("tags") { tags = value }
        if key.equals("meta") { meta = value }
        if key.equals("prev") { break scanning }
      case 5:
        if key.equals("batch") { batch = value }
        // Of a record that is too large for the line.
        if key.equals("brief") { readRecord(value, scan.event) }
        if key.equals("after") { after = value }
      case 6:
        if key.equals("parent") { parent = value }
        if key.equals("run_us") {
          runMicroseconds = value.wholeNumber
          run = UInt32(clamping: value.wholeNumber / 1000)
        }
        if key.equals("record") {
          if scan.event != .finished || !isDescribed { readRecord(value, scan.event) }
          break scanning
        }
      case 7:
        if key.equals("attempt") { attempt = UInt16(clamping: value.wholeNumber) }
        if key.equals("wait_us") {
          waitMicroseconds = value.wholeNumber
          waited = UInt32(clamping: value.wholeNumber / 1000)
        }
        if isSubmission, key.equals("subject") { subject = value }
      case 8: if key.equals("priority") { priority = UInt8(clamping: value.wholeNumber) }
      case 9: if key.equals("discarded") { isDiscarded = value.equals("true") }
      case 14: if key.equals("on_parent_dead") { runsIfDead = value.equals("\"run\"") }
      case 12: if key.equals("submitted_at") { submittedAt = value.unquoted(LineScan.time) ?? nil }
      default: break
      }
    }
  }

  private mutating func readRecord(_ record: UnsafeRawBufferPointer, _ event: AuditEvent) {
    guard var members = MemberScan(record) else { return }
    let isFailure = event != .finished
    while let (key, value) = members.next() {
      if key.equals("outcome") {
        outcome = value.unquoted { JobOutcome(rawValue: String(decoding: $0, as: UTF8.self)) } ?? nil
      } else if key.equals("submitted_at") {
        submittedAt = value.unquoted(LineScan.time) ?? nil
      } else if key.equals("submitted_by") {
        readSubmitter(value)
      } else if key.equals("attempt"), !isFailure {
        return
      } else if key.equals("run_at") {
        runAt = value.unquoted(LineScan.time) ?? nil
      } else if key.equals("error") {
        readError(value)
      } else if key.equals("updated_at") {
        return
      }
    }
  }

  private mutating func readSubmitter(_ object: UnsafeRawBufferPointer) {
    guard var members = MemberScan(object) else { return }
    while let (key, value) = members.next() {
      if key.equals("uid") { uid = value }
      if key.equals("user") { user = value }
      if key.equals("subject") { subject = value }
    }
  }

  private mutating func readError(_ object: UnsafeRawBufferPointer) {
    guard var members = MemberScan(object) else { return }
    var code = ""
    var message = ""
    while let (key, value) = members.next() {
      if key.equals("code") { code = value.unquoted { String(decoding: $0, as: UTF8.self) } ?? "" }
      if key.equals("message") { message = value.unquoted { String(decoding: $0, as: UTF8.self) } ?? "" }
    }
    error = (code, message)
  }
}
