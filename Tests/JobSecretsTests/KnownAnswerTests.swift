import Crypto
import FoundationEssentials
import JobModel
import Testing

@testable import JobSecrets

@Suite("Sealed fields in other hands") struct KnownAnswerTests {
  @Test("a field opens for HPKE of the suite with the documented context")
  func interoperable() throws {
    let key = DataKey.generate()
    let pointer = try #require(JSONPointer("/payload/a~1b"))
    let sealed = try key.publicKey.seal(Array(#"{"a/b":[1, 2]}"#.utf8), [pointer], type: "mail")
    let members = try #require(try JSONReader.parse(sealed)["a/b"])
    var recipient = try HPKE.Recipient(
      privateKey: key.key,
      ciphersuite: HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_256),
      info: Data("jobspool sealed field v1".utf8),
      encapsulatedKey: try #require(Data(base64Encoded: members["enc"]?.string ?? "")))
    let text = try recipient.open(
      try #require(Data(base64Encoded: members["ct"]?.string ?? "")),
      authenticating: Data("mail\u{0}/payload/a~1b".utf8))
    #expect(text == Data("[1, 2]".utf8))
  }

  @Test("what an earlier version sealed opens")
  func kept() throws {
    let key = DataKey(
      key: try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: Data((0..<32).map { UInt8($0) })))
    let pointer = try #require(JSONPointer("/payload/password"))
    let opened = try key.open(Array(KnownAnswerTests.sealed.utf8), [pointer], type: "send-email")
    #expect(String(decoding: opened, as: UTF8.self) == #"{"to":"ann","password":"hunter2"}"#)
  }

  /// Never to be changed: jobs may wait for months.
  static let sealed =
    #"{"to":"ann","password":{"$sealed":"v1","enc":"HK4mKhxuuvqT2nrdNTsleP/5iT21aFo7+gek8HnDN1A=","#
    + #""ct":"BAc9gU/Zeu/Q8ZNl3ziTXhGjNiPoo6/FxA=="}}"#
}
