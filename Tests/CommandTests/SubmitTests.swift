import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("jobspool submit") struct SubmitTests {
  @Test("prints the id alone, and the file holds what was asked for, the payload byte for byte")
  func submits() throws {
    let command = try Command()
    try command.handler("echo")
    let answer = try command.run(
      "submit", "echo", "--payload", "{\"a\": 1.0, \"a\": \"\\/\"}", "--priority", "2", "--delay", "90", "--tag", "x",
      "--tag", "y", "--meta", "k=v=w", "--after", "p", "--batch", "b", "--max-attempts", "3", "--timeout", "2m")
    #expect(answer.code == 0 && answer.err.isEmpty, "\(answer.err)")
    let id = try #require(answer.lines.first)
    #expect(answer.out == "\(id)\n")
    let job = try command.test.job(id, .new)
    #expect(String(decoding: job.payloadBytes, as: UTF8.self) == "{\"a\": 1.0, \"a\": \"\\/\"}")
    #expect(job.priority == 2 && job.tags == ["x", "y"] && job.batch == "b" && job.after == [.job("p")])
    #expect(job.start == .after(.seconds(90)) && job.maxAttempts == 3 && job.timeout == .seconds(120))
    #expect(job.meta.map { String(decoding: job.bytes[$0], as: UTF8.self) } == "{\"k\":\"v=w\"}")
    #expect(command.test.names(in: .tmp).isEmpty)
  }

  @Test("payloads come from files and standard input too")
  func payloads() throws {
    let command = try Command()
    try TestSpool.write(Array(" [1, 2]\n".utf8), to: "\(command.test.path)/payload.json")
    let file = try command.run("submit", "echo", "--payload", "@payload.json", "--id", "f")
    let stdin = try command.run("submit", "echo", "--payload", "-", "--id", "s", input: "\"text\"\n")
    #expect(file.code == 0 && stdin.code == 0)
    #expect(try Array(command.test.job("f", .new).payloadBytes) == Array("[1, 2]".utf8))
    #expect(try Array(command.test.job("s", .new).payloadBytes) == Array("\"text\"".utf8))
  }

  @Test("an id is taken once: 73, naming where it is, and for a dead one what to do")
  func exists() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo", "--id", "j").code == 0)
    let again = try command.run("submit", "echo", "--id", "j")
    #expect(again.code == 73 && again.out.isEmpty && again.err.holds("in new"))
    #expect(try command.run("cancel", "j").code == 0)
    let dead = try command.run("submit", "echo", "--id", "j")
    #expect(dead.code == 73 && dead.err.holds("jobspool requeue j"))
  }

  @Test("--unique makes the same id of the same type and key")
  func unique() throws {
    let command = try Command()
    let first = try command.run("submit", "echo", "--unique", "order 7")
    #expect(first.lines == [UniqueID.make(type: "echo", key: "order 7")])
    #expect(first.lines.first.map { JobID.isValid($0) && $0.hasPrefix("echo-") && $0.utf8.count == 37 } == true)
    #expect(try command.run("submit", "echo", "--unique", "order 7").code == 73)
    #expect(try command.run("submit", "mail", "--unique", "order 7").code == 0)
  }

  @Test(
    "what is wrong with a job is said with 65",
    arguments: [
      (["submit", "Echo"], "lower-case"), (["submit", "echo", "--payload", "{"], "the payload is no JSON"),
      (["submit", "jobspool.notify"], "reserved"), (["submit", "echo", "--delay", "soon"], "a duration"),
      (["submit", "echo", "--id", "../x"], "1 to 128 letters"),
      (["submit", "echo", "--after", "-"], "list of job ids"),
      (["submit", "echo", "--at", "2026-11-21"], "RFC 3339"),
    ] as [([String], String)])
  func badJobs(arguments: [String], words: String) throws {
    let answer = try Command().run(all: arguments)
    #expect(answer.code == 65 && answer.out.isEmpty)
    #expect(answer.err.hasPrefix("jobspool: ") && answer.err.holds(words), "\(answer.err)")
  }

  @Test("a payload over the limit is refused before it is written")
  func tooLarge() throws {
    let command = try Command()
    try TestSpool.write(Array("max_job_bytes = \"1K\"\n".utf8), to: "\(command.test.path)/jobspool.toml")
    let text = "\"\(String(repeating: "x", count: 2000))\""
    let answer = try command.run("submit", "echo", "--payload", "-", input: text)
    #expect(answer.code == 65 && answer.err.holds("max_job_bytes"))
    #expect(command.test.names(in: .new).isEmpty)
  }

  @Test("a full disk is 75, and nothing is left behind")
  func fullDisk() throws {
    let command = try Command()
    try TestSpool.write(Array("min_free = \"1024T\"\n".utf8), to: "\(command.test.path)/jobspool.toml")
    let answer = try command.run("submit", "echo")
    #expect(answer.code == 75 && answer.err.holds("min_free"))
    #expect(command.test.names(in: .new).isEmpty && command.test.names(in: .tmp).isEmpty)
  }

  @Test("a type without a handler is accepted, with a warning that knows better")
  func unknownType() throws {
    let command = try Command()
    try command.handler("resize")
    let answer = try command.run("submit", "resise")
    #expect(answer.code == 0 && answer.lines.count == 1)
    #expect(answer.err.holds("did you mean resize?"))
  }

  @Test("inside a handler the running job is the parent")
  func parent() throws {
    let command = try Command()
    let answer = try command.run("submit", "echo", environment: ["JOBSPOOL_ID=outer"])
    #expect(try command.test.job(answer.lines[0], .new).parent == "outer")
    let other = try command.run("submit", "echo", "--parent", "mine", environment: ["JOBSPOOL_ID=outer"])
    #expect(try command.test.job(other.lines[0], .new).parent == "mine")
  }

  @Test("--bulk accepts each line by itself, in one commit, and names the bad ones")
  func bulk() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo", "--id", "taken").code == 0)
    let lines = """
      {"type":"echo","id":"a","payload": 1}

      {"type":"echo","oops":1}
      {"type":"echo","id":"taken"}
      {"type":"echo"}
      {"type":"echo","id":"a"}
      """
    let answer = try command.run("submit", "--bulk", "-", input: lines)
    #expect(answer.code == 73 && answer.lines.count == 2 && answer.lines.first == "a")
    #expect(answer.err.holds("line 3: unknown key \"oops\"") && answer.err.holds("line 4: "))
    #expect(answer.err.holds("line 6: "))
    #expect(command.test.text("a", .new) == "{\"type\":\"echo\",\"id\":\"a\",\"payload\": 1}\n")
    #expect(command.test.names(in: .new).count == 3 && command.test.names(in: .tmp).isEmpty)
  }

  @Test("a duplicate counts for no rate, a line that was accepted does")
  func bulkRate() throws {
    let command = try Command()
    try command.handler("echo", "command = [\"/bin/cat\"]\nrate = { limit = 1, per = \"1h\", over = \"reject\" }")
    #expect(try command.run("submit", "echo", "--id", "there").code == 0)
    let lines = "{\"type\":\"echo\",\"id\":\"there\"}\n{\"type\":\"echo\",\"id\":\"new\"}\n{\"type\":\"echo\"}\n"
    let answer = try command.run("submit", "--bulk", "-", input: lines)
    #expect(answer.out == "new\n" && answer.code == 75, "\(answer.err)")
    #expect(answer.err.holds("line 1: the id there exists") && answer.err.holds("line 3: echo takes 1"))
  }

  @Test("--bulk --json answers in order; nothing acceptable submits nothing")
  func bulkJSON() throws {
    let command = try Command()
    let answer = try command.run("submit", "--bulk", "-", "--json", input: "{\"type\":\"echo\",\"id\":\"a\"}\nno\n")
    let rows = try #require(answer.json?.array)
    #expect(rows.first?["id"]?.string == "a" && rows.last?["error"]?["code"]?.string == "bad_json")
    #expect(rows.last?["line"]?.int == 2)
    let record = try command.run("submit", "--bulk", "-", input: "{\"type\":\"echo\",\"jobspool\":{}}\n")
    #expect(record.code == 65 && record.out.isEmpty)
  }

  @Test("--then follows all lines: they share a batch unless they have one, and it waits for each batch")
  func then() throws {
    let command = try Command()
    try command.handler("echo")
    let answer = try command.run(
      "submit", "--bulk", "-", "--then", "{\"type\":\"echo\",\"id\":\"last\",\"after\":[\"first\"],\"payload\":7}",
      input:
        "{\"type\":\"echo\"}\n\n{\"type\":\"echo\",\"batch\":\"own\"}\n{\"type\":\"echo\",\"payload\":{\"batch\":1}}\n")
    #expect(answer.code == 0 && answer.err.isEmpty, "\(answer.err)")
    let ids = answer.lines
    #expect(ids.count == 4 && ids.last == "last")
    let batches = try ids.map { try command.test.job($0, .new).batch }
    let made = try #require(batches.first ?? nil)
    #expect(batches == [made, "own", made, nil])
    let last = try command.test.job("last", .new)
    #expect(last.after == [.job("first"), .batch(made), .batch("own")])
    #expect(String(decoding: last.payloadBytes, as: UTF8.self) == "7")
  }

  @Test("--batch names the batch of lines without one; --then may come from a file")
  func thenNamed() throws {
    let command = try Command()
    try command.handler("echo")
    try TestSpool.write(Array("{\"type\": \"echo\"}\n".utf8), to: "\(command.test.path)/then.json")
    let answer = try command.run(
      "submit", "--bulk", "-", "--batch", "pages", "--then", "@then.json", "--json", input: "{\"type\":\"echo\"}\n")
    #expect(answer.code == 0, "\(answer.err)")
    let ids = try #require(answer.json?.array).compactMap { $0["id"]?.string }
    #expect(try ids.count == 2 && command.test.job(ids[0], .new).batch == "pages")
    #expect(try command.test.job(ids[1], .new).after == [.batch("pages")])
  }

  @Test("a line that is no job keeps the lines and what follows them out; an id that is taken keeps out what follows")
  func thenRefused() throws {
    let command = try Command()
    try command.handler("echo")
    let then = "{\"type\":\"echo\",\"id\":\"last\"}"
    let bad = try command.run(
      "submit", "--bulk", "-", "--then", then, input: "{\"type\":\"echo\",\"id\":\"a\"}\n{\"typ\":1}\n")
    #expect(bad.code == 65 && bad.out.isEmpty && bad.err.holds("line 2") && bad.err.holds("nothing was submitted"))
    #expect(command.test.names(in: .new).isEmpty)
    #expect(try command.run("submit", "echo", "--id", "a").code == 0)
    let taken = try command.run(
      "submit", "--bulk", "-", "--batch", "b", "--then", then,
      input: "{\"type\":\"echo\",\"id\":\"a\"}\n{\"type\":\"echo\",\"id\":\"c\"}\n")
    #expect(taken.code == 73 && taken.out == "c\n" && taken.err.holds("--after batch:b"), "\(taken.err)")
    #expect(command.test.names(in: .new).sorted() == ["a.json", "c.json"])
    #expect(try command.run("submit", "--bulk", "-", "--then", then, input: "\n").code == 65)
    #expect(try command.run("submit", "echo", "--then", then).code == 64)
    #expect(try command.run("submit", "--bulk", "-", "--then", "x", input: "").err.holds("--then: "))
  }
}
