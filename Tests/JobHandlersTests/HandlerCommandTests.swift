import JobModel
import Testing

@testable import JobHandlers

@Suite struct HandlerCommandTests {
  private func words(
    _ change: (inout HandlerSettings.ProcessLimits) -> Void = { _ in }, account: Account? = nil
  ) throws -> [String] {
    var limits = HandlerSettings.ProcessLimits()
    change(&limits)
    return try HandlerCommand.words(
      program: "/opt/tool", command: ["tool", "-x"], limits: limits, account: account
    ) { tool in "/usr/bin/\(tool)" }
  }

  @Test("without limits the command stands alone, by the name it was given")
  func plain() throws { #expect(try words() == ["tool", "-x"]) }

  @Test("limits come first, the user last, so that rights are there while they are needed")
  func all() throws {
    let account = Account(user: 33, group: 34, name: "www-data", home: "/var/www", shell: "/bin/false")
    let words = try words(
      {
        $0.memory = 256 << 20
        $0.cpu = .seconds(30)
        $0.files = 256
        $0.nice = -5
      }, account: account)
    #expect(
      words == [
        "/usr/bin/nice", "-n", "-5", "/usr/bin/prlimit", "--data=268435456", "--cpu=30", "--nofile=256", "--",
        "/usr/bin/setpriv", "--reuid=33", "--regid=34", "--init-groups",
        "--inh-caps=-all", "--ambient-caps=-all", "--", "/opt/tool", "-x",
      ])
  }

  @Test("CPU time is rounded up to whole seconds, and never to none")
  func cpu() throws {
    #expect(try words { $0.cpu = .milliseconds(1) }[1] == "--cpu=1")
    #expect(try words { $0.cpu = .milliseconds(2001) }[1] == "--cpu=3")
  }

  @Test("a missing tool is a problem of the handler")
  func missing() {
    var limits = HandlerSettings.ProcessLimits()
    limits.nice = 1
    #expect(throws: ProgramLookup.Problem("no nice")) {
      try HandlerCommand.words(program: "/opt/tool", command: ["tool"], limits: limits, account: nil) {
        tool throws(ProgramLookup.Problem) in throw ProgramLookup.Problem("no \(tool)")
      }
    }
  }
}
