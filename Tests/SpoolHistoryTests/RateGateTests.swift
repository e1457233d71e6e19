import JobModel
import SpoolConfig
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Whether a rate lets one more in") struct RateGateTests {
  private let scene: Scene
  private let now = Scene.now

  init() throws {
    scene = try Scene()
    try scene.handler("mail", "rate = { limit = 2, per = \"1h\", by = \"/payload/user\", over = \"reject\" }")
    try scene.handler("call", "rate = { limit = 2, per = \"1h\", by = \"/payload/user\" }")
    try scene.handler("free")
  }

  private func job(_ user: String, _ type: String = "mail") throws -> Job {
    try JobScanner.scan(Array("{\"type\":\"\(type)\",\"payload\":{\"user\":\"\(user)\"}}".utf8))
  }

  private func minutesAgo(_ minutes: Int64) -> WallTime {
    WallTime(microseconds: now.microseconds - minutes * 60_000_000)
  }

  /// What the daemon writes of a job that counts.
  private func note(_ event: AuditEvent, _ id: String, _ user: String, _ minutes: Int64) throws {
    let job = try job(user, event == .claimed ? "call" : "mail")
    let limit = try #require(scene.reader().configuration?.handlers[job.type]?.rate)
    try scene.transitions.audit.append(event, at: minutesAgo(minutes), job: id, type: job.type) { writer in
      writer.key("rate_key")
      writer.string(String(limit.key(of: job), radix: 16))
    }
    try scene.transitions.audit.flush()
  }

  @Test("accepted submissions of the interval count, by value; the answer says until when")
  func counts() throws {
    let gate = RateGate()
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now)) == nil)
    try note(.submitted, "a0", "ann", 61)
    try note(.submitted, "a1", "ann", 50)
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now)) == nil, "one of the two is too old")
    try note(.submitted, "b1", "bob", 10)
    try note(.submitted, "a2", "ann", 5)
    let refusal = try gate.refusal(of: job("ann"), scene.reader(at: now))
    // The log has milliseconds.
    #expect(refusal?.until.rfc3339 == (minutesAgo(50) + .seconds(3600)).rfc3339)
    #expect(refusal?.message.hasPrefix("mail takes 2 per 1h for \"ann\", and that many were submitted") == true)
    #expect(try gate.refusal(of: job("bob"), scene.reader(at: now)) == nil)
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now + .seconds(601))) == nil)
    #expect(try gate.refusal(of: job("ann", "free"), scene.reader(at: now)) == nil)
    #expect(try gate.refusal(of: job("ann", "call"), scene.reader(at: now)) == nil, "a rate that waits refuses nobody")
  }

  @Test("what one submits oneself counts before the log shows it, and not twice")
  func own() throws {
    var gate = RateGate()
    for id in ["a1", "a2"] {
      #expect(try gate.refusal(of: job("ann"), scene.reader(at: now)) == nil)
      try gate.count(job("ann"), id: id, scene.reader(at: now))
      if id == "a1" { try note(.submitted, id, "ann", 0) }
    }
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now)) != nil)
    var once = RateGate()
    try once.count(job("eve"), id: "e1", scene.reader(at: now))
    try note(.submitted, "e1", "eve", 0)
    #expect(try once.refusal(of: job("eve"), scene.reader(at: now)) == nil)
  }

  @Test("an id that is sent again is no further submission")
  func again() throws {
    var gate = RateGate()
    for _ in 1...3 { try gate.count(job("ann"), id: "a1", scene.reader(at: now)) }
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now)) == nil)
    #expect(try gate.hasCounted(job("ann"), id: "a1", scene.reader(at: now)))
    #expect(try !gate.hasCounted(job("ann"), id: "a2", scene.reader(at: now)))
    try gate.count(job("ann"), id: "a2", scene.reader(at: now))
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now)) != nil)
    #expect(try !gate.hasCounted(job("ann"), id: "a1", scene.reader(at: now + .seconds(3601))), "too old to count")
  }

  @Test("with a daemon, one it has not told of for two seconds was something else")
  func untold() throws {
    try scene.pretendDaemon("{\"types\":{}}")
    var gate = RateGate()
    for id in ["a1", "a2"] { try gate.count(job("ann"), id: id, scene.reader(at: now)) }
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now + .seconds(1))) != nil)
    #expect(try gate.refusal(of: job("ann"), scene.reader(at: now + .seconds(3))) == nil)
  }

  @Test("status.json alone is enough to refuse, as long as it speaks of the same rate")
  func published() throws {
    let limit = try #require(scene.reader().configuration?.handlers["mail"]?.rate)
    let key = String(limit.key(of: try job("ann")), radix: 16)
    let until = now + .seconds(90)
    func status(_ limit: Int) -> String {
      "{\"types\":{\"mail\":{\"rate\":{\"limit\":\(limit),\"per\":\"1h\",\"over\":\"reject\",\"full\":"
        + "{\"\(key)\":\"\(until.rfc3339)\"}}}}}"
    }
    try scene.pretendDaemon(status(2))
    #expect(try RateGate().refusal(of: job("ann"), scene.reader(at: now))?.until.rfc3339 == until.rfc3339)
    #expect(try RateGate().refusal(of: job("bob"), scene.reader(at: now)) == nil)
    #expect(try RateGate().refusal(of: job("ann"), scene.reader(at: now + .seconds(91))) == nil)
    try TestSpool.write(Array(status(3).utf8), to: "\(scene.test.path)/status.json")
    #expect(try RateGate().refusal(of: job("ann"), scene.reader(at: now)) == nil)
  }

  @Test("without a log nobody is refused")
  func unreadable() throws {
    try note(.submitted, "a1", "ann", 5)
    try note(.submitted, "a2", "ann", 5)
    for file in scene.test.auditFiles {
      try scene.test.move("\(scene.test.path)/log/\(file)", "\(scene.test.path)/gone")
    }
    #expect(try RateGate().refusal(of: job("ann"), scene.reader(at: now)) == nil)
  }

  @Test("why names rate, value and the next start, from the log alone")
  func why() throws {
    try scene.pretendDaemon("{\"types\":{\"call\":{\"concurrency\":4,\"running\":0}}}")
    try note(.claimed, "c1", "ann", 50)
    try note(.claimed, "c2", "ann", 20)
    try scene.test.drop("c3", "{\"type\":\"call\",\"payload\":{\"user\":\"ann\"}}")
    try scene.test.drop("c4", "{\"type\":\"call\",\"payload\":{\"user\":\"bob\"}}")
    let reason = try scene.reader().why("c3")
    #expect(reason.code == .rate && reason.until?.rfc3339 == (minutesAgo(50) + .seconds(3600)).rfc3339)
    #expect(reason.text.hasPrefix("the rate of call is reached: 2 per 1h for \"ann\"; the next start is at "))
    #expect(try scene.reader().why("c4").code == .next)
  }
}
