import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Why a job is not running") struct WhyTests {
  private func why(_ scene: Scene, _ id: String) throws -> Reason { try scene.reader().why(id) }

  /// A daemon's view; `more` goes before the end.
  private func status(
    _ types: String = "", running: String = "", state: String = "running", paused: Bool = false, maxJobs: Int = 4,
    count: Int = 0, alerts: String = ""
  ) -> String {
    "{\"version\":\"1\",\"pid\":1,\"node\":\"n\",\"state\":\"\(state)\",\"paused\":\(paused),\"max_jobs\":\(maxJobs),"
      + "\"running_count\":\(count),\"types\":{\(types)},\"running\":[\(running)],\"alerts\":[\(alerts)]}"
  }

  private func waiting(_ json: String = "{\"type\":\"echo\"}") throws -> Scene {
    let scene = try Scene()
    try scene.handler("echo")
    try scene.submit("j", json)
    return scene
  }

  @Test("a job nobody has is no_such_job")
  func missing() throws {
    let scene = try Scene()
    #expect(throws: SpoolError.self) { try why(scene, "nobody") }
  }

  @Test("without a daemon that is the reason")
  func noDaemon() throws { #expect(try why(waiting(), "j").code == .noDaemon) }

  @Test("ends say how it ended")
  func ends() throws {
    let scene = try waiting()
    try scene.submit("k")
    try scene.run("j", .finish)
    try scene.run("k", .bury)
    #expect(try why(scene, "j").code == .done)
    let dead = try why(scene, "k")
    #expect(dead.code == .dead && dead.text.contains("no luck") && dead.text.contains("jobspool requeue k"))
  }

  @Test("held, scheduled, between attempts, expired: each with its time")
  func ownReasons() throws {
    let scene = try waiting("{\"type\":\"echo\",\"delay\":\"1h\"}")
    #expect(try why(scene, "j").code == .scheduled)
    #expect(try why(scene, "j").until.map { $0 > Scene.now } == true)
    try scene.submit("k")
    let due = WallTime(microseconds: Scene.now.microseconds + 60_000_000)
    try scene.run("k", .retry) { $0.runAt = due }
    let retry = try why(scene, "k")
    #expect(retry.code == .retry && retry.text.contains("attempt 1 failed (exit code 1: no luck)"))
    #expect(retry.until?.rfc3339 == due.rfc3339)
    try scene.submit("l", "{\"type\":\"echo\",\"expires_at\":\"2020-01-01T00:00:00Z\"}")
    #expect(try why(scene, "l").code == .expired)
    try scene.transitions.hold("l", type: nil, at: Scene.now, by: "test")
    #expect(try why(scene, "l").code == .held)
  }

  @Test("a parent is named, whatever it is doing")
  func blocked() throws {
    let scene = try waiting("{\"type\":\"echo\",\"after\":[\"p\"]}")
    #expect(try why(scene, "j").job == "p")
    #expect(try why(scene, "j").text.contains("nobody has submitted yet"))
    try scene.submit("p")
    #expect(try why(scene, "j").text == "it waits for the job p, which is in new")
    try scene.run("p", .bury)
    #expect(try why(scene, "j").text.contains("is dead"))
    try scene.transitions.requeue("p", from: .dead, type: nil, at: Scene.now, by: "test")
    try scene.run("p", .finish)
    #expect(try why(scene, "j").code == .noDaemon)
  }

  @Test("a parent that retention removed counts by its audit line")
  func forgottenParent() throws {
    let scene = try waiting("{\"type\":\"echo\",\"after\":[\"p\"]}")
    try scene.submit("p")
    try scene.run("p", .finish)
    try scene.transitions.purge("p", from: .done, type: nil, at: Scene.now, by: "test", reason: "old")
    try scene.transitions.audit.commit()
    #expect(try why(scene, "j").code == .noDaemon)
  }

  @Test("a batch is waited for until its last member has ended")
  func batch() throws {
    let scene = try waiting("{\"type\":\"echo\",\"after\":[\"batch:b\"]}")
    #expect(try why(scene, "j").text.contains("has no jobs yet"))
    try scene.submit("m", "{\"type\":\"echo\",\"batch\":\"b\"}")
    #expect(try why(scene, "j").job == "m")
    try scene.run("m", .finish)
    #expect(try why(scene, "j").code == .noDaemon)
  }

  @Test("twins and files that are no jobs are about to be judged; an unknown type to be rejected")
  func judged() throws {
    let scene = try waiting()
    try scene.run("j", .finish)
    try scene.test.drop("j", "{\"type\":\"echo\"}")
    #expect(try why(scene, "j").code == .beingJudged)
    try scene.test.drop("bad", "{\"type\":\"echo\",}")
    #expect(try why(scene, "bad").text.contains("a comma before '}'"))
    try scene.submit("odd", "{\"type\":\"unheard\"}")
    #expect(try why(scene, "odd").code == .unknownType)
  }

  @Test("the daemon's limits, in the order it asks them")
  func limits() throws {
    let echo = "\"echo\":{\"concurrency\":1,\"running\":%,\"waiting\":1,\"paused\":false}"
    let busy = "{\"id\":\"r\",\"type\":\"echo\",\"attempt\":1}"
    let free = echo.replacing("%", "0")
    let cases: [(String, Reason.Code, String)] = [
      (status(free, state: "draining"), .draining, "shutting down"),
      (status(free, state: "low_disk"), .lowDisk, "min_free"), (status(free, paused: true), .paused, "paused"),
      (status("\"echo\":{\"broken\":\"no program\"}"), .handlerBroken, "no program"),
      (status("\"echo\":{\"paused\":true}"), .typePaused, "echo is paused"),
      (
        status("\"echo\":{\"circuit\":{\"failures\":20,\"until\":\"2099-01-01T00:00:00Z\"}}"), .resting,
        "one job is tried at 2099-01-01T00:00:00.000Z"
      ),
      (
        status("\"echo\":{\"running\":1,\"circuit\":{\"failures\":21}}", running: busy, count: 1), .resting,
        "failed 21 times in a row and rests; r is being tried"
      ),
      (status(echo.replacing("%", "1"), running: busy, count: 1), .typeLimit, "1 of 1 running, r"),
      (status(free, running: "{\"id\":\"s\",\"type\":\"x\"}", maxJobs: 1, count: 1), .maxJobs, "1 of 1 running, s"),
      (status(free), .next, "about to start"),
    ]
    for (view, code, words) in cases {
      let scene = try waiting()
      try scene.pretendDaemon(view)
      let reason = try why(scene, "j")
      #expect(reason.code == code && reason.text.contains(words), "\(reason.text)")
    }
  }

  @Test("a pool that is full, and a serial value in use")
  func pools() throws {
    let scene = try waiting()
    try TestSpool.write(Array("[pools.p]\nconcurrency = 1\n".utf8), to: "\(scene.test.path)/jobspool.toml")
    try scene.handler("echo", "pool = \"p\"\nconcurrency = 5\nserial_by = \"/payload/user\"")
    try scene.handler("mail", "pool = \"p\"")
    try scene.submit("u", "{\"type\":\"echo\",\"payload\":{\"user\":7}}")
    try scene.submit("v", "{\"type\":\"echo\",\"payload\":{\"user\":7}}")
    _ = try scene.claim("u")
    let view = { (type: String, count: Int) in
      self.status("\"\(type)\":{\"running\":\(count)}", running: "{\"id\":\"u\",\"type\":\"echo\"}", count: 1)
    }
    try scene.pretendDaemon(view("mail", 1))
    #expect(try why(scene, "v").code == .poolLimit)
    try TestSpool.write(Array(view("other", 0).utf8), to: "\(scene.test.path)/status.json")
    let serial = try why(scene, "v")
    #expect(serial.code == .serial && serial.job == "u")
    #expect(try why(scene, "j").code == .next)
  }

  @Test("running says since when and how far; without a daemon it is an orphan")
  func running() throws {
    let scene = try waiting()
    _ = try scene.claim("j")
    #expect(try why(scene, "j").code == .orphaned)
    try scene.pretendDaemon(
      status(running: "{\"id\":\"j\",\"type\":\"echo\",\"attempt\":2,\"percent\":30,\"stage\":\"select\"}", count: 1))
    let reason = try why(scene, "j")
    #expect(reason.code == .running && reason.text.hasSuffix(", at 30 %, stage select"))
    #expect(reason.text.contains("attempt 2"))
  }
}

extension String {
  fileprivate func replacing(_ mark: Character, _ text: String) -> String {
    split(separator: mark, omittingEmptySubsequences: false).joined(separator: text)
  }

  fileprivate func contains(_ words: String) -> Bool {
    indices.contains { self[$0...].hasPrefix(words) } || words.isEmpty
  }
}
