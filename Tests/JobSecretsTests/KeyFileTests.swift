import Crypto
import FoundationEssentials
import Glibc
import JobModel
import Testing

@testable import JobSecrets

@Suite("Key files") final class KeyFileTests {
  let folder: String

  init() throws {
    var template = Array("/tmp/jobspool-keys-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  @Test("a first start makes a pair, a second one reads it")
  func firstStart() throws {
    let (key, isNew) = try DataKey.prepare(in: folder, environment: nil)
    #expect(isNew)
    #expect(mode("secret") == 0o700)
    #expect(mode("secret/data.key") == 0o600)
    #expect(mode("data.pub") == 0o644)
    let again = try DataKey.prepare(in: folder, environment: "")
    #expect(!again.isNew)
    #expect(again.key.key.rawRepresentation == key.key.rawRepresentation)
    #expect(names(".") == ["data.pub", "secret"])
    #expect(names("secret") == ["data.key"])

    let pointers = [try #require(JSONPointer("/payload"))]
    let sealed = try DataPublicKey.load(folder + "/data.pub").seal(Array("1".utf8), pointers, type: "t")
    #expect(try again.key.open(sealed, pointers, type: "t") == Array("1".utf8))
  }

  @Test("a data.pub that is missing, foreign or spoilt is written anew from the key")
  func published() throws {
    let (key, _) = try DataKey.prepare(in: folder, environment: nil)
    let right = try text("data.pub")
    for spoil in [{ unlink(self.folder + "/data.pub") }, { self.put("data.pub", "nonsense", 0o644) }] {
      _ = spoil()
      #expect(try !DataKey.prepare(in: folder, environment: nil).isNew)
      #expect(try text("data.pub") == right)
    }
    try DataKey.generate().publish(folder + "/data.pub")
    #expect(try text("data.pub") != right)
    try key.publish(folder + "/data.pub")
    #expect(try text("data.pub") == right)
  }

  @Test("a lost key is not replaced in silence")
  func lost() throws {
    _ = try DataKey.prepare(in: folder, environment: nil)
    unlink(folder + "/secret/data.key")
    let problem = #expect(throws: SecretProblem.self) { try DataKey.prepare(in: folder, environment: nil) }
    #expect(problem?.code == .noKey)
    #expect(problem?.message.contains("restore it") == true)
    #expect(names("secret") == [])
  }

  @Test("the environment names another file, which must be there")
  func environment() throws {
    let other = folder + "/elsewhere.key"
    #expect(throws: SecretProblem.self) { try DataKey.prepare(in: folder, environment: other) }
    let key = DataKey.generate()
    try key.save(other)
    #expect(try DataKey.prepare(in: folder, environment: other).key.key.rawRepresentation == key.key.rawRepresentation)
    #expect(try DataPublicKey.load(folder + "/data.pub").key.rawRepresentation == key.key.publicKey.rawRepresentation)
    #expect(throws: SecretProblem.self) { try key.save(other) }
  }

  @Test(
    "a private key that others may read is refused", arguments: [0o604, 0o640, 0o660, 0o700, 0o400, 0o601] as [mode_t])
  func modes(mode: mode_t) throws {
    let path = folder + "/k"
    try DataKey.generate().save(path)
    chmod(path, mode)
    guard mode & 0o077 != 0 else {
      _ = try DataKey.load(path)
      return
    }
    let problem = #expect(throws: SecretProblem.self) { _ = try DataKey.load(path) }
    #expect(problem?.code == .badKey)
    #expect(problem?.message.contains("chmod 600 \(path)") == true)
  }

  @Test("a public key that others may write is refused")
  func publicModes() throws {
    let path = folder + "/data.pub"
    try DataKey.generate().publish(path)
    for mode: mode_t in [0o664, 0o646, 0o666] {
      chmod(path, mode)
      #expect(throws: SecretProblem.self) { _ = try DataPublicKey.load(path) }
    }
    chmod(path, 0o444)
    _ = try DataPublicKey.load(path)
  }

  @Test(
    "what is no key file is refused with its name",
    arguments: [
      "", "jobspool-data-key-v1", "jobspool-data-key-v1 !!!", "jobspool-data-key-v1 AAAA", "jobspool-data-pub-v1 AAAA",
      "jobspool-data-key-v2 " + String(repeating: "A", count: 43) + "=", String(repeating: "x", count: 2000),
    ])
  func nonsense(text: String) {
    put("k", text, 0o600)
    let problem = #expect(throws: SecretProblem.self) { _ = try DataKey.load(folder + "/k") }
    #expect(problem?.code == .badKey)
    #expect(problem?.message.contains(folder + "/k") == true)
  }

  @Test("links, pipes and folders are refused, none of them waited for")
  func otherKinds() throws {
    try DataKey.generate().save(folder + "/k")
    symlink("k", folder + "/link")
    mkfifo(folder + "/pipe", 0o600)
    for name in ["link", "pipe", "."] {
      let problem = #expect(throws: SecretProblem.self) { _ = try DataKey.load(folder + "/" + name) }
      #expect(problem?.code == .badKey)
    }
    let missing = #expect(throws: SecretProblem.self) { _ = try DataKey.load(folder + "/none") }
    #expect(missing?.code == .noKey)
  }

  private func mode(_ name: String) -> mode_t {
    var status = stat()
    return lstat(folder + "/" + name, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  private func text(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: folder + "/" + name)), as: UTF8.self)
  }

  private func names(_ name: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder + "/" + name).sorted()) ?? []
  }

  @discardableResult
  private func put(_ name: String, _ text: String, _ mode: mode_t) -> Int32 {
    _ = FileManager.default.createFile(atPath: folder + "/" + name, contents: Data(text.utf8))
    return chmod(folder + "/" + name, mode)
  }
}
