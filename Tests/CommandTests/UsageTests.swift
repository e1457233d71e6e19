import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("Usage, help and exit codes") struct UsageTests {
  @Test("version, and help that ends well")
  func version() throws {
    let command = try Command()
    #expect(try command.run("--version").out == "jobspool \(jobspoolVersion)\n")
    #expect(try command.run("--help").code == 0)
    #expect(try command.run(all: []).out.hasPrefix("OVERVIEW: A job queue that is a directory."))
  }

  @Test(
    "usage errors are 64, on standard error, with the way to help",
    arguments: [
      ["nonsense"], ["submit"], ["submit", "--nonsense"], ["submit", "echo", "--priority", "12"],
      ["submit", "echo", "--priority", "high"], ["submit", "echo", "--id", "a", "--unique", "b"],
      ["submit", "echo", "--bulk", "-"], ["ls", "--state", "gone"], ["ls", "--since", "yesterday"], ["cancel"],
      ["cancel", "a", "--type", "echo"], ["cancel", "../x"], ["wait"], ["audit", "tail", "-n", "x"], ["init"],
    ])
  func usage(arguments: [String]) throws {
    let answer = try Command().run(all: arguments)
    #expect(answer.code == 64 && answer.out.isEmpty, "\(arguments): \(answer.code)")
    #expect(answer.err.hasPrefix("jobspool: ") && answer.err.holds("--help"), "\(answer.err)")
  }

  @Test("every command's help has a sentence and an example")
  func help() throws {
    let command = try Command()
    let commands = [
      ["submit"], ["wait"], ["show"], ["log"], ["why"], ["ls"], ["stats"], ["handlers", "ls"],
      ["handlers", "run-once"],
      ["requeue"], ["cancel"], ["hold"], ["release"], ["rm"], ["pause"], ["resume"], ["init"], ["config", "check"],
      ["fsck"], ["audit", "verify"], ["audit", "tail"], ["token", "create"], ["dashboard"],
      ["backup"], ["restore"], ["doctor"], ["top"], ["watch"],
    ]
    for words in commands {
      let help = try command.run(all: words + ["--help"])
      #expect(help.code == 0 && help.out.hasPrefix("OVERVIEW: "), "\(words)")
      #expect(help.out.holds("\n  jobspool ") || help.out.holds("| jobspool "), "\(words) has no example")
    }
  }

  @Test("the help of why, word for word")
  func snapshot() throws {
    #expect(
      try Command().run("why", "--help").out == """
        OVERVIEW: Say why a job is not running: the job, limit or pause in its way.

          jobspool why 0190f3b2-…
          it waits for the job 0190f3b1-…, which is in cur

        USAGE: jobspool why <id> [--spool <dir>] [--config <file>] [--json]

        ARGUMENTS:
          <id>                    The job.

        OPTIONS:
          --spool <dir>           The spool.
          --config <file>         The configuration, when the daemon was given one.
          --json                  Answer in JSON.
          --version               Show the version.
          -h, --help              Show help information.


        """)
  }

  @Test("--spool before or behind, then $JOBSPOOL_DIR, then ./spool; no spool is 66 and says how to make one")
  func choice() throws {
    let command = try Command()
    let other = try Command()
    for arguments in [
      ["--spool", other.test.path, "submit", "echo"], ["--spool=\(other.test.path)", "submit", "echo"],
      ["submit", "echo", "--spool", other.test.path], ["--json", "--spool", other.test.path, "submit", "echo"],
    ] { #expect(try command.run(all: arguments).code == 0) }
    #expect(other.test.names(in: .new).count == 4 && command.test.names(in: .new).isEmpty)
    let parent = "\(command.test.path)/secret"
    #expect(try command.run(all: ["init", "spool"], environment: nil, folder: parent).code == 0)
    #expect(try command.run(all: ["submit", "echo", "--id", "here"], environment: nil, folder: parent).code == 0)
    #expect(TestSpool.exists("\(parent)/spool/new/here.json"))
    let none = try command.run("ls", "--spool", "/nonexistent")
    #expect(none.code == 66 && none.err.holds("jobspool init /nonexistent"))
  }

  @Test("init makes a spool whose first handler and configuration load, and changes none that is there")
  func initialise() throws {
    let command = try Command()
    let path = "\(command.test.path)/secret/made"
    #expect(try command.run("init", path).out == "\(path)\n")
    #expect(try command.run("config", "check", "--spool", path).code == 0)
    #expect(try command.run("handlers", "--spool", path).out.holds("echo"))
    #expect(try command.run("submit", "echo", "--spool", path).err.isEmpty)
    try TestSpool.write(Array("max_jobs = 9\n".utf8), to: "\(path)/jobspool.toml")
    #expect(unlink("\(path)/handlers/echo.toml") == 0)
    #expect(try command.run("init", path).code == 0)
    #expect(TestSpool.contents("\(path)/jobspool.toml") == Array("max_jobs = 9\n".utf8))
    #expect(!TestSpool.exists("\(path)/handlers/echo.toml"))
  }

  @Test("config check shows every mistake with file and line, and ends with 78")
  func config() throws {
    let command = try Command()
    try TestSpool.write(Array("max_jobs = \"many\"\nnonsense = 1\n".utf8), to: "\(command.test.path)/jobspool.toml")
    try command.handler("bad", "concurrency = 0")
    let answer = try command.run("config", "check")
    #expect(answer.code == 78 && answer.out.holds("jobspool.toml:1: max_jobs") && answer.out.holds("bad.toml"))
    let json = try command.run("config", "check", "--json").json
    #expect(json?["ok"]?.bool == false && (json?["problems"]?.array?.count ?? 0) >= 3)
  }

  @Test("fsck and audit verify are 1 when something is damaged, and say what")
  func damage() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo", "--id", "j").code == 0)
    #expect(try command.run("cancel", "j").code == 0)
    #expect(try command.run("requeue", "j").code == 0)
    let name = try #require(command.test.auditFiles.first)
    var text = command.test.auditText(name)
    // The first letter of `"event":"cancelled"`.
    text[50] ^= 1
    try TestSpool.write(text, to: "\(command.test.path)/log/\(name)")
    let verify = try command.run("audit", "verify")
    #expect(verify.code == 1 && verify.out.holds("\(name):1: was changed"))
    let fsck = try command.run("fsck", "--json")
    #expect(fsck.code == 1 && fsck.json?["findings"]?.array?.first?["code"]?.string == "audit_damaged")
  }

  @Test("handlers run-once gives the result and the verdict of one attempt, and touches no job")
  func runOnce() throws {
    let command = try Command()
    try command.handler("echo")
    try command.handler("fail", "command = [\"/bin/sh\", \"-c\", \"echo oops >&2; exit 65\"]")
    let echo = try command.run("handlers", "run-once", "-", input: "{\"type\":\"echo\",\"payload\":[1]}")
    #expect(echo.code == 0 && echo.json?["payload"]?.array?.count == 1, "\(echo.err)")
    let fail = try command.run("handlers", "run-once", "-", "--json", input: "{\"type\":\"fail\"}")
    #expect(fail.code == 1 && fail.json?["verdict"]?.string == "bury" && fail.json?["log"]?.string == "oops\n")
    #expect(try command.run("handlers", "run-once", "-", input: "{\"type\":\"none\"}").code == 78)
    for state in JobState.allCases { #expect(command.test.names(in: Spool.Folder(rawValue: state.rawValue)!).isEmpty) }
  }
}
