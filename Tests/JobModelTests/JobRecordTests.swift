/// The daemon's record: what is written is what is read.
import JobModel
import SpoolTestSupport
import Testing

@Suite("The record")
struct JobRecordTests {
  private var full: JobRecord {
    var record = JobFactory.record("job-1", .dead, .failed)
    record.submittedBy = .init(uid: 4_294_967_294, user: "anna", subject: "we\"b")
    var first = JobFactory.attempt(1, .failed)
    first.exit = 75
    first.error = JobError(code: "exit", message: "é\n", details: Array("{\"a\":1,\"a\":2}".utf8))
    first.peakMemory = 1 << 40
    first.cpuTime = .milliseconds(1234)
    record.add(first)
    var second = JobFactory.attempt(2, .timeout)
    second.signal = 9
    record.add(second)
    record.runAt = JobFactory.later(60)
    record.spent = true
    record.progress = .init(percent: 12.5, stage: "select", message: "half")
    record.result = Array("{\"x\":[1.0,\"\\ud800\"]}".utf8)
    record.error = JobError(code: "c", message: "m")
    record.sha256 = String(repeating: "a", count: 64)
    record.twinOf = "other"
    return record
  }

  @Test("comes back as it was written")
  func roundTrip() throws {
    for record in [full, JobFactory.record("a", .new)] {
      let value = try JSONReader.parse(record.json, rawKeys: JobRecord.rawKeys)
      #expect(try JobRecord(value) == record)
      #expect(try JobRecord(value).json == record.json)
    }
  }

  @Test("passes over keys of a later version")
  func laterKeys() throws {
    let json = String(decoding: JobFactory.record("a", .new).json.dropLast(), as: UTF8.self) + ",\"colour\":{\"a\":1}}"
    let value = try JSONReader.parse(Array(json.utf8), rawKeys: JobRecord.rawKeys)
    #expect(try JobRecord(value) == JobFactory.record("a", .new))
  }

  @Test("keeps the newest hundred attempts")
  func hundred() {
    var record = JobFactory.record("a", .new)
    for n in 1...150 { record.add(JobFactory.attempt(n, .failed)) }
    #expect(record.attempt == 150)
    #expect(record.attempts.map(\.n) == Array(51...150))
  }

  @Test("starts over when it had ended, and keeps its history and its origin")
  func startOver() {
    var record = full
    record.startOverIfEnded(at: JobFactory.now)
    #expect(record.state == .new && record.attempt == 0 && record.spent)
    #expect(record.outcome == nil && record.result == nil && record.error == nil && record.finishedAt == nil)
    #expect(record.runAt == nil && record.progress == nil)
    #expect(record.attempts == full.attempts && record.sha256 == full.sha256 && record.submittedAt == full.submittedAt)
    var waiting = JobFactory.record("a", .new)
    waiting.attempt = 2
    let before = waiting
    waiting.startOverIfEnded(at: JobFactory.now)
    #expect(waiting == before)
  }

  @Test("a job that ended with any outcome lies in one of two states")
  func outcomes() {
    for outcome in JobOutcome.allCases { #expect(outcome.state == (outcome == .done ? .done : .dead)) }
  }
}

@Suite("Names")
struct JobIDTests {
  @Test(
    "are letters, digits and three marks, and never leave their folder",
    arguments: [
      ("a", true), ("A9", true), ("a.b_c-d", true), (String(repeating: "x", count: 128), true),
      (String(repeating: "x", count: 129), false), ("", false), (".", false), ("..", false), (".a", false),
      ("-a", false),
      ("_a", false), ("a/b", false), ("a b", false), ("a\0", false), ("é", false), ("a\n", false), ("ａ", false),
      ("\u{212A}", false),
    ])
  func ids(_ text: String, _ isValid: Bool) { #expect(JobID.isValid(text) == isValid) }

  @Test(
    "of types are lower-case",
    arguments: [
      ("send-email", true), ("0", true), ("a.b_c", true), ("Send", false), ("", false), ("-a", false), ("a/b", false),
      (String(repeating: "x", count: 64), true), (String(repeating: "x", count: 65), false),
    ])
  func types(_ text: String, _ isValid: Bool) { #expect(JobType.isValid(text) == isValid) }

  @Test(
    "come from file names",
    arguments: [
      ("a.json", "a"), ("a.json.json", "a.json"), (".json", nil), ("a", nil), ("a.JSON", nil), (".a.json", nil),
      ("a.bad", nil), ("a b.json", nil),
    ] as [(String, String?)])
  func fileNames(_ name: String, _ id: String?) {
    #expect(JobID.fromFileName(name) == id)
    if let id { #expect(JobID.fileName(id) == name) }
  }

  @Test("made by us are UUIDs of version 7 that sort by time")
  func uuids() {
    var random = SeededRandom(1)
    var last = ""
    for second in 0..<200 {
      let id = JobID.make(at: JobFactory.later(Int64(second)), random: (random.next(), random.next()))
      let parts = id.split(separator: "-").map(\.count)
      #expect(JobID.isValid(id) && parts == [8, 4, 4, 4, 12])
      let characters = Array(id)
      #expect(characters[14] == "7" && "89ab".contains(characters[19]))
      #expect(id > last)
      last = id
    }
    #expect(
      JobID.make(at: WallTime(microseconds: 0x017F_22E2_79B0 * 1000), random: (0xCC3, 0x18C4_DC0C_0C07_398F))
        == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "the example of RFC 9562, appendix A.6")
  }
}
