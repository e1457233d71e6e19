/// The id of a job that is unique by a key of its producer's: the same type and key give the same id, on the command line
/// (`--unique`) and in the API (`Idempotency-Key`), so that submitting twice makes one job.

package enum UniqueID {
  /// `TYPE-` and the first 32 hexadecimal digits of SHA-256 over type, a zero byte and key: 128 bits are as many as a UUID
  /// has, and the type keeps the id readable.
  package static func make(type: String, key: String) -> String {
    "\(type)-\(Digest.sha256(Array(type.utf8) + [0] + Array(key.utf8)).prefix(32))"
  }
}
