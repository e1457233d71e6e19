/// Why something cannot be sealed, opened, or a key used; never a word of what is secret.
package struct SecretProblem: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// The payload is no JSON text.
    case notJSON = "bad_json"
    /// A pointer does not lead into the payload.
    case badPointer = "bad_pointer"
    /// A sealed field was changed, moved, or sealed to another key.
    case cannotOpen = "cannot_open"
    /// A key file is not what it must be.
    case badKey = "bad_key"
    /// There is no key file.
    case noKey = "no_key"
    /// This user may not read or write it.
    case denied
    /// A call to the system failed.
    case system
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
