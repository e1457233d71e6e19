/// Which types have secrets and where in their payloads, with the key of the spool: all the daemon needs to seal and open.
internal import Crypto
package import JobModel

package struct Secrets: Sendable, Equatable {
  private let key: DataKey
  private let pointers: [String: [JSONPointer]]

  /// - Parameter pointers: by type, as in the handler files.
  package init(_ key: DataKey, _ pointers: [String: [JSONPointer]]) {
    self.key = key
    self.pointers = pointers
  }

  package static func == (left: Secrets, right: Secrets) -> Bool {
    left.key.key.rawRepresentation == right.key.key.rawRepresentation && left.pointers == right.pointers
  }

  /// The payload with all of its secrets sealed; nil when none of them lies in clear.
  package func sealed(_ payload: [UInt8], type: String) throws(SecretProblem) -> [UInt8]? {
    guard let pointers = pointers[type], !JSONPointer.unsealed(pointers, in: payload).isEmpty else { return nil }
    return try key.publicKey.seal(payload, pointers, type: type)
  }

  /// The payload in clear; nil when the type has no secrets.
  ///
  /// - Throws: `cannotOpen`, also when what was sealed is no JSON value: it must not reach around its place in the payload.
  package func opened(_ payload: [UInt8], type: String) throws(SecretProblem) -> [UInt8]? {
    guard let pointers = pointers[type] else { return nil }
    let opened = try key.open(payload, pointers, type: type)
    do throws(JSONReader.Problem) { try JSONReader.check(opened) } catch {
      throw SecretProblem(.cannotOpen, "what was sealed is no JSON value; seal the field's JSON text, or use submit")
    }
    return opened
  }
}
