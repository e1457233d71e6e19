/// What producers write: job files, payloads, and the texts in them.
import JobModel
import JobSchema

extension FuzzTarget {
  private static let now = WallTime(seconds: 1_800_000_000)
  private static let record: JobRecord = {
    var record = JobRecord(id: "j", state: .new, submittedAt: now, updatedAt: now, node: "n")
    record.result = Array("{\"a\":[1,\"}\"]}".utf8)
    return record
  }()

  /// The envelope. With a record of ours in it the file still scans, and without it it is what was dropped.
  static let scanner = FuzzTarget(
    name: "scanner",
    words: JobScanner.keys.map { "\"\($0)\":" } + [
      "\"jobspool\":{\"id\":\"j\",\"state\":\"new\",\"submitted_at\":\"2026-01-01T00:00:00Z\"}", "\"batch:b\"",
      "\"9999-12-31T23:59:59Z\"", "\"1d\"", "{\"base\":1,\"factor\":2,\"max\":3,\"jitter\":1}", "\"36525d\"", "[", "]",
      ",",
    ]
  ) { bytes in
    let job: Job
    do throws(JobProblem) { job = try JobScanner.scan(bytes, id: "j") } catch {
      return "no \(error.code) \(error.message)"
    }
    try require((try? JSONReader.check(Array(job.payloadBytes))) != nil, "the payload's range is no JSON")
    let whole = job.completed(with: record)
    guard let again = try? JobScanner.scan(whole, id: "j") else {
      throw Wrong("with a record in it, it does not scan: \(String(decoding: whole, as: UTF8.self))")
    }
    try require(again.original == job.original, "without the record it is not what it was")
    try require(again.head == job.head && again.recordBytes == record.json, "the record has another place")
    if job.record == nil, job.subject == nil {
      try require(job.original == bytes, "it lost something without having a record")
    }
    try useTimes(of: job)
    let input = job.handlerInput(id: "j", attempt: 1, maxAttempts: 5, submittedAt: now)
    try require((try? JSONReader.check(input)) != nil, "what the handler gets is no JSON")
    try require(input.firstIndex(of: 0x0A) == input.count - 1, "what the handler gets is not one line")
    return "ok \(job.start) \(job.record?.state.rawValue ?? "") \(job.isBare)"
  }

  private static func useTimes(of job: Job) throws {
    let policy = job.retryPolicy(RetryPolicy())
    for attempt in [1, 2, 50, 1000] {
      for random in [0.0, 0.999] {
        let wait = policy.wait(after: attempt, random: random)
        try require(wait >= .zero && now + wait >= now, "attempt \(attempt) waits \(wait)")
      }
    }
    for seen in [WallTime(seconds: 0), now, .latest] {
      _ = job.due(firstSeen: seen, now: now).rfc3339
      _ = NoticeRules.deadline(job, firstSeen: seen, sla: .seconds(3650 * 86_400))?.rfc3339
    }
    _ = job.expiry.map { $0 + .milliseconds(1) }
    for pointer in ["", "/payload", "/payload/a/0", "/payload/-", "/tags/1", "/payload/99999999999999999999"] {
      _ = job.value(at: pointer).map { LimitKey.of($0) }
      if let pointer = JSONPointer(pointer) {
        let masked = JSONPointer.redact(job.bytes, [pointer])
        try require((try? JSONReader.check(masked)) != nil, "masked, it is no JSON")
      }
    }
  }

  /// What is read can be written, and reads the same.
  static let json = FuzzTarget(
    name: "json", words: ["{", "}", "[", "]", ":", ",", "\"", "true", "false", "null", "\\u", "-", ".", "e", "+"]
  ) { bytes in
    let problem: JSONReader.Problem?
    do throws(JSONReader.Problem) {
      try JSONReader.check(bytes)
      problem = nil
    } catch { problem = error }
    guard let value = try? JSONReader.parse(bytes) else {
      return "\(problem == nil ? "ok strict" : "no") \(problem?.message ?? "")"
    }
    try require(problem == nil, "it reads, but does not pass the check: \(problem?.message ?? "")")
    let written = value.bytes
    guard let again = try? JSONReader.parse(written) else { throw Wrong("what is written does not read") }
    try require(again == value, "it reads as something else when written")
    try require(!written.contains { $0 < 0x20 || $0 == 0x7F }, "a control character is written as it is")
    _ = (value.int, value.double, value.duration, value.shown)
    return "ok \(value.kind) \(min(bytes.count / 64, 20))"
  }

  /// Durations, sizes, rates, times and names.
  static let texts = FuzzTarget(
    name: "texts", words: ["ms", "d", "T", "%", "/", "Z", "+23:59", "-00:01", "60", ":", "~1"]
  ) { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    var kind = ""
    if let duration = DurationText.parse(text) ?? DurationText.parse(seconds: text) {
      kind += "duration"
      let again = DurationText.parse(DurationText.format(duration))
      try require(
        again == duration, "\(text) is \(duration), and written and read \(again.map { "\($0)" } ?? "nothing")")
    }
    if let size = SizeText.parse(text) {
      kind += "size"
      try require(SizeText.parse(SizeText.format(size)) == size, "\(size) bytes written and read are others")
    }
    if let rate = Rate(text: text) {
      kind += "rate"
      try require(Rate(text: rate.text) == rate, "\(rate.text) reads as another rate")
    }
    if let time = WallTime(rfc3339: text) {
      kind += "time"
      let shown = WallTime(rfc3339: time.rfc3339)
      try require(
        shown.map { time - $0 >= .zero && time - $0 < .milliseconds(1) } ?? false, "\(text) is \(time.rfc3339)")
    }
    if let pointer = JSONPointer(text) {
      kind += "pointer"
      try require(JSONPointer(pointer.text) == pointer, "\(pointer.text) reads as another pointer")
    }
    _ = (SizeText.percent(text), JobType.isValid(text))
    if JobID.isValid(text) {
      kind += "id"
      try require(!text.contains { $0 == "/" } && JobID.fileName(text).utf8.count < 255, "\(text) is no file's name")
    }
    try require(Base64.encode(bytes).utf8.count == (bytes.count + 2) / 3 * 4, "base64 of \(bytes.count) bytes")
    return kind.isEmpty ? "no" : "ok \(kind)"
  }

  /// A schema and, after a newline, a value.
  static let schema = FuzzTarget(
    name: "schema",
    words: [
      "\"type\":", "\"properties\":", "\"items\":", "\"pattern\":", "\"$ref\":\"#\"", "\"$defs\":", "\"allOf\":[",
      "\"anyOf\":[",
      "\"not\":", "\"if\":", "\"then\":", "\"minLength\":", "\"multipleOf\":", "\"maximum\":", "\"uniqueItems\":true",
      "\"format\":\"date-time\"", "\"contains\":", "\"patternProperties\":{", "\"enum\":[", "\"const\":", "(a+)+$",
      "[^\\\\d]",
      "{1,1000}", "(?=a)", "\\\\p{L}", "\"additionalProperties\":false", "\"prefixItems\":[", "\"dependentSchemas\":{",
    ]
  ) { bytes in
    let parts = bytes.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
    let schema: Schema
    do throws(SchemaProblem) { schema = try Schema(Array(parts[0])) } catch { return "no \(error)" }
    guard parts.count == 2, (try? JSONReader.check(Array(parts[1]))) != nil else { return "ok no value" }
    let found = schema.check(Array(parts[1]))
    try require(found.count <= Schema.mostViolations, "\(found.count) violations")
    try require(schema.check(Array(parts[1])).map { "\($0)" } == found.map { "\($0)" }, "twice asked, twice answered")
    return "ok \(found.first.map { "\($0)" } ?? "fits")"
  }
}
