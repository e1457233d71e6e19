/// The job file, key by key: what is read, what is refused, and that a refusal names the key and the place.
import JobModel
import SpoolTestSupport
import Testing

@Suite("Reading a job file")
struct JobScannerTests {
  private func scan(_ json: String, id: String? = nil) throws -> Job { try JobScanner.scan(Array(json.utf8), id: id) }

  private func problem(_ json: String, id: String? = nil) -> JobProblem? {
    #expect(throws: JobProblem.self, "\(json) was accepted") { try scan(json, id: id) }
  }

  @Test("reads every key")
  func everyKey() throws {
    let job = try scan(
      """
      {"v":1,"type":"send-email","id":"42","payload":{"a":1},"priority":0,"run_at":"2026-11-21T09:00:00+01:00",
       "expires_at":"2026-11-22T00:00:00Z","max_attempts":7,"delays":["5s",15,"1m"],"timeout":"90s",
       "after":["1","batch:nightly"],"on_parent_dead":"run","batch":"b1","parent":"0","tags":["x","y"],
       "meta":{"k":[1]},"notify":["done","dead"]}
      """, id: "42")
    #expect(job.type == "send-email" && job.id == "42" && job.priority == 0)
    #expect(job.start == .at(JobFactory.now))
    #expect(job.expiresAt == WallTime(rfc3339: "2026-11-22T00:00:00Z"))
    #expect(job.maxAttempts == 7 && job.timeout == .seconds(90))
    #expect(job.spacing == .delays([.seconds(5), .seconds(15), .seconds(60)]))
    #expect(job.after == [.job("1"), .batch("nightly")] && job.onParentDead == .run)
    #expect(job.batch == "b1" && job.parent == "0" && job.tags == ["x", "y"] && job.notify == ["done", "dead"])
    #expect(job.meta.map { Array(job.bytes[$0]) } == Array("{\"k\":[1]}".utf8))
    #expect(job.record == nil && !job.isBare)
  }

  @Test("only needs a type, and has the documented defaults")
  func defaults() throws {
    let job = try scan("{\"type\":\"x\"}")
    #expect(job.priority == 5 && job.start == .now && job.expiry == nil && job.after.isEmpty)
    #expect(job.onParentDead == .bury && job.payload == nil && Array(job.payloadBytes) == Array("null".utf8))
    #expect(job.retryPolicy(RetryPolicy()) == RetryPolicy(maxAttempts: 5))
  }

  @Test(
    "refuses a wrong value and names its key",
    arguments: [
      ("type", "1"), ("type", "\"\""), ("type", "\"Send\""), ("type", "\"-x\""), ("type", "\"a/b\""), ("type", "null"),
      ("type", "\"\(String(repeating: "x", count: 65))\""), ("id", "7"), ("id", "\"../x\""), ("id", "\"\""),
      ("priority", "10"), ("priority", "-1"), ("priority", "5.0"), ("priority", "\"5\""), ("priority", "null"),
      ("run_at", "\"2026-11-21T09:00:00\""), ("run_at", "1795248000"), ("run_at", "\"tomorrow\""),
      ("run_at", "\"1969-12-31T23:59:59Z\""), ("delay", "\"5\""), ("delay", "-1"), ("delay", "\"5 s\""),
      ("delay", "true"),
      ("expires_at", "\"2026-13-01T00:00:00Z\""), ("max_attempts", "0"), ("max_attempts", "1001"),
      ("max_attempts", "1e1"),
      ("timeout", "0"), ("timeout", "\"0s\""), ("timeout", "\"1y\""), ("backoff", "5"), ("backoff", "{\"basis\":1}"),
      ("backoff", "{\"factor\":0.5}"), ("backoff", "{\"jitter\":2}"), ("backoff", "{\"base\":\"x\"}"),
      ("delays", "[]"), ("delays", "[\"x\"]"), ("delays", "\"5s\""), ("after", "\"a\""), ("after", "[1]"),
      ("after", "[\"batch:\"]"), ("after", "[\"a b\"]"), ("on_parent_dead", "\"ignore\""), ("batch", "\"a b\""),
      ("parent", "1"), ("tags", "\"a\""), ("tags", "[1]"), ("meta", "[]"), ("meta", "\"x\""), ("notify", "[\"born\"]"),
      ("notify", "\"done\""), ("v", "2"), ("v", "\"1\""), ("v", "1.0"),
    ])
  func wrongValues(_ key: String, _ value: String) {
    let json = key == "type" ? "{\n\"type\": \(value)}" : "{\"type\":\"x\",\n\"\(key)\": \(value)}"
    let problem = problem(json)
    #expect(problem?.code == .badField)
    #expect(problem?.key == key || problem?.key?.hasPrefix(key + ".") == true)
    #expect(problem?.message.contains("\"\(key)") == true)
    #expect(problem?.place.map { [$0.line, $0.column] } == [2, key.count + 5])
  }

  @Test(
    "refuses an unknown key, and says which was meant",
    arguments: [
      ("prioritiy", "priority"), ("Type", "type"), ("payloads", "payload"), ("run-at", "run_at"),
      ("maxattempts", "max_attempts"),
    ])
  func misspelt(_ key: String, _ meant: String) {
    let problem = problem("{\"type\":\"x\",\"\(key)\":1}")
    #expect(problem?.code == .unknownKey && problem?.key == key)
    #expect(problem?.message.contains("did you mean \"\(meant)\"?") == true)
    #expect(problem?.place.map { [$0.line, $0.column] } == [1, 13])
  }

  @Test("refuses an unknown key like no other without guessing")
  func unknown() {
    #expect(problem("{\"type\":\"x\",\"colour\":1}")?.message.contains("did you mean") == false)
  }

  @Test(
    "refuses combinations that contradict each other",
    arguments: [
      ("\"run_at\":\"2026-11-21T09:00:00Z\",\"delay\":5", "delay"),
      ("\"run_at\":\"2026-11-21T09:00:00Z\",\"expires_at\":\"2026-11-21T08:59:59Z\"", "expires_at"),
      ("\"backoff\":{},\"delays\":[1]", "delays"),
    ])
  func contradictions(_ more: String, _ key: String) {
    let problem = problem("{\"type\":\"x\",\(more)}")
    #expect(problem?.code == .badField && problem?.key == key && problem?.place != nil)
  }

  @Test(
    "says what is missing, wrong or no job at all",
    arguments: [
      ("", JobProblem.Code.empty), ("{}", .missingType), ("{\"payload\":1}", .missingType), ("[]", .badJSON),
      ("null", .badJSON),
      ("{\"type\":\"x\",}", .badJSON), ("{\"type\":\"x\"} x", .badJSON), ("{\"type\":\"x\"", .badJSON),
      ("{\"type\":\"x\",\"type\":\"y\"}", .badJSON), ("{\"type\":\"x\",\"\\u0074ype\":\"y\"}", .badJSON),
      ("\u{FEFF}{\"type\":\"x\"}", .badJSON), ("{\"type\":\"x\",\"meta\":{\"a\":1,\"a\":2}}", .badJSON),
      ("{\"type\":\"x\",\"tags\":[\"\\ud800\"]}", .badJSON),
    ])
  func noJob(_ json: String, _ code: JobProblem.Code) {
    #expect(problem(json)?.code == code)
  }

  @Test("wants an id to be the file's name")
  func names() throws {
    #expect(problem("{\"type\":\"x\",\"id\":\"a\"}", id: "b")?.code == .wrongID)
    #expect(try scan("{\"type\":\"x\",\"id\":\"a\"}", id: "a").id == "a")
    #expect(try scan("{\"type\":\"x\",\"id\":\"a\"}").id == "a")
  }

  @Test(
    "keeps any JSON of a payload byte for byte",
    arguments: [
      "null", "1.0", "-0", "1e999", "\"\\/\\ud800\"", "{\"a\":1,\"a\":2}", "[ 1 ,\n2 ]", "{\"jobspool\":{\"type\":1}}",
      "\"\\\"}\"", "[]", "\"é\\u00e9\"",
    ])
  func payload(_ text: String) throws {
    for space in ["", " ", "\n\t"] {
      let job = try scan("{\"payload\":\(space)\(text)\(space),\(space)\"type\":\"x\"}")
      #expect(Array(job.payloadBytes) == Array(text.utf8))
      let again = try JobScanner.scan(job.completed(with: JobFactory.record("a", .done, .done)))
      #expect(Array(again.payloadBytes) == Array(text.utf8))
      #expect(again.original == job.bytes)
    }
  }

  @Test("bounds the depth of a payload")
  func depth() throws {
    func json(_ depth: Int) -> String {
      "{\"type\":\"x\",\"payload\":\(String(repeating: "[", count: depth))\(String(repeating: "]", count: depth))}"
    }
    #expect(throws: Never.self) { try scan(json(512)) }
    #expect(problem(json(513))?.code == .badJSON)
    #expect(problem(json(100_000))?.code == .badJSON)
  }

  @Test("puts the place of a fault inside a payload where it is")
  func placeInPayload() {
    #expect(problem("{\"type\":\"x\",\n\"payload\": [1,\n  02]}")?.place.map { [$0.line, $0.column] } == [3, 4])
  }

  @Test("gives the same head and the same original after any number of records")
  func completed() throws {
    let texts = [
      "{\"type\":\"x\"}", "{ \"type\" : \"x\" }", "{\"type\":\"x\"\n}\n", "{\"type\":\"x\" , \"tags\":[] }  \n\n",
      "\n {\"type\":\"x\",\"payload\":\"}\"}",
    ]
    for text in texts {
      let first = try scan(text)
      var job = first
      for round in 1...4 {
        var record = JobFactory.record("a", round.isMultiple(of: 2) ? .done : .new)
        record.result =
          Array(String(repeating: "[", count: 40 / round).utf8) + Array(String(repeating: "]", count: 40 / round).utf8)
        job = try JobScanner.scan(job.completed(with: record), id: "a")
        #expect(job.head == first.head && job.record == record, "\(text) round \(round)")
        #expect(job.original == Array(text.utf8), "\(text) round \(round)")
        #expect(job.recordBytes == record.json)
      }
    }
  }

  @Test("reads a record back whose result is as deep as any JSON may be")
  func deepResult() throws {
    var record = JobFactory.record("a", .done, .done)
    record.result =
      [UInt8](repeating: UInt8(ascii: "["), count: 512) + [UInt8](repeating: UInt8(ascii: "]"), count: 512)
    #expect(throws: Never.self) { try JSONReader.check(record.result ?? []) }
    var attempt = JobFactory.attempt(1, .failed)
    attempt.error = JobError(code: "c", message: "m", details: record.result)
    record.add(attempt)
    let job = try JobScanner.scan(try scan("{\"type\":\"x\"}").completed(with: record))
    #expect(job.record == record)
  }

  @Test("finds a record that was written with spaces, and wants it last")
  func recordPlace() throws {
    let record = String(decoding: JobFactory.record("a", .done, .done).json, as: UTF8.self)
    let job = try scan("{\"type\":\"x\" , \"jobspool\" : \(record) }\n")
    #expect(String(decoding: job.original, as: UTF8.self) == "{\"type\":\"x\" }\n")
    let problem = problem("{\"jobspool\":\(record),\"type\":\"x\"}")
    #expect(problem?.code == .badField && problem?.key == "jobspool")
  }

  @Test("takes a bare record for a job without a type, and no other")
  func bare() throws {
    let bare = Job.bare(record: JobFactory.record("a", .dead, .rejected))
    let job = try JobScanner.scan(bare, id: "a")
    #expect(job.isBare && job.type.isEmpty && job.record?.outcome == .rejected)
    #expect(try JobScanner.scan(job.completed(with: JobFactory.record("a", .new))).isBare)
  }

  @Test(
    "refuses a record that is none",
    arguments: [
      "null", "{}", "{\"id\":\"a\"}", "{\"id\":\"a\",\"state\":\"lost\",\"submitted_at\":\"2026-11-21T08:00:00Z\"}",
      "{\"id\":\"a/b\",\"state\":\"new\",\"submitted_at\":\"2026-11-21T08:00:00Z\"}",
      "{\"id\":\"a\",\"state\":\"new\",\"submitted_at\":\"2026-11-21T08:00:00Z\",\"attempts\":[{}]}",
      "{\"id\":\"a\",\"state\":\"new\",\"submitted_at\":\"2026-11-21T08:00:00Z\",\"outcome\":\"lost\"}",
    ])
  func badRecord(_ text: String) {
    #expect(problem("{\"type\":\"x\",\"jobspool\":\(text)}")?.code == .forgedRecord)
  }

  @Test("bounds delays like max_attempts")
  func manyDelays() throws {
    func json(_ count: Int) -> String {
      "{\"type\":\"x\",\"delays\":[\(Array(repeating: "1", count: count).joined(separator: ","))]}"
    }
    #expect(try scan(json(999)).retryPolicy(RetryPolicy()).maxAttempts == 1000)
    #expect(problem(json(1000))?.key == "delays")
  }

  @Test("starts when the record, else the file says")
  func due() throws {
    let seen = JobFactory.later(5)
    #expect(try scan("{\"type\":\"x\"}").due(firstSeen: seen) == seen)
    #expect(try scan("{\"type\":\"x\",\"delay\":\"1m\"}").due(firstSeen: seen) == JobFactory.later(65))
    #expect(try scan("{\"type\":\"x\",\"run_at\":\"2026-11-21T08:00:00Z\"}").due(firstSeen: seen) == JobFactory.now)
    #expect(try scan("{\"type\":\"x\",\"delay\":\"36525d\"}").due(firstSeen: .latest) == .latest)
    var job = try scan("{\"type\":\"x\",\"delay\":\"1d\",\"expires_at\":\"2026-11-21T09:00:00Z\"}")
    #expect(job.expiry != nil)
    var record = JobFactory.record("a", .new)
    record.runAt = JobFactory.later(99)
    job.record = record
    #expect(job.due(firstSeen: seen) == JobFactory.later(99))
    record.runAt = nil
    record.spent = true
    job.record = record
    #expect(job.due(firstSeen: seen) == seen && job.expiry == nil)
  }

  @Test("names at most so many parents as can be looked up at once; a batch has no bound")
  func parents() throws {
    let many = (0...Limits.parents).map { "\"p\($0)\"" }
    func file(_ parents: some Sequence<String>) -> [UInt8] {
      Array("{\"type\":\"demo\",\"after\":[\(parents.joined(separator: ","))]}".utf8)
    }
    #expect(try JobScanner.scan(file(many.dropLast())).after.count == Limits.parents)
    #expect(throws: JobProblem.self) { try JobScanner.scan(file(many)) }
  }
}
