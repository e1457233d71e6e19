/// Who is told of what: the table of notices, the words, and the forms in which they are sent.
import JobModel
import Testing

@Suite struct NoticeRulesTests {
  private let start = WallTime(rfc3339: "2026-11-21T08:00:00Z")!

  private func record(_ state: JobState, _ outcome: JobOutcome? = nil, runs: [AttemptOutcome] = []) -> JobRecord {
    var record = JobRecord(id: "j", state: state, submittedAt: start, updatedAt: start, node: "n")
    record.outcome = outcome
    for (index, run) in runs.enumerated() {
      record.add(JobRecord.Attempt(n: index + 1, startedAt: start, endedAt: start, outcome: run))
    }
    return record
  }

  private func entry(_ on: [String], types: [String] = []) -> NoticeSettings {
    var entry = NoticeSettings()
    entry.on = on
    entry.types = types
    return entry
  }

  private func job(_ text: String) throws -> Job { try JobScanner.scan(Array(text.utf8)) }

  @Test("what an end is an occasion for")
  func occasions() {
    #expect(NoticeRules.occasions(.finish, record(.done, .done, runs: [.done])) == [.done])
    #expect(NoticeRules.occasions(.finish, record(.done, .done, runs: [.crashed, .done])) == [.done, .recovered])
    // Dead, requeued, done.
    #expect(
      NoticeRules.occasions(.finish, record(.done, .done, runs: [.failed, .done, .done])) == [.done, .recovered])
    #expect(NoticeRules.occasions(.retry, record(.new, runs: [.failed])) == [.retried])
    #expect(NoticeRules.occasions(.retry, record(.new, runs: [.stalled])) == [.stalled, .retried])
    #expect(NoticeRules.occasions(.retry, record(.new, runs: [.stalled, .failed])) == [.retried])
    #expect(NoticeRules.occasions(.bury, record(.dead, .failed, runs: [.stalled])) == [.stalled, .dead])
    for transition in [Transition.bury, .reject, .expire, .cancel, .refuseTwin] {
      #expect(NoticeRules.occasions(transition, record(.dead, .failed)) == [.dead])
    }
    for transition in [Transition.claim, .unclaim, .release, .requeue, .discardTwin, .hold, .unhold, .purge] {
      #expect(NoticeRules.occasions(transition, record(.new)) == [])
    }
  }

  @Test("entries are chosen by on and types, and a job's own notify takes the place of on")
  func entries() {
    let done = entry(["done"])
    let mail = entry(["dead"], types: ["mail"])
    let disk = entry(["disk", "handler_broken"], types: ["mail"])
    let asked = entry([])
    let all = [done, mail, disk, asked]
    func told(_ occasion: Notice.Occasion, _ type: String?, _ notify: [String]? = nil) -> [NoticeSettings] {
      NoticeRules.entries(for: occasion, type: type, asked: notify, among: all)
    }
    #expect(told(.done, "x") == [done])
    #expect(told(.dead, "x") == [])
    #expect(told(.dead, "mail") == [mail])
    #expect(told(.dead, "mail", ["dead"]) == [done, mail, asked])
    #expect(told(.dead, "x", ["dead"]) == [done, asked])
    #expect(told(.done, "x", ["dead"]) == [])
    #expect(told(.done, "x", []) == [])
    #expect(told(.disk, nil) == [disk])
    #expect(told(.handlerBroken, "mail") == [disk])
    #expect(told(.handlerBroken, "x") == [])
    #expect(told(.scheduleMissed, nil) == [])
    // Notices raise no notices.
    #expect(told(.done, Notice.type) == [])
    #expect(told(.dead, Notice.type, ["dead"]) == [])
  }

  @Test("alerts that somebody may be told of")
  func alerts() {
    #expect(NoticeRules.occasion(ofAlert: "disk")?.occasion == .disk)
    #expect(NoticeRules.occasion(ofAlert: "no_space")?.occasion == .disk)
    #expect(NoticeRules.occasion(ofAlert: "handler:mail")?.occasion == .handlerBroken)
    #expect(NoticeRules.occasion(ofAlert: "handler:mail")?.type == "mail")
    #expect(NoticeRules.occasion(ofAlert: "schedule_missed:nightly")?.occasion == .scheduleMissed)
    for code in ["handler:jobspool.notify", "notify:x", "circuit:mail", "config", "busy", "odd_name:x"] {
      #expect(NoticeRules.occasion(ofAlert: code) == nil, "\(code)")
    }
  }

  @Test("an sla counts from submission or the producer's time, and from the requeue for a round after the end")
  func deadlines() throws {
    let minute = Duration.seconds(60)
    #expect(NoticeRules.deadline(try job(#"{"type":"x"}"#), firstSeen: start, sla: minute) == start + minute)
    let later = try job(#"{"type":"x","run_at":"2026-11-21T09:00:00Z"}"#)
    #expect(NoticeRules.deadline(later, firstSeen: start, sla: minute) == start + .seconds(3660))
    let past = try job(#"{"type":"x","run_at":"2026-11-21T07:00:00Z"}"#)
    #expect(NoticeRules.deadline(past, firstSeen: start, sla: minute) == start + minute)
    let delayed = try job(#"{"type":"x","delay":"5m"}"#)
    #expect(NoticeRules.deadline(delayed, firstSeen: start, sla: minute) == start + .seconds(360))
    var again = try job(#"{"type":"x"}"#)
    again.record = record(.new, runs: [.failed])
    #expect(NoticeRules.deadline(again, firstSeen: start + minute, sla: minute) == start + minute)
    again.record?.attempt = 0
    #expect(NoticeRules.deadline(again, firstSeen: start, sla: minute) == nil)
    again.record?.requeuedAt = start + .seconds(600)
    #expect(NoticeRules.deadline(again, firstSeen: start, sla: minute) == start + .seconds(660))
    again.record = record(.dead, .failed)
    #expect(NoticeRules.deadline(again, firstSeen: start + .seconds(30), sla: minute) == start + .seconds(90))
  }

  @Test("deadlines come in order; one that was moved or removed does not come")
  func order() {
    var deadlines = Deadlines<String>()
    for (id, seconds) in [("c", 3), ("a", 1), ("d", 4), ("b", 2), ("e", 5)] {
      deadlines.set(id, start + .seconds(seconds))
    }
    deadlines.remove("b")
    deadlines.set("a", start + .seconds(10))
    deadlines.set("d", start + .seconds(4))
    let first = deadlines.next()
    #expect(first == start + .seconds(3))
    let early = deadlines.take(now: start + .seconds(2))
    #expect(early == nil)
    var taken: [String] = []
    while let id = deadlines.take(now: start + .seconds(60)) { taken.append(id) }
    #expect(taken == ["c", "d", "e", "a"])
    let last = deadlines.next()
    #expect(deadlines.count == 0 && last == nil)
  }

  @Test("the same event makes the same notice, another event another; being late is one event")
  func identity() {
    func notice(_ occasion: Notice.Occasion, attempt: Int, at seconds: Int) -> String {
      var record = record(.dead, .failed)
      record.attempt = attempt
      return Notice(occasion, at: start + .seconds(seconds), message: "m", job: Notice.Subject(record, nil)).identity
    }
    #expect(notice(.dead, attempt: 1, at: 0) == notice(.dead, attempt: 1, at: 0))
    #expect(notice(.dead, attempt: 1, at: 0) != notice(.dead, attempt: 1, at: 9))
    #expect(notice(.retried, attempt: 1, at: 0) != notice(.retried, attempt: 2, at: 0))
    #expect(notice(.sla, attempt: 1, at: 0) == notice(.sla, attempt: 2, at: 9))
  }

  private func body(_ message: String) throws -> NoticeBody {
    var dead = record(.dead, .failed, runs: [.failed])
    dead.error = JobError(code: "exit_1", message: message)
    let notice = Notice(
      .dead, at: start, message: message, job: Notice.Subject(dead, try job(#"{"type":"x","payload":"hush"}"#)))
    let file = notice.jobFile(to: "host-1", node: "n")
    #expect(try JobScanner.scan(file).type == Notice.type)
    #expect(!String(decoding: file, as: UTF8.self).contains("hush"))
    let payload = try #require(try JSONReader.parse(file)["payload"])
    #expect(payload["notify"]?.string == "host-1")
    return try #require(NoticeBody(payload: payload))
  }

  @Test("a standard webhook has type, timestamp and data; the others their text, with nothing that wakes people")
  func forms() throws {
    let standard = try JSONReader.parse(try body("went <wrong>").json(.standard))
    #expect(standard["type"]?.string == "job.dead")
    #expect(standard["timestamp"]?.string == "2026-11-21T08:00:00.000Z")
    #expect(standard["data"]?["job"]?["id"]?.string == "j")
    #expect(standard["data"]?["job"]?["error"]?["message"]?.string == "went <wrong>")
    #expect(standard["data"]?["notify"] == nil)
    let slack = try JSONReader.parse(try body("<!channel> & co").json(.slack))
    #expect(slack["text"]?.string == "jobspool n: &lt;!channel&gt; &amp; co")
    let discord = try JSONReader.parse(try body(String(repeating: "@everyone ", count: 90)).json(.discord))
    #expect(discord["allowed_mentions"]?["parse"]?.array == [])
    #expect((discord["content"]?.string?.count ?? 9999) <= 2000)
  }

  @Test("a command's environment holds no line breaks, so a subject is one header")
  func environment() throws {
    let variables = try body("a\nBcc: everyone@example.org\0").environment
    #expect(variables.first { $0.name == "JOBSPOOL_NOTICE_OCCASION" }?.value == "dead")
    #expect(variables.first { $0.name == "JOBSPOOL_NOTICE_CODE" }?.value == "exit_1")
    #expect(variables.allSatisfy { !$0.value.contains { $0.isNewline || $0 == "\0" } })
  }

  @Test(
    "base64 as RFC 4648 has it",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func base64(_ plain: String, _ text: String) {
    #expect(Base64.encode(Array(plain.utf8)) == text)
    #expect(Base64.decode(text) == Array(plain.utf8))
    #expect(Base64.decode("\(text)?") == nil)
  }
}
