import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("jobspool doctor") struct DoctorTests {
  /// Check → its levels and texts.
  private func findings(_ command: Command) throws -> (
    code: Int32, checks: [(check: String, level: String, text: String)]
  ) {
    let answer = try command.run("doctor", "--json")
    let checks = try #require(answer.json?["checks"]?.array)
    return (
      answer.code,
      checks.map {
        (
          $0["check"]?.string ?? "", $0["level"]?.string ?? "",
          ($0["message"]?.string ?? "") + " → " + ($0["remedy"]?.string ?? "")
        )
      }
    )
  }

  private func expect(_ command: Command, _ check: String, _ level: String, _ words: String) throws {
    let (code, checks) = try findings(command)
    #expect(
      checks.contains { $0.check == check && $0.level == level && $0.text.holds(words) }, "\(check): \(checks)")
    #expect(code == (level == "bad" ? 1 : 0), "\(checks.filter { $0.level == "bad" })")
  }

  @Test("a fresh spool has nothing bad, and each line has its place")
  func fresh() throws {
    let command = try Command()
    try command.handler("echo")
    let (code, checks) = try findings(command)
    #expect(code == 0 && !checks.contains { $0.level == "bad" }, "\(checks)")
    let expected: Set = [
      "file system", "permissions", "rename", "disk", "clock", "configuration", "handlers", "programs", "secrets",
      "wake-ups", "daemon", "web", "staging", "log",
    ]
    #expect(Set(checks.map(\.check)) == expected)
    let text = try command.run("doctor")
    #expect(
      text.lines.count == checks.count && text.lines.allSatisfy { $0.hasPrefix("ok    ") || $0.hasPrefix("warn  ") })
    try expect(command, "daemon", "warn", "none runs → jobspoold --spool \(command.test.path)")
  }

  @Test("a handler without its program is bad, and no handler at all a warning")
  func handlers() throws {
    let command = try Command()
    try expect(command, "handlers", "warn", "there are none")
    try command.handler("mail", "command = [\"/nonexistent/mail\"]")
    try expect(command, "handlers", "bad", "mail: /nonexistent/mail does not exist")
  }

  @Test("open folders and keys are bad, with the command that closes them")
  func permissions() throws {
    let command = try Command()
    try command.handler("echo")
    #expect(chmod("\(command.test.path)/done", 0o777) == 0)
    try expect(command, "permissions", "bad", "chmod o-w \(command.test.path)/done")
    #expect(chmod("\(command.test.path)/done", 0o750) == 0 && chmod("\(command.test.path)/new", 0o770) == 0)
    try expect(command, "permissions", "bad", "chmod +t \(command.test.path)/new")
    #expect(chmod("\(command.test.path)/new", 0o1730) == 0)
    #expect(try command.run("token", "create", "--role", "viewer").code == 0)
    #expect(chmod("\(command.test.path)/secret/web.key", 0o644) == 0)
    try expect(command, "secrets", "bad", "chmod 640 \(command.test.path)/secret/web.key")
  }

  @Test("files that anybody may edit are bad, and webhooks that anybody may read a warning")
  func configurationFiles() throws {
    let command = try Command()
    try command.handler("echo")
    let file = "\(command.test.path)/jobspool.toml"
    try TestSpool.write(Array("[[notify]]\non = [\"dead\"]\nwebhook = \"https://a.example/x\"\n".utf8), to: file)
    #expect(chmod(file, 0o644) == 0)
    try expect(command, "secrets", "warn", "everybody may read it → chmod o-r \(file)")
    #expect(chmod(file, 0o640) == 0)
    #expect(try !findings(command).checks.contains { $0.text.holds("webhooks") })
    let handler = "\(command.test.path)/handlers/echo.toml"
    #expect(chmod(handler, 0o666) == 0)
    try expect(command, "configuration", "bad", "everybody may write to \(handler) (mode 0666)")
  }

  @Test("mistakes in the configuration, a full disk and a damaged log are bad")
  func bad() throws {
    let command = try Command()
    try command.handler("echo")
    try TestSpool.write(Array("max_jobs = \"x\"\n".utf8), to: "\(command.test.path)/jobspool.toml")
    try expect(command, "configuration", "bad", "jobspool.toml:1: max_jobs")
    try TestSpool.write(Array("min_free = \"1024T\"\n".utf8), to: "\(command.test.path)/jobspool.toml")
    try expect(command, "disk", "bad", "below min_free")
    unlink("\(command.test.path)/jobspool.toml")
    #expect(try command.run("submit", "echo", "--id", "j").code == 0)
    #expect(try command.run("cancel", "j").code == 0)
    #expect(try command.run("requeue", "j").code == 0)
    let name = try #require(command.test.auditFiles.first)
    var text = command.test.auditText(name)
    text[50] ^= 1
    try TestSpool.write(text, to: "\(command.test.path)/log/\(name)")
    try expect(command, "log", "bad", "was changed")
  }

  @Test("stale staging and a web program that is missing are warnings")
  func warnings() throws {
    let command = try Command()
    try command.handler("echo")
    try TestSpool.write([], to: "\(command.test.path)/tmp/old.json")
    // Its change cannot be set back, so the look has to come from later; here only a folder that cannot be listed.
    try TestSpool.write(
      Array("[web]\nlisten = \"127.0.0.1:1\"\n".utf8), to: "\(command.test.path)/jobspool.toml")
    let checks = try findings(command).checks
    #expect(checks.contains { $0.check == "web" && $0.level != "bad" })
    #expect(checks.contains { $0.check == "staging" && $0.level == "ok" })
  }
}

@Suite("jobspool backup, restore, watch, top without a daemon") struct BackupTests {
  private func hasRsync() -> Bool { access("/usr/bin/rsync", X_OK) == 0 }

  @Test("a backup, and the spool that a restore makes of it", .enabled(if: access("/usr/bin/rsync", X_OK) == 0))
  func roundTrip() throws {
    let command = try Command()
    try command.handler("echo")
    #expect(try command.run("submit", "echo", "--id", "waits", "--payload", "{\"n\":1.0}").code == 0)
    #expect(try command.run("submit", "echo", "--id", "dies").code == 0)
    #expect(try command.run("cancel", "dies").code == 0)
    #expect(try command.run("token", "create", "--role", "viewer").code == 0)
    let place = try TestSpool()
    let target = "\(place.path)/vault"
    let answer = try command.run("backup", target, "--json", "--verify")
    #expect(answer.code == 0 && answer.json?["jobs"]?.int == 2, "\(answer.err)")
    #expect(answer.json?["problems"]?.array?.isEmpty == true, "\(answer.out)")
    let folder = try #require(answer.json?["backup"]?.string)
    #expect(TestSpool.exists("\(folder)/backup.json") && !TestSpool.exists("\(folder)/secret"))
    #expect(TestSpool.names(target).count == 2)
    let made = "\(place.path)/made"
    let restored = try command.run("restore", target, "--spool", made)
    #expect(restored.code == 0 && restored.out.holds("1 new") && restored.out.holds("1 dead"), "\(restored.err)")
    #expect(
      TestSpool.contents("\(made)/new/waits.json") == command.test.bytes("waits", .new)
        && TestSpool.contents("\(made)/dead/dies.json") == command.test.bytes("dies", .dead))
    #expect(TestSpool.exists("\(made)/handlers/echo.toml"))
    #expect(try command.run("fsck", "--spool", made).code == 0)
    // Not into one that is used.
    #expect(try command.run("restore", target, "--spool", made).code == 73)
    #expect(try command.run("restore", "\(place.path)/none", "--spool", "\(place.path)/x").code == 66)
  }

  @Test("a place within the spool is refused however it is written, one beside it is not")
  func places() throws {
    let command = try Command()
    let path = command.test.path
    #expect(symlink("\(path)/done", "\(path).link") == 0)
    defer { unlink("\(path).link") }
    for place in [path, "\(path)/vault/", "\(path)/done/../vault", "\(path).link/vault", "./\(path)/vault"] {
      let answer = try command.run("backup", place.hasPrefix(".") ? "done/../vault" : place)
      #expect(answer.code == 64 && answer.err.holds("lies within the spool"), "\(place): \(answer.err)")
    }
    let place = try TestSpool()
    let name = try #require(place.path.split(separator: "/").last)
    guard hasRsync() else { return }
    #expect(try command.run("backup", "\(path)/../\(name)/vault").code == 0)
    #expect(TestSpool.exists("\(place.path)/vault/latest"))
  }

  @Test(
    "generations: unchanged files are links, old ones go, keys only when asked",
    .enabled(if: access("/usr/bin/rsync", X_OK) == 0))
  func generations() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo", "--id", "a").code == 0)
    #expect(try command.run("cancel", "a").code == 0)
    #expect(try command.run("token", "create", "--role", "viewer").code == 0)
    let place = try TestSpool()
    let target = "\(place.path)/vault"
    var made: [String] = []
    // What an interrupted backup leaves.
    #expect(mkdir(target, 0o755) == 0 && mkdir("\(target)/2020-01-01T000000Z", 0o755) == 0)
    for count in 0..<3 {
      // Named by the second.
      while let last = made.last, last.hasSuffix(command.second) { usleep(50_000) }
      let answer = try command.run(
        all: ["backup", target, "--json", "--keep", "2"] + (count == 2 ? ["--with-secrets"] : []))
      #expect(answer.code == 0, "\(answer.err)")
      made.append(try #require(answer.json?["backup"]?.string))
    }
    let left = TestSpool.names(target).filter { $0 != "latest" }
    #expect(left == made.suffix(2).map { String($0.suffix(18)) })
    var (first, second) = (stat(), stat())
    #expect(stat("\(made[1])/dead/a.json", &first) == 0 && stat("\(made[2])/dead/a.json", &second) == 0)
    #expect(first.st_ino == second.st_ino)
    #expect(!TestSpool.exists("\(made[1])/secret/web.key") && TestSpool.exists("\(made[2])/secret/web.key"))
    #expect(TestSpool.contents("\(target)/latest/backup.json") == TestSpool.contents("\(made[2])/backup.json"))
  }

  @Test("backups into the spool itself, and counts that mean nothing, are 64")
  func usage() throws {
    let command = try Command()
    #expect(try command.run("backup", "\(command.test.path)/backup").code == 64)
    #expect(try command.run("backup", "/tmp/x", "--keep", "0").code == 64)
    #expect(try command.run("restore", "/tmp/x", "--spool", "").code != 0)
    #expect(try command.run("watch", "--state", "gone").code == 64)
    #expect(try command.run("top", "--json").code == 64)
  }

  @Test("top --once without a daemon says so and counts")
  func once() throws {
    let command = try Command()
    #expect(try command.run("submit", "echo").code == 0)
    let answer = try command.run("top", "--once")
    #expect(answer.code == 0 && answer.out.holds("no daemon runs") && answer.out.holds("new 1"), "\(answer.out)")
  }
}

extension Command {
  /// The name a backup taken now gets.
  fileprivate var second: Substring {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let text = WallTime(seconds: Int64(now.tv_sec)).rfc3339
    return Substring(text.prefix(19).filter { $0 != ":" } + "Z")
  }
}
