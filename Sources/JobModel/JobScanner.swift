/// Reads a job file: one pass over the bytes, strict, with every refusal naming line, column and key. The payload is
/// checked and its place remembered; nothing is built of it.
package enum JobScanner {
  /// - Parameter id: the file's stem; an `id` in the file must equal it. nil: the file has no name yet.
  package static func scan(_ bytes: [UInt8], id: String? = nil) throws(JobProblem) -> Job {
    guard !bytes.isEmpty else { throw JobProblem(.empty, "the file is empty; expected a JSON object with a \"type\"") }
    var result: Result<Job, JobProblem> = .failure(JobProblem(.badJSON, "nothing was read"))
    bytes.withUnsafeBufferPointer { buffer in
      do throws(JobProblem) {
        var scan = EnvelopeScan(bytes: bytes, buffer: buffer, id: id)
        result = .success(try scan.run())
      } catch {
        result = .failure(error)
      }
    }
    return try result.get()
  }

  /// The keys a producer may write, for "did you mean" and the documentation.
  package static let keys: [String] = [
    "v", "type", "id", "payload", "priority", "run_at", "delay", "expires_at", "max_attempts", "backoff", "delays",
    "timeout", "after", "on_parent_dead", "batch", "parent", "tags", "meta", "notify", "jobspool",
  ]

  package static let noticeKinds = Set(Notice.Occasion.allCases.filter(\.isAboutJobs).map(\.rawValue))
}

/// One scan in progress.
private struct EnvelopeScan {
  let id: String?
  var reader: JSONReader
  var job: Job
  var keys: Set<String> = []
  var runAt: WallTime?
  var delay: Duration?
  var hasType = false
  var offsets: [String: Int] = [:]

  init(bytes: [UInt8], buffer: UnsafeBufferPointer<UInt8>, id: String?) {
    self.id = id
    reader = JSONReader(buffer)
    job = Job(bytes: bytes, type: "", head: 0, tail: 0)
  }

  mutating func run() throws(JobProblem) -> Job {
    do throws(JSONReader.Problem) {
      try reader.begin()
    } catch {
      throw jsonProblem(error)
    }
    guard reader.next == UInt8(ascii: "{") else {
      throw problem(.badJSON, "expected a JSON object with a \"type\", found \(reader.found)", at: reader.at)
    }
    var failure: JobProblem?
    // Members are read here and not by `JSONReader.object`, because the record's place needs the commas.
    do throws(JSONReader.Problem) {
      try members(&failure)
      try reader.end()
    } catch {
      throw failure ?? jsonProblem(error)
    }
    if let failure { throw failure }
    try finish()
    return job
  }

  /// Walks the top-level members. A fault of meaning is put into `failure` and ends the walk by a JSON problem.
  private mutating func members(_ failure: inout JobProblem?) throws(JSONReader.Problem) {
    try reader.expect(UInt8(ascii: "{"), "'{'")
    reader.skipSpace()
    var first = true
    var beforeRecord: Int?
    while reader.next != UInt8(ascii: "}") {
      // `comma` is where a record that comes next would begin: at its comma, so that cutting it leaves whole JSON.
      let comma = reader.at
      if !first {
        guard reader.next == UInt8(ascii: ",") else {
          throw reader.problem("expected ',' or '}' after the value, found \(reader.found)")
        }
        try reader.expect(UInt8(ascii: ","), "','")
        reader.skipSpace()
        if reader.next == UInt8(ascii: "}") { throw reader.problem("a comma before '}' is not allowed") }
      }
      let offset = reader.at
      guard reader.next == UInt8(ascii: "\"") else {
        throw reader.problem("expected a key in quotes, found \(reader.found)")
      }
      let key = try reader.string()
      reader.skipSpace()
      try reader.expect(UInt8(ascii: ":"), "':' after the key")
      reader.skipSpace()
      guard keys.insert(key).inserted else {
        throw JSONReader.Problem(offset: offset, message: "the key \"\(key)\" occurs twice")
      }
      offsets[key] = reader.at
      if beforeRecord != nil {
        failure = problem(.badField, "\"jobspool\" must be the last key", key: "jobspool", at: offset)
        throw reader.problem("")
      }
      if key == "jobspool" { beforeRecord = comma }
      do throws(JobProblem) {
        try member(key, offset: offset)
      } catch {
        failure = error
        throw reader.problem(error.message)
      }
      reader.skipSpace()
      first = false
    }
    job.tail = reader.at
    job.head = beforeRecord ?? reader.at
    job.isBare = keys.isEmpty || (keys.count == 1 && beforeRecord != nil)
    try reader.expect(UInt8(ascii: "}"), "'}'")
  }

  private mutating func member(_ key: String, offset: Int) throws(JobProblem) {
    let place = reader.at
    switch key {
    case "type":
      let type = try string(key)
      guard JobType.isValid(type) else { throw field(key, "expected \(JobType.expected)", at: place) }
      job.type = type
      hasType = true
    case "payload": job.payload = try skip()
    case "id":
      let id = try string(key)
      guard JobID.isValid(id) else { throw field(key, "expected \(JobID.expected)", at: place) }
      if let expected = self.id, id != expected {
        throw problem(
          .wrongID, "\"id\" is \"\(id)\" but the file is named \(expected).json; make them equal or leave the id out",
          key: key, at: place)
      }
      job.id = id
    case "priority": job.priority = UInt8(try int(key, 0...9))
    case "run_at": runAt = try time(key)
    case "delay": delay = try duration(key)
    case "expires_at": job.expiresAt = try time(key)
    case "max_attempts": job.maxAttempts = try int(key, RetryPolicy.attempts)
    case "timeout":
      let timeout = try duration(key)
      guard timeout > .zero else { throw field(key, "expected more than 0", at: place) }
      job.timeout = timeout
    case "backoff": job.spacing = try backoff()
    case "delays":
      let delays = try list(key) { value in value.duration }
      guard let delays, RetryPolicy.delayCount.contains(delays.count) else {
        throw field(
          key, "expected a list of 1 to \(RetryPolicy.delayCount.upperBound) durations such as [\"5s\", \"15s\"]",
          at: place)
      }
      job.spacing = .delays(delays)
    case "after":
      let parents = try list(key) { value -> Job.Parent? in
        guard let text = value.string else { return nil }
        if text.hasPrefix("batch:") {
          let name = String(text.dropFirst(6))
          return JobID.isValid(name) ? .batch(name) : nil
        }
        return JobID.isValid(text) ? .job(text) : nil
      }
      guard let parents else {
        throw field(key, "expected a list of job ids or \"batch:NAME\"", at: place)
      }
      guard parents.count <= Limits.parents else {
        throw field(
          key, "names \(parents.count) jobs; \(Limits.parents) are the most: give them a \"batch\" and wait for that",
          at: place)
      }
      job.after = parents
    case "on_parent_dead":
      guard let choice = Job.OnParentDead(rawValue: try string(key)) else {
        throw field(key, "expected \"bury\" or \"run\"", at: place)
      }
      job.onParentDead = choice
    case "batch", "parent":
      let name = try string(key)
      guard JobID.isValid(name) else { throw field(key, "expected \(JobID.expected)", at: place) }
      if key == "batch" { job.batch = name } else { job.parent = name }
    case "tags":
      guard let tags = try list(key, { $0.string }) else { throw field(key, "expected a list of strings", at: place) }
      job.tags = tags
    case "meta":
      guard reader.next == UInt8(ascii: "{") else { throw field(key, "expected an object", at: place) }
      _ = try value()
      job.meta = place..<reader.at
    case "notify":
      let kinds = try list(key) { value in value.string.flatMap { JobScanner.noticeKinds.contains($0) ? $0 : nil } }
      guard let kinds else {
        let known = JobScanner.noticeKinds.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        throw field(key, "expected a list of \(known)", at: place)
      }
      job.notify = kinds
    case "v":
      guard try value() == .number("1") else {
        throw field(key, "this jobspool reads format version 1", at: place)
      }
    case "jobspool":
      reader.slack = JSONReader.ownLevels
      let value = try self.value(rawKeys: JobRecord.rawKeys)
      reader.slack = 0
      if let subject = Self.subject(value) {
        job.subject = subject
        return
      }
      job.recordText = place..<reader.at
      job.record = try JobRecord(value)
    default:
      let hint = Spelling.nearest(to: key, among: JobScanner.keys).map { "; did you mean \"\($0)\"?" } ?? ""
      throw problem(
        .unknownKey, "unknown key \"\(key)\"\(hint) (free data belongs into \"payload\" or \"meta\")", key: key,
        at: offset)
    }
  }

  /// Whom a job is submitted for, in `{"submitted_by":{"subject":"anna"}}`; nil for a record that says anything else.
  private static func subject(_ record: JSONValue) -> String? {
    guard let members = record.members, members.count == 1, members[0].key == "submitted_by",
      let inner = members[0].value.members, inner.count == 1, inner[0].key == "subject",
      let subject = inner[0].value.string, subject.utf8.count <= Limits.subjectLength,
      !subject.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
    else { return nil }
    return subject
  }

  /// Rules about several keys at once.
  private mutating func finish() throws(JobProblem) {
    guard hasType || (job.isBare && job.record != nil) else {
      throw JobProblem(.missingType, "\"type\" is missing: it says which handler runs the job", key: "type")
    }
    if runAt != nil, delay != nil {
      throw field("delay", "give \"run_at\" or \"delay\", not both", at: offsets["delay"] ?? 0)
    }
    if let runAt, let expiresAt = job.expiresAt, expiresAt < runAt {
      throw field("expires_at", "lies before \"run_at\": the job could never run", at: offsets["expires_at"] ?? 0)
    }
    if keys.contains("backoff"), keys.contains("delays") {
      throw field("delays", "give \"backoff\" or \"delays\", not both", at: offsets["delays"] ?? 0)
    }
    if let runAt { job.start = .at(runAt) }
    if let delay { job.start = .after(delay) }
  }

  // MARK: Typed values

  private mutating func value(rawKeys: Set<String> = []) throws(JobProblem) -> JSONValue {
    do throws(JSONReader.Problem) { return try reader.value(rawKeys: rawKeys) } catch { throw jsonProblem(error) }
  }

  private mutating func skip() throws(JobProblem) -> Range<Int> {
    do throws(JSONReader.Problem) { return try reader.skip() } catch { throw jsonProblem(error) }
  }

  private mutating func string(_ key: String) throws(JobProblem) -> String {
    let place = reader.at
    let value = try value()
    guard let text = value.string else { throw field(key, "expected a string, found \(value.kind)", at: place) }
    return text
  }

  private mutating func int(_ key: String, _ range: ClosedRange<Int>) throws(JobProblem) -> Int {
    let place = reader.at
    let value = try value()
    guard let number = value.int, range.contains(number) else {
      throw field(
        key, "expected a whole number from \(range.lowerBound) to \(range.upperBound), found \(value.shown)", at: place)
    }
    return number
  }

  private mutating func time(_ key: String) throws(JobProblem) -> WallTime {
    let place = reader.at
    let value = try value()
    guard let time = value.string.flatMap({ WallTime(rfc3339: $0) }) else {
      throw field(
        key, "expected an RFC 3339 time with offset such as \"2026-11-21T08:00:00Z\", found \(value.shown)", at: place)
    }
    return time
  }

  private mutating func duration(_ key: String) throws(JobProblem) -> Duration {
    let place = reader.at
    let value = try value()
    guard let duration = value.duration else {
      throw field(key, "expected \(DurationText.expected), found \(value.shown)", at: place)
    }
    return duration
  }

  private mutating func list<Element>(
    _ key: String, _ element: (JSONValue) -> Element?
  ) throws(JobProblem) -> [Element]? {
    guard let values = try value().array else { return nil }
    var elements: [Element] = []
    for value in values {
      guard let known = element(value) else { return nil }
      elements.append(known)
    }
    return elements
  }

  private mutating func backoff() throws(JobProblem) -> RetryPolicy.Spacing {
    let place = reader.at
    guard case .backoff(var base, var factor, var max, var jitter) = RetryPolicy.defaultSpacing else {
      preconditionFailure("the default spacing is a backoff")
    }
    guard let members = try value().members else {
      throw field("backoff", "expected an object with base, factor, max or jitter", at: place)
    }
    for member in members {
      switch member.key {
      case "base", "max":
        guard let duration = member.value.duration else {
          throw field("backoff.\(member.key)", "expected \(DurationText.expected)", at: place)
        }
        if member.key == "base" { base = duration } else { max = duration }
      case "factor":
        guard let number = member.value.double, RetryPolicy.factors.contains(number) else {
          throw field("backoff.factor", "expected a number from 1 to 100", at: place)
        }
        factor = number
      case "jitter":
        guard let number = member.value.double, RetryPolicy.jitters.contains(number) else {
          throw field("backoff.jitter", "expected a number from 0 to 1", at: place)
        }
        jitter = number
      default: throw field("backoff.\(member.key)", "unknown; expected base, factor, max or jitter", at: place)
      }
    }
    return .backoff(base: base, factor: factor, max: max, jitter: jitter)
  }

  // MARK: Problems

  private func problem(_ code: JobProblem.Code, _ message: String, key: String? = nil, at offset: Int) -> JobProblem {
    JobProblem(code, message, key: key, place: TextPlace(offset: offset, in: reader.bytes))
  }

  private func field(_ key: String, _ message: String, at offset: Int) -> JobProblem {
    problem(.badField, "\"\(key)\": \(message)", key: key, at: offset)
  }

  private func jsonProblem(_ problem: JSONReader.Problem) -> JobProblem {
    self.problem(.badJSON, problem.message, at: problem.offset)
  }
}

extension JSONValue {
  /// A duration as text or as a number of seconds.
  package var duration: Duration? {
    switch self {
    case .string(let text): DurationText.parse(text)
    case .number(let text): DurationText.parse(seconds: text)
    default: nil
    }
  }

  /// The value for an error message, cut to a readable length.
  package var shown: String {
    switch self {
    case .string, .number:
      let text = String(decoding: bytes, as: UTF8.self)
      return text.count > 60 ? text.prefix(57) + "…" : text
    default: return kind
    }
  }
}

/// Near misses, for "did you mean".
package enum Spelling {
  /// The closest candidate at an edit distance of at most two (one for short words).
  package static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let limit = word.count <= 4 ? 1 : 2
    return candidates.map { ($0, distance(word, $0)) }.filter { $0.1 <= limit }.min { $0.1 < $1.1 }?.0
  }

  /// Levenshtein's distance, words cut at 64 characters.
  static func distance(_ left: String, _ right: String) -> Int {
    let left = Array(left.prefix(64))
    let right = Array(right.prefix(64))
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in right.enumerated() {
        let above = row[j + 1]
        row[j + 1] = a == b ? diagonal : min(diagonal, above, row[j]) + 1
        diagonal = above
      }
    }
    return row[right.count]
  }
}
