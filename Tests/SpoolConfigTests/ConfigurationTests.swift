/// Whole configurations: which file is taken, what several mistakes look like together, and hostile folders.
import Glibc
import JobModel
import SpoolConfig
import Testing

@Suite struct ConfigurationTests {
  @Test("with no file at all, everything is default and nothing is wrong")
  func nothing() {
    let folder = ConfigFolder()
    let configuration = folder.load()
    #expect(configuration.settings == DaemonSettings())
    #expect(configuration.file == nil)
    #expect(configuration.folder == folder.spool)
    #expect(configuration.problems == [])
    #expect(
      configuration.watchedFolders == [
        folder.spool + "/handlers", folder.spool + "/schedules", folder.spool, folder.system,
      ])
    #expect(configuration.watchedFiles == [folder.spool + "/jobspool.toml", folder.system + "/jobspool.toml"])
  }

  @Test("--config wins over the spool's file, which wins over the system's; handlers lie beside it")
  func precedence() {
    let folder = ConfigFolder()
    folder.writeSystem("jobspool.toml", "max_jobs = 1")
    folder.write("handlers/x.toml", "command = [\"a\"]")
    #expect(folder.load().settings.maxJobs == 1)
    #expect(folder.load().handlers.isEmpty)
    #expect(
      folder.lines(folder.load().notes)
        == [
          "\(folder.spool)/handlers", "\(folder.spool)/schedules",
        ].map {
          "\($0.dropFirst(folder.spool.count + 1)): note: not used, because the configuration is \(folder.system)/jobspool.toml"
            + " and \($0.dropFirst(folder.spool.count + 1)) are read beside it"
        })

    folder.write("jobspool.toml", "max_jobs = 2")
    #expect(folder.load().settings.maxJobs == 2)
    #expect(folder.load().handlers.keys.sorted() == ["x"])

    folder.writeSystem("other.toml", "max_jobs = 3")
    let configuration = folder.load(config: folder.system + "/other.toml")
    #expect(configuration.settings.maxJobs == 3)
    #expect(configuration.folder == folder.system)
    #expect(configuration.watchedFiles == [folder.system + "/other.toml"])
  }

  @Test("a file named by --config must exist")
  func missing() {
    let folder = ConfigFolder()
    let configuration = folder.load(config: folder.spool + "/none.toml")
    #expect(folder.lines(configuration.settingsErrors) == ["none.toml: no such file"])
  }

  @Test("all mistakes of all files are told at once, by line, as an editor wants them")
  func several() {
    let folder = ConfigFolder()
    folder.write(
      "jobspool.toml",
      """
      max_job = 4
      rescan = "soon"

      [web]
      listen = 7733
      max_jobs = 8
      [[notify]]
      on = [
        "dead",
        "gone",
      ]
      """)
    folder.write(
      "handlers/x.toml", "command = [\"a\"]\n\nconcurrency = \"four\"\nenv = { JOBSPOOL_ID = \"1\", \"a b\" = \"\" }\n")
    folder.write("handlers/y.toml", "command = [\"a\"]\ntimeout = \n")
    let lines = folder.lines(folder.load().errors)
    #expect(
      lines == [
        "jobspool.toml:1: max_job: unknown key; did you mean max_jobs?",
        "jobspool.toml:2: rescan: expected a duration from 1s to 1d such as \"90s\", \"5m\" or 90 (seconds), found \"soon\"",
        "jobspool.toml:5: web.listen: expected HOST:PORT such as \"127.0.0.1:7733\" or \"[::1]:7733\", or \"unix:/path\", found 7733",
        "jobspool.toml:6: web.max_jobs: unknown key; to set max_jobs of the file itself, write it above the first [section]",
        "jobspool.toml:7: notify.webhook: is missing: a notice needs webhook or command",
        "jobspool.toml:10: notify.on: item 2: expected \"done\", \"dead\", \"retried\", \"recovered\", \"stalled\","
          + " \"sla\", \"schedule_missed\", \"handler_broken\" or \"disk\", found \"gone\"",
        "handlers/x.toml:3: concurrency: expected a whole number from 1 to 1000, found \"four\"",
        "handlers/x.toml:4: env.JOBSPOOL_ID: names beginning with JOBSPOOL_ are set by jobspool",
        "handlers/x.toml:4: env.\"a b\": not the name of an environment variable: letters, digits and '_'",
        "handlers/y.toml:2: not TOML: expected value, saw '\\n'",
      ])
  }

  @Test(
    "near misses are recognised, far ones are not",
    arguments: [
      ("comand", "command"), ("concurency", "concurrency"), ("time-out", "timeout"), ("Max_Attempts", "max_attempts"),
      ("maxattempts", "max_attempts"), ("gorup", nil), ("x", nil), ("serialby", "serial_by"), ("retires", nil),
    ])
  func nearMisses(typed: String, meant: String?) throws {
    let folder = ConfigFolder()
    folder.write("handlers/x.toml", "command = [\"a\"]\n\(typed) = 1")
    let message = try #require(folder.load().errors.first { $0.message.hasPrefix("unknown key") }).message
    if let meant {
      #expect(message == "unknown key; did you mean \(meant)?")
    } else {
      #expect(!message.contains("mean"))
    }
  }

  @Test("a section that is no table, and a table that is no section, are refused")
  func sections() {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "web = 4\nnotify = [1]\npools = { a = 3, b = {} }\nmax_jobs = { a = 1 }\nretain = []")
    #expect(
      folder.load().errors.map { "\($0.line ?? 0) \($0.key ?? "")" } == [
        "1 web", "2 notify", "3 pools.a", "3 pools.b", "4 max_jobs", "5 retain",
      ])
    folder.write("jobspool.toml", "[notify]\non = [\"dead\"]")
    #expect(
      folder.load().errors.map(\.message) == ["expected tables, each under a [[notify]] of its own, found a table"])
  }

  @Test("settings that are right are used although others are wrong")
  func partial() {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "max_jobs = 9\ndrain = true")
    #expect(folder.load().settings.maxJobs == 9)
    #expect(folder.load().settings.drain == DaemonSettings().drain)
    #expect(folder.load().settingsErrors.count == 1)
  }

  @Test("a handler that does not load is broken, not unknown, and takes no other with it")
  func broken() {
    let folder = ConfigFolder()
    folder.write("handlers/bad.toml", "command = []")
    folder.write("handlers/good.toml", "command = [\"a\"]")
    let configuration = folder.load()
    #expect(configuration.handlers.keys.sorted() == ["good"])
    #expect(configuration.brokenHandlers.keys.sorted() == ["bad"])
    #expect(configuration.settingsErrors == [])
  }

  @Test("delays and backoff exclude each other, and max_attempts must fit delays")
  func retry() {
    func errors(_ text: String) -> [String] {
      let folder = ConfigFolder()
      folder.write("handlers/x.toml", "command = [\"a\"]\n" + text)
      return folder.load().errors.map { "\($0.line ?? 0) \($0.key ?? "")" }
    }
    #expect(errors("delays = [1, 2]\nmax_attempts = 3") == [])
    #expect(errors("delays = [1, 2]\nmax_attempts = 5") == ["3 max_attempts"])
    #expect(errors("delays = [1]\nbackoff = { base = 1 }") == ["2 delays"])
    #expect(errors("[backoff]\nbase = \"1m\"\nmax = \"1s\"") == ["4 backoff.max"])
    #expect(errors("rate = { limit = 1 }") == ["2 rate.per"])
  }

  @Test("what encrypt seals cannot be looked at by serial_by or rate.by, nor what contains it")
  func sealed() {
    let folder = ConfigFolder()
    let command = "command = [\"a\"]\nencrypt = [\"/payload/user\"]\n"
    for by in ["/payload/user", "/payload/user/id", "/payload"] {
      folder.write("handlers/x.toml", command + "serial_by = \"\(by)\"\nrate = { limit = 1, per = 1, by = \"\(by)\" }")
      #expect(folder.load().errors.map(\.key) == ["serial_by", "rate.by"])
      #expect(folder.load().errors.map(\.line) == [3, 4])
    }
    folder.write("handlers/x.toml", command + "serial_by = \"/payload/userId\"")
    #expect(folder.load().errors == [])
  }

  @Test("a pool that is not there is refused with its near miss, unless jobspool.toml is unreadable")
  func pools() {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "[pools.mail]\nconcurrency = 1")
    folder.write("handlers/x.toml", "command = [\"a\"]\npool = \"mial\"")
    #expect(
      folder.lines(folder.load().errors) == [
        "handlers/x.toml:2: pool: jobspool.toml has no [pools.mial]; did you mean \"mail\"?"
      ])
    folder.write("jobspool.toml", "[pools.mail")
    #expect(folder.load().errors.map(\.key) == [nil])
  }

  @Test("worker keys in exec mode, and more processes than jobs, are noted and no errors")
  func workers() {
    let folder = ConfigFolder()
    folder.write("handlers/x.toml", "command = [\"a\"]\nprocesses = 2")
    #expect(
      folder.lines(folder.load().problems) == ["handlers/x.toml:2: note: processes: only counts with mode = \"worker\""]
    )
    folder.write("handlers/x.toml", "command = [\"a\"]\nprocesses = 2\nmode = \"worker\"")
    #expect(folder.load().notes.contains { $0.message == "2 processes for concurrency 1: the others never get a job" })
    #expect(folder.load().handlers["x"]?.processes == 2)
  }

  @Test("a schedule whose type has no handler loads, and says so")
  func schedules() {
    let folder = ConfigFolder()
    folder.write("schedules/nightly.toml", "cron = \"@daily\"\ntype = \"gone\"\n[payload]\nwhen = 2020-01-01\n")
    #expect(
      folder.lines(folder.load().errors) == ["schedules/nightly.toml:4: payload: JSON has no dates; put it in quotes"])
    folder.write("schedules/nightly.toml", "cron = \"@daily\"\ntype = \"gone\"")
    #expect(folder.load().schedules["nightly"]?.payload == Array("null".utf8))
    #expect(
      folder.lines(folder.load().notes).contains(
        "schedules/nightly.toml:2: note: type: handlers/gone.toml is missing, so its jobs will be rejected"))
  }

  @Test("an expression or zone that means nothing is refused with its place and what was expected")
  func expressions() {
    let folder = ConfigFolder()
    for (cron, problem) in [
      ("0 25 * * *", "hour (column 3): 25 is not in 0-23"),
      ("0 3 30 2 *", "day of month (column 5): no such day in the months given"),
      ("0 3 * *", "found 4 fields, expected 5"),
    ] {
      folder.write("schedules/n.toml", "type = \"t\"\ncron = \"\(cron)\"\ntimezone = \"Europe/Berln\"")
      let lines = folder.lines(folder.load().errors)
      #expect(lines.count == 2)
      #expect(lines[0].hasPrefix("schedules/n.toml:2: cron: \"\(cron)\": \(problem)"), "\(lines)")
      #expect(lines[1].hasPrefix("schedules/n.toml:3: timezone: time zone Europe/Berln: there is no such"), "\(lines)")
    }
  }

  @Test("a missing command, cron or type is told once, without a line")
  func required() {
    let folder = ConfigFolder()
    folder.write("handlers/x.toml", "")
    folder.write("schedules/n.toml", "")
    #expect(folder.load().errors.map(\.key) == ["command", "cron", "type"])
    #expect(folder.load().errors.allSatisfy { $0.line == nil && $0.message.hasPrefix("is missing: ") })
  }

  @Test("only .toml files count, and their names must be types")
  func names() {
    let folder = ConfigFolder()
    for name in ["README.md", ".#x.toml", "x.toml~", "x.schema.json"] { folder.write("handlers/" + name, "?") }
    #expect(folder.load().problems == [])
    for name in ["Mail.toml", "jobspool.notify.toml", "a b.toml"] {
      folder.write("handlers/" + name, "command = [\"a\"]")
    }
    folder.write("schedules/\(String(repeating: "n", count: 112)).toml", "cron = \"@daily\"\ntype = \"a\"")
    let configuration = folder.load()
    #expect(configuration.errors.count == 4)
    #expect(configuration.handlers.isEmpty && configuration.brokenHandlers.isEmpty && configuration.schedules.isEmpty)
  }

  @Test("a huge file, a folder, a FIFO, a dangling link and noise break only their own type")
  func hostile() {
    let folder = ConfigFolder()
    folder.write("handlers/good.toml", "command = [\"a\"]")
    folder.write("handlers/huge.toml", Array(repeating: UInt8(ascii: "#"), count: 1 << 20 + 1))
    folder.write("handlers/noise.toml", (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ $0 >> 3) })
    mkdir(folder.spool + "/handlers/folder.toml", 0o755)
    mkfifo(folder.spool + "/handlers/fifo.toml", 0o644)
    symlink("nowhere", folder.spool + "/handlers/link.toml")
    symlink("good.toml", folder.spool + "/handlers/alias.toml")
    symlink("/dev/zero", folder.spool + "/handlers/zero.toml")
    let configuration = folder.load()
    #expect(configuration.handlers.keys.sorted() == ["alias", "good"])
    #expect(
      configuration.brokenHandlers.mapValues { $0.map(\.message) }.filter { $0.key != "noise" } == [
        "huge": ["is larger than 1 MiB"], "folder": ["is a folder, not a file"], "fifo": ["is not a regular file"],
        "link": ["no such file"], "zero": ["is not a regular file"],
      ])
    #expect(configuration.brokenHandlers["noise"]?.count == 1)
  }

  @Test("a file of the largest size still loads")
  func largest() {
    let folder = ConfigFolder()
    let text = Array("max_jobs = 7\n".utf8)
    folder.write("jobspool.toml", text + Array(repeating: UInt8(ascii: "#"), count: 1 << 20 - text.count))
    #expect(folder.load().settings.maxJobs == 7)
    #expect(folder.load().problems == [])
  }

  @Test("a header that toml++ itself stumbles over is a problem with its line, not an end of the program")
  func stumbling() {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "max_jobs = 1\n\n[%]\na = 1\n")
    #expect(folder.lines(folder.load().errors) == ["jobspool.toml:3: not TOML: not a key or value as TOML writes it"])
  }

  @Test("the sample spool of the repository loads without an error")
  func sample() {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let configuration = Configuration.load(spool: root + "/spool", config: nil)
    #expect(configuration.file == root + "/spool/jobspool.toml")
    #expect(configuration.errors == [])
    #expect(!configuration.handlers.isEmpty)
  }

  @Test("a value quoted in a message is short and cannot move a terminal's cursor")
  func messages() throws {
    let folder = ConfigFolder()
    folder.write("jobspool.toml", "node = \"\\u001b[2J\(String(repeating: "x", count: 5000))\"\n\"\\u001b[2J\" = 1")
    let errors = folder.load().errors.map(\.description)
    #expect(errors.count == 2)
    #expect(errors.allSatisfy { !$0.contains("\u{1b}") && $0.contains(#"\u001b"#) && $0.utf8.count < 500 })
  }

  @Test("schema files are watched, and so are the folders they lie in")
  func watching() {
    let folder = ConfigFolder()
    mkdir(folder.spool + "/schemas", 0o755)
    folder.write("schemas/x.json", "{}")
    folder.write("handlers/x.toml", "command = [\"a\"]\nschema = \"../schemas/x.json\"")
    let configuration = folder.load()
    #expect(configuration.watchedFiles.contains(folder.spool + "/handlers/../schemas/x.json"))
    #expect(configuration.watchedFolders.contains(folder.spool + "/handlers/../schemas"))
  }

}
