import Dispatch
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Synchronization
import Testing

@Suite("Operator verbs without a daemon") struct OperatorTests {
  private func submitted(_ ids: String...) throws -> Command {
    let command = try Command()
    for id in ids { #expect(try command.run("submit", "echo", "--id", id).code == 0) }
    return command
  }

  @Test("each verb moves its jobs, says nothing, and leaves an audit line that names who did it")
  func verbs() throws {
    let command = try submitted("j")
    let steps: [(String, [JobState])] = [
      ("hold", [.hold]), ("release", [.new]), ("cancel", [.dead]), ("requeue", [.new]), ("cancel", [.dead]), ("rm", []),
    ]
    for (verb, states) in steps {
      let answer = try command.run(verb, "j")
      #expect(answer.code == 0 && answer.out.isEmpty && answer.err.isEmpty, "\(verb): \(answer.err)")
      #expect(command.test.states(of: "j") == states, "\(verb)")
    }
    #expect(
      try command.test.events(of: "j") == ["held", "released", "cancelled", "requeued", "cancelled", "purged"])
    let by = try command.test.audit().compactMap { $0["by"]?.string }
    #expect(by.allSatisfy { $0.hasSuffix("(uid \(getuid()))") })
    #expect(command.test.auditFaults().isEmpty)
    #expect(try command.run("fsck").code == 0)
    #expect(try command.run("audit", "verify").code == 0)
  }

  @Test("a verb that does not fit is 65 and says why; the others are done all the same")
  func unfit() throws {
    let command = try submitted("a", "b")
    #expect(try command.run("hold", "a").code == 0)
    let answer = try command.run("hold", "a", "b", "--json")
    #expect(answer.code == 65 && answer.err.holds("only waiting jobs are held"))
    let rows = try #require(answer.json?.array)
    #expect(rows.map { $0["ok"]?.bool } == [false, true])
    #expect(rows.first?["code"]?.string == "wrong_state" && rows.last?["state"]?.string == "hold")
  }

  @Test("ALL, filters and standard input choose jobs")
  func choices() throws {
    let command = try submitted("a", "b", "c")
    #expect(try command.run("submit", "mail", "--id", "m").code == 0)
    #expect(try command.run("hold", "--type", "mail").code == 0)
    #expect(command.test.names(in: .hold) == ["m.json"])
    #expect(try command.run("cancel", "-", input: "a\nb echo\n\n").code == 0)
    #expect(command.test.names(in: .dead) == ["a.json", "b.json"])
    #expect(try command.run("requeue", "ALL").code == 0)
    #expect(command.test.names(in: .new) == ["a.json", "b.json", "c.json"])
    #expect(try command.run("cancel", "ALL").code == 0)
    #expect(command.test.names(in: .dead).count == 4)
    #expect(try command.run("rm", "--state", "done").code == 0)
    #expect(command.test.names(in: .dead).count == 4)
    #expect(try command.run("rm", "--state", "cancelled").code == 0)
    #expect(command.test.names(in: .dead).isEmpty)
  }

  @Test("a job that was running when the daemon went down is the daemon's: 69")
  func orphan() throws {
    let command = try submitted("j")
    try command.test.move(command.test.file("j", .new), command.test.file("j", .cur))
    let answer = try command.run("cancel", "j")
    #expect(answer.code == 69 && answer.err.holds("start jobspoold"))
    #expect(command.test.states(of: "j") == [.cur])
  }

  @Test("a request goes through ctl/ while a daemon holds the lock; its answer is the command's")
  func asks() throws {
    let command = try submitted("j")
    let lock = try SpoolLock(try command.test.open(), node: "n", program: "jobspoold")
    let path = command.test.path
    let asked = Mutex("")
    let over = DispatchSemaphore(value: 0)
    // The daemon's part: takes the request, answers by rename. A thread of its own, because the command below blocks one
    // of the few that tests share.
    DispatchQueue.global().async {
      defer { over.signal() }
      for _ in 0..<20_000 {
        guard let name = TestSpool.names("\(path)/ctl").first(where: { $0.hasSuffix(".json") && !$0.hasPrefix(".") })
        else {
          usleep(1000)
          continue
        }
        asked.withLock { $0 = String(decoding: TestSpool.contents("\(path)/ctl/\(name)") ?? [], as: UTF8.self) }
        unlink("\(path)/ctl/\(name)")
        let reply =
          "{\"ok\":true,\"results\":[{\"job\":\"j\",\"ok\":false,\"code\":\"denied\",\"message\":\"not yours\"}]}"
        try? TestSpool.write(Array(reply.utf8), to: "\(path)/ctl/.staged")
        rename("\(path)/ctl/.staged", "\(path)/ctl/\(name.dropLast(5)).reply")
        return
      }
    }
    let answer = try command.run("cancel", "j")
    over.wait()
    #expect(asked.withLock { $0 } == "{\"do\":\"cancel\",\"jobs\":[\"j\"]}")
    #expect(answer.code == 77 && answer.err == "jobspool: not yours\n")
    #expect(command.test.names(in: .ctl).isEmpty, "the asker takes the answer away")
    withExtendedLifetime(lock) {}
  }

  @Test("pause and resume are files in ctl/; without a daemon they return at once")
  func pauses() throws {
    let command = try submitted()
    try command.handler("echo")
    #expect(try command.run("pause").code == 0)
    #expect(try command.run("pause", "echo").code == 0)
    #expect(command.test.names(in: .ctl) == ["pause", "pause.echo"])
    #expect(try command.run("handlers", "--json").json?.array?.first?["paused"]?.bool == true)
    #expect(try command.run("resume").code == 0)
    #expect(try command.run("resume", "echo", "--json").json?["paused"]?.bool == false)
    #expect(try command.run("resume").code == 0, "resuming twice is no mistake")
    #expect(command.test.names(in: .ctl).isEmpty)
    #expect(try command.run("pause", "No Type").code == 64)
  }

  @Test("somebody else may neither act nor take the lock", .enabled(if: geteuid() == 0, "needs root to become nobody"))
  func others() throws {
    let command = try submitted("j")
    #expect(chmod(command.test.path, 0o755) == 0)
    for folder in Spool.Folder.allCases { #expect(chmod("\(command.test.path)/\(folder.rawValue)", 0o755) == 0) }
    guard let nobody = getpwnam("nobody") else { return }
    #expect(chown(command.test.path + "/cur", nobody.pointee.pw_uid, nobody.pointee.pw_gid) == 0)
    // Root acts as the spool's owner, who may not write into root's log/.
    let answer = try command.run("hold", "j")
    #expect(answer.code == 77, "\(answer.err)")
    #expect(command.test.states(of: "j") == [.new])
  }
}
