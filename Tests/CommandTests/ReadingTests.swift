import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("jobspool ls, show, why, log, stats without a daemon") struct ReadingTests {
  private func keys(_ value: JSONValue?) -> Set<String> { Set((value?.members ?? []).map(\.key)) }

  @Test("ls: a table for people, an array for programs")
  func list() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo", "--id", "a", "--tag", "t").code == 0)
    #expect(try command.run("submit", "mail", "--id", "b", "--delay", "1h").code == 0)
    let table = try command.run("ls")
    #expect(table.lines.count == 3 && table.lines[0].hasPrefix("ID  TYPE  STATE"))
    #expect(!table.out.holds("\u{1B}"))
    let rows = try #require(command.run("ls", "--json").json?.array)
    #expect(Set(rows.compactMap { $0["id"]?.string }) == ["a", "b"])
    let expected: Set = [
      "id", "type", "state", "phase", "priority", "attempt", "submitted_at", "updated_at", "due", "tags",
    ]
    #expect(rows.allSatisfy { keys($0) == expected })
    let scheduled = try #require(command.run("ls", "--state", "scheduled", "--json").json?.array)
    #expect(scheduled.map { $0["phase"]?.string } == ["scheduled"])
    #expect(try command.run("ls", "--state", "dead", "--json").out == "[]\n")
  }

  @Test("show --json is the file with a record; a masked value is in neither view")
  func show() throws {
    let command = try Command()
    try command.handler("mail", "command = [\"/bin/cat\"]\nredact = [\"/payload/token\"]")
    #expect(try command.run("submit", "mail", "--id", "m", "--payload", "{\"token\":\"sesame\",\"n\":1.0}").code == 0)
    let json = try command.run("show", "m", "--json")
    #expect(json.json?["payload"]?["token"]?.string == "•••" && json.out.holds("\"n\":1.0"))
    #expect(json.json?["jobspool"]?["state"]?.string == "new" && json.json?["jobspool"]?["id"]?.string == "m")
    let view = try command.run("show", "m")
    #expect(view.code == 0 && view.out.holds("\"token\": \"•••\""))
    #expect(!json.out.holds("sesame") && !view.out.holds("sesame"))
    #expect(try command.run("cancel", "m").code == 0)
    let dead = try command.run("show", "m", "--json").json
    #expect(dead?["jobspool"]?["outcome"]?.string == "cancelled" && dead?["payload"]?["token"]?.string == "•••")
  }

  @Test("text from a job cannot act on a terminal")
  func harmless() throws {
    let command = try Command()
    let tag = "\u{1B}]0;title\u{7}\u{9B}2J"
    #expect(try command.run("submit", "echo", "--id", "e", "--tag", tag, "--payload", "\"\u{9B}2J\"").code == 0)
    for arguments in [["ls"], ["show", "e"], ["ls", "--json"]] {
      let out = try command.run(all: arguments).out
      #expect(!out.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x9B || $0.value == 7 }, "\(arguments)")
    }
  }

  @Test("why: one line, or reason and text")
  func why() throws {
    let command = try Command()
    try command.handler("echo")
    #expect(try command.run("submit", "echo", "--id", "c", "--after", "p").code == 0)
    #expect(try command.run("why", "c").out.hasPrefix("it waits for the job p"))
    let reason = try command.run("why", "c", "--json").json
    #expect(reason?["reason"]?.string == "blocked" && reason?["job"]?.string == "p")
  }

  @Test("log prints what is there, byte for byte when nobody looks")
  func log() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo", "--id", "l").code == 0)
    #expect(try command.run("log", "l").out.isEmpty)
    try TestSpool.write(Array("one\n\u{1B}[1mtwo\n".utf8), to: "\(command.test.path)/log/jobs/l.log")
    #expect(try command.run("log", "l").out == "one\n\u{1B}[1mtwo\n")
    #expect(try command.run("cancel", "l").code == 0)
    #expect(try command.run("log", "-f", "l").out == "one\n\u{1B}[1mtwo\n")
  }

  @Test("no such job is 66, for every command that takes one")
  func missing() throws {
    let command = try Command()
    for verb in ["show", "why", "log", "wait", "requeue", "cancel", "hold", "release", "rm"] {
      let answer = try command.run(verb, "nobody")
      #expect(answer.code == 66 && answer.err.holds("no job nobody"), "\(verb): \(answer.code) \(answer.err)")
    }
  }

  @Test("stats count folders and ends")
  func stats() throws {
    let command = try Command()
    for id in ["a", "b"] { #expect(try command.run("submit", "echo", "--id", id).code == 0) }
    #expect(try command.run("cancel", "a").code == 0)
    let stats = try command.run("stats", "--json").json
    #expect(stats?["jobs"]?["new"]?.int == 1 && stats?["jobs"]?["dead"]?.int == 1 && stats?["jobs"]?["ready"]?.int == 1)
    #expect(stats?["types"]?["echo"]?["waiting"]?.int == 1 && stats?["total"]?["otherwise"]?.int == 1)
    #expect(stats?["daemon"]?.bool == false)
    #expect(try command.run("stats").code == 0)
  }

  @Test("wait returns for ended jobs, 1 when one is dead, 75 when time is over")
  func wait() throws {
    let command = try Command()
    for id in ["a", "b"] { #expect(try command.run("submit", "echo", "--id", id).code == 0) }
    #expect(try command.run("cancel", "a").code == 0)
    let dead = try command.run("wait", "a")
    #expect(dead.code == 1 && dead.out == "a dead\n")
    #expect(try command.run("wait", "-", "--json", input: "a\n").json?["outcome"]?.string == "cancelled")
    #expect(try command.run("wait", "b", "--timeout", "50ms").code == 75)
  }
}
