import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("jobspool token create, dashboard") struct TokenTests {
  private func listen(_ command: Command, _ address: String) throws {
    try TestSpool.write(Array("[web]\nlisten = \"\(address)\"\n".utf8), to: "\(command.test.path)/jobspool.toml")
  }

  /// The claims of a token, unverified.
  private func claims(_ token: some StringProtocol) throws -> JSONValue {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    try #require(parts.count == 3)
    let text = String(parts[1].map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    return try JSONReader.parse(try #require(Base64.decode(text)))
  }

  @Test("the token is the last line, with the claims that were asked for")
  func create() throws {
    let command = try Command()
    let answer = try command.run(
      "token", "create", "--role", "producer", "--subject", "shop", "--ttl", "2h", "--rate", "200/s")
    #expect(answer.code == 0 && answer.lines.count == 1 && answer.err.isEmpty)
    let said = try claims(try #require(answer.lines.last))
    #expect(said["role"]?.string == "producer" && said["sub"]?.string == "shop" && said["rate"]?.string == "200/s")
    let lifetime = try #require(said["exp"]?.int) - (try #require(said["iat"]?.int))
    #expect((7200...7201).contains(lifetime) && said["jti"]?.string?.utf8.count == 32 && said["use"] == nil)
    #expect(TestSpool.contents("\(command.test.path)/secret/web.key")?.count == 65)
    let again = try command.run("token", "create", "--role", "viewer", "--json").json
    #expect(try claims(try #require(again?["token"]?.string))["jti"]?.string != said["jti"]?.string)
    #expect(again?["role"]?.string == "viewer" && again?["expires_at"]?.string?.hasSuffix("Z") == true)
  }

  @Test("foreign roles count when the configuration has them, others are 64")
  func roles() throws {
    let command = try Command()
    #expect(try command.run("token", "create", "--role", "superadmin").code == 64)
    let text = "[web.roles]\nsuperadmin = \"admin\"\n"
    try TestSpool.write(Array(text.utf8), to: "\(command.test.path)/jobspool.toml")
    #expect(try command.run("token", "create", "--role", "superadmin").code == 0)
    let refused = try command.run("token", "create", "--role", "root")
    #expect(refused.code == 64 && refused.err.holds("producer, operator, admin, superadmin"))
  }

  @Test(
    "lifetimes, rates and subjects that mean nothing are 64",
    arguments: [
      ["--ttl", "0s"], ["--ttl", "soon"], ["--rate", "many"], ["--rate", "0/s"], ["--subject", ""],
      ["--subject", "a\nb"],
    ])
  func usage(arguments: [String]) throws {
    let answer = try Command().run(all: ["token", "create", "--role", "viewer"] + arguments)
    #expect(answer.code == 64 && answer.out.isEmpty && answer.err.holds("--help"), "\(arguments): \(answer.err)")
  }

  @Test("the dashboard's link has a code of ten minutes behind its #")
  func link() throws {
    let command = try Command()
    #expect(try command.run("dashboard").code == 78)
    try listen(command, "127.0.0.1:7733")
    let line = try #require(command.run("dashboard").lines.last)
    try #require(line.hasPrefix("http://127.0.0.1:7733/#login="))
    let said = try claims(line.dropFirst("http://127.0.0.1:7733/#login=".count))
    #expect(said["use"]?.string == "login" && said["role"]?.string == "admin")
    let lifetime = try #require(said["exp"]?.int) - (try #require(said["iat"]?.int))
    #expect((600...601).contains(lifetime))
    let other = try command.run("dashboard", "--url", "https://queue.example.org/", "--role", "viewer", "--json").json
    #expect(other?["url"]?.string?.hasPrefix("https://queue.example.org/#login=") == true)
    #expect(try command.run("dashboard", "--url", "ftp://x").code == 64)
    try listen(command, "0.0.0.0:80")
    #expect(try command.run("dashboard").out.hasPrefix("http://0.0.0.0") == false)
    try listen(command, "127.0.0.1:0")
    #expect(try command.run("dashboard").code == 78)
  }

  @Test("a key that lets others in is refused with the remedy")
  func spoilt() throws {
    let command = try Command()
    try TestSpool.write(Array(repeating: 0x30, count: 64), to: "\(command.test.path)/secret/web.key")
    #expect(chmod("\(command.test.path)/secret/web.key", 0o644) == 0)
    let answer = try command.run("token", "create", "--role", "viewer")
    #expect(answer.code == 78 && answer.err.holds("chmod 640") && answer.out.isEmpty)
  }

  @Test("init makes the key, and leaves one that is there")
  func initialise() throws {
    let command = try Command()
    let path = "\(command.test.path)/secret/made"
    #expect(try command.run("init", path).code == 0)
    let key = TestSpool.contents("\(path)/secret/web.key")
    #expect(key?.count == 65)
    #expect(try command.run("init", path).code == 0)
    #expect(TestSpool.contents("\(path)/secret/web.key") == key)
  }
}
