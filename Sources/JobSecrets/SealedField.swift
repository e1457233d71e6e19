/// A field of a payload that only the daemon's key opens: `{"$sealed":"v1","enc":"…","ct":"…"}` in the place of the value.
///
/// It is HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM; `enc` is the
/// encapsulated key, `ct` the value's JSON text with its tag, both in base64. The job's type and the field's pointer are
/// authenticated with it, so it opens in no other place. The id is not: it may be given later. Whoever may read `data.pub`
/// can seal, so a sealed field says nothing about who sealed it.
internal import Crypto
internal import FoundationEssentials
package import JobModel

struct SealedField {
  static let version = "v1"
  static let suite = HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_256)
  static let info = Data("jobspool sealed field v1".utf8)
  private static let keyBytes = 32
  private static let tagBytes = 16

  let encapsulatedKey: Data
  let ciphertext: Data

  init(encapsulatedKey: Data, ciphertext: Data) {
    self.encapsulatedKey = encapsulatedKey
    self.ciphertext = ciphertext
  }

  /// nil when the value has not exactly the form of a sealed field; it is clear text then.
  init?(_ json: ArraySlice<UInt8>) {
    guard let members = try? JSONReader.parse(Array(json)).members, members.count == 3 else { return nil }
    var texts: [String: String] = [:]
    for member in members { texts[member.key] = member.value.string }
    guard texts["$sealed"] == SealedField.version,
      let key = texts["enc"].flatMap({ Data(base64Encoded: $0) }), key.count == SealedField.keyBytes,
      let ciphertext = texts["ct"].flatMap({ Data(base64Encoded: $0) }), ciphertext.count >= SealedField.tagBytes
    else { return nil }
    self.init(encapsulatedKey: key, ciphertext: ciphertext)
  }

  var bytes: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("$sealed")
    writer.string(SealedField.version)
    writer.key("enc")
    writer.string(encapsulatedKey.base64EncodedString())
    writer.key("ct")
    writer.string(ciphertext.base64EncodedString())
    writer.endObject()
    return writer.bytes
  }

  /// What is authenticated beside the text. No type holds a zero byte, so no two places give the same.
  static func context(type: String, pointer: JSONPointer) -> Data {
    Data("\(type)\u{0}\(pointer.text)".utf8)
  }

  /// The ranges of the fields in a payload, by the pointers of a handler file, which begin with `/payload`. One that lies
  /// inside another is left out: the outer one covers it.
  static func ranges(
    of pointer: JSONPointer, in payload: [UInt8]
  ) throws(SecretProblem) -> [Range<Int>] {
    guard let inner = pointer.below("payload") else {
      throw SecretProblem(
        .badPointer, "\"\(pointer.text)\" does not lead into the payload: it must begin with /payload")
    }
    guard let ranges = inner.ranges(in: payload) else {
      throw SecretProblem(.notJSON, "the payload is no JSON text, so \"\(pointer.text)\" cannot be found in it")
    }
    return ranges
  }
}

/// The public half of the daemon's key: whoever submits seals with it.
package struct DataPublicKey: Sendable {
  let key: Curve25519.KeyAgreement.PublicKey

  /// Seals the fields of a payload; all other bytes stay as they are. Absent fields are fine, sealed ones are left, and of
  /// equal keys all are sealed.
  ///
  /// - Parameters:
  ///   - payload: the JSON text of the payload alone.
  ///   - pointers: as in a handler file, beginning with `/payload`.
  ///   - type: the job's; the fields open only for it.
  package func seal(
    _ payload: [UInt8], _ pointers: [JSONPointer], type: String
  ) throws(SecretProblem) -> [UInt8] {
    var sealed = payload
    for pointer in JSONPointer.outermost(pointers) {
      let ranges = try SealedField.ranges(of: pointer, in: sealed)
      sealed = try JSONPointer.replace(ranges, in: sealed) { value throws(SecretProblem) in
        if SealedField(value) != nil { return Array(value) }
        return try seal(value, context: SealedField.context(type: type, pointer: pointer)).bytes
      }
    }
    return sealed
  }

  private func seal(_ value: ArraySlice<UInt8>, context: Data) throws(SecretProblem) -> SealedField {
    do {
      var sender = try HPKE.Sender(recipientKey: key, ciphersuite: SealedField.suite, info: SealedField.info)
      let ciphertext = try sender.seal(value, authenticating: context)
      return SealedField(encapsulatedKey: sender.encapsulatedKey, ciphertext: ciphertext)
    } catch {
      throw SecretProblem(.badKey, "a value cannot be sealed with this public key: \(error)")
    }
  }
}

extension DataKey {
  /// Opens the sealed fields of a payload: what it was before, byte for byte. Fields in clear are left.
  ///
  /// - Throws: `cannotOpen` for the first field that was changed, moved to another place or type, or sealed to another key.
  package func open(
    _ payload: [UInt8], _ pointers: [JSONPointer], type: String
  ) throws(SecretProblem) -> [UInt8] {
    var opened = payload
    // Outer ones first: they may hold inner ones that were sealed before.
    for pointer in pointers.sorted(by: { $0.tokens.count < $1.tokens.count }) {
      let ranges = try SealedField.ranges(of: pointer, in: opened)
      opened = try JSONPointer.replace(ranges, in: opened) { value throws(SecretProblem) in
        guard let field = SealedField(value) else { return Array(value) }
        do {
          var recipient = try HPKE.Recipient(
            privateKey: key, ciphersuite: SealedField.suite, info: SealedField.info,
            encapsulatedKey: field.encapsulatedKey)
          let context = SealedField.context(type: type, pointer: pointer)
          return Array(try recipient.open(field.ciphertext, authenticating: context))
        } catch {
          throw SecretProblem(
            .cannotOpen,
            "the sealed value at \"\(pointer.text)\" does not open: it was changed, moved here from another field or type, "
              + "or sealed to another data.pub; submit the job again")
        }
      }
    }
    return opened
  }
}

extension JSONPointer {
  /// Those that lie in no other one of them, each once.
  static func outermost(_ pointers: [JSONPointer]) -> [JSONPointer] {
    var kept: [JSONPointer] = []
    for pointer in pointers.sorted(by: { $0.tokens.count < $1.tokens.count })
    where !kept.contains(where: pointer.overlaps) {
      kept.append(pointer)
    }
    return kept
  }

  /// The pointers, as in a handler file, at which a payload holds a value that is not sealed.
  package static func unsealed(_ pointers: [JSONPointer], in payload: [UInt8]) -> [JSONPointer] {
    outermost(pointers).filter { pointer in
      (pointer.below("payload")?.ranges(in: payload) ?? []).contains { SealedField(payload[$0]) == nil }
    }
  }

  /// Whether a payload holds a sealed value at one of the pointers.
  package static func holdsSealed(_ pointers: [JSONPointer], in payload: [UInt8]) -> Bool {
    pointers.contains { pointer in
      (pointer.below("payload")?.ranges(in: payload) ?? []).contains { SealedField(payload[$0]) != nil }
    }
  }
}
