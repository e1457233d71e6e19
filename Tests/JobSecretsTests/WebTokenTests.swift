import Crypto
import FoundationEssentials
import Glibc
import JobModel
import Testing

@testable import JobSecrets

@Suite("Tokens of the HTTP API") final class WebTokenTests {
  let folder: String

  init() throws {
    var template = Array("/tmp/jobspool-tokens-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func put(_ text: String, mode: mode_t = 0o600) throws -> String {
    mkdir("\(folder)/secret", 0o700)
    let path = WebKey.file(in: folder)
    unlink(path)
    try Data(text.utf8).write(to: URL(filePath: path))
    #expect(chmod(path, mode) == 0)
    return path
  }

  private func decoded(_ part: Substring) -> Data? {
    let text = part.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
    return Data(base64Encoded: String(text) + String(repeating: "=", count: (4 - part.count % 4) % 4))
  }

  @Test("base64url is that of RFC 4648 without padding")
  func base64url() {
    #expect(WebToken.base64url([0xFB, 0xFF, 0xFE]) == "-__-")
    #expect(WebToken.base64url([0xFB, 0xF0]) == "-_A")
    #expect(WebToken.base64url([]).isEmpty)
    // The claims of RFC 7515, appendix A.1.
    let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
    #expect(
      WebToken.base64url(Array(claims.utf8))
        == "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ")
  }

  @Test("a token is header, claims and a signature that the key's bytes bear out")
  func signature() throws {
    let made = try WebKey.prepare(in: folder, owner: geteuid(), group: nil)
    var token = WebToken(
      subject: "shop \"1\"", role: "producer", issuedAt: WallTime(microseconds: 1_700_000_000_250_000),
      lifetime: .seconds(60), id: "abc")
    token.rate = "200/s"
    let parts = token.signed(with: made.key).split(separator: ".", omittingEmptySubsequences: false)
    try #require(parts.count == 3)
    #expect(decoded(parts[0]) == Data(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
    // The end is a whole second, and not before 60 s are over.
    let claims =
      #"{"sub":"shop \"1\"","role":"producer","iat":1700000000,"exp":1700000061,"jti":"abc","rate":"200/s"}"#
    #expect(decoded(parts[1]) == Data(claims.utf8))
    let signature = try #require(decoded(parts[2]))
    let key = SymmetricKey(data: made.key.bytes)
    let signed = Data("\(parts[0]).\(parts[1])".utf8)
    #expect(HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key))
    #expect(!HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed + [0], using: key))
  }

  @Test("a login code says that it is one")
  func login() throws {
    let key = try WebKey.prepare(in: folder, owner: geteuid(), group: nil).key
    var token = WebToken(subject: "s", role: "admin", issuedAt: WallTime(seconds: 0), lifetime: .seconds(600), id: "j")
    token.use = .login
    let parts = token.signed(with: key).split(separator: ".")
    #expect(
      decoded(parts[1]) == Data(#"{"use":"login","sub":"s","role":"admin","iat":0,"exp":600,"jti":"j"}"#.utf8))
  }

  @Test("the key is made once, 64 digits and a newline, for nobody but its owner")
  func made() throws {
    let first = try WebKey.prepare(in: folder, owner: geteuid(), group: nil)
    let again = try WebKey.prepare(in: folder, owner: geteuid(), group: nil)
    #expect(first.isNew && !again.isNew && first.key.bytes == again.key.bytes && first.key.bytes.count == 32)
    let text = try Data(contentsOf: URL(filePath: WebKey.file(in: folder)))
    #expect(text.count == 65 && text.last == 0x0A)
    var status = stat()
    #expect(stat(WebKey.file(in: folder), &status) == 0 && status.st_mode & 0o7777 == 0o600)
  }

  @Test("the web program's group may read a key that root makes", .enabled(if: geteuid() == 0))
  func shared() throws {
    #expect(chmod(folder, 0o755) == 0)
    _ = try WebKey.prepare(in: folder, owner: 65_534, group: 65_533)
    var status = stat()
    #expect(stat(WebKey.file(in: folder), &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o640 && status.st_uid == 65_534 && status.st_gid == 65_533)
  }

  @Test(
    "digits of either case are read, anything else is refused",
    arguments: [
      "", "00", String(repeating: "0", count: 63), String(repeating: "0", count: 66),
      String(repeating: "g", count: 64), String(repeating: "é", count: 32),
    ])
  func digits(text: String) throws {
    let good = try put(String(repeating: "aF", count: 32) + "\n")
    #expect(try WebKey.load(good).bytes == [UInt8](repeating: 0xAF, count: 32))
    let bad = try put(text)
    #expect(#expect(throws: SecretProblem.self) { try WebKey.load(bad) }?.code == .badKey)
  }

  @Test("a key that others may read or its group may write is refused", arguments: [0o644, 0o660, 0o602] as [mode_t])
  func modes(mode: mode_t) throws {
    let path = try put(String(repeating: "0", count: 64) + "\n", mode: mode)
    let problem = #expect(throws: SecretProblem.self) { try WebKey.load(path) }
    #expect(problem?.code == .badKey && problem?.message.contains("chmod 640") == true)
  }
}
