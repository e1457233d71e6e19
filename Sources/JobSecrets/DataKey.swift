/// The key pair of a spool's sealed fields. The private half is in `secret/data.key`, or where `$JOBSPOOL_DATA_KEY_FILE`
/// says, and readable by the daemon alone; the public half is published as `data.pub` beside the configuration. Each
/// file is one line of text, a word and base64, and is made whole or not at all.
internal import Crypto
internal import FoundationEssentials
internal import Glibc

package struct DataKey: Sendable {
  let key: Curve25519.KeyAgreement.PrivateKey

  /// The words that begin the files.
  static let privateWord = "jobspool-data-key-v1"
  static let publicWord = "jobspool-data-pub-v1"

  package static let environmentVariable = "JOBSPOOL_DATA_KEY_FILE"

  /// The private key's file.
  ///
  /// - Parameters:
  ///   - folder: the one with the configuration: the spool's own, or `/etc/jobspool`.
  ///   - environment: the value of `$JOBSPOOL_DATA_KEY_FILE`.
  package static func file(in folder: String, environment: String?) -> String {
    guard let environment, !environment.isEmpty else { return folder + "/secret/data.key" }
    return environment
  }

  package static func publicFile(in folder: String) -> String { folder + "/data.pub" }

  package var publicKey: DataPublicKey { DataPublicKey(key: key.publicKey) }

  /// A new pair, in memory.
  package static func generate() -> DataKey { DataKey(key: Curve25519.KeyAgreement.PrivateKey()) }

  /// Reads the private key. It must be a regular file of ours or root's that nobody else may read.
  ///
  /// - Throws: `noKey` when there is none; `badKey` and `system` with the file and what to do.
  package static func load(_ path: String) throws(SecretProblem) -> DataKey {
    let text = try KeyFile.read(path, forbidden: 0o077, "run: chmod 600 \(path)")
    let bytes = try KeyFile.parse(text, word: privateWord, path)
    do {
      return DataKey(key: try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes))
    } catch {
      throw SecretProblem(.badKey, "\(path) holds no X25519 key; restore it from a backup")
    }
  }

  /// What the daemon does at start: reads the key, makes a pair where there is none yet, and sees to it that `data.pub` says
  /// its public half.
  ///
  /// A key is not made anew while a `data.pub` is there, nor where the environment names one: something sealed to the lost
  /// one may be waiting.
  ///
  /// - Returns: the key, and whether it was made now.
  package static func prepare(
    in folder: String, environment: String?
  ) throws(SecretProblem) -> (key: DataKey, isNew: Bool) {
    let path = file(in: folder, environment: environment)
    let published = publicFile(in: folder)
    var isNew = false
    let key: DataKey
    do throws(SecretProblem) {
      key = try load(path)
    } catch {
      guard error.code == .noKey, environment?.isEmpty ?? true else { throw error }
      guard access(published, F_OK) != 0 else {
        throw SecretProblem(
          .noKey,
          "\(published) is there but \(path), which opens what was sealed with it, is not; restore it from a backup, or "
            + "remove \(published) to make a new pair")
      }
      key = generate()
      isNew = true
      try key.save(path)
    }
    try key.publish(published)
    return (key, isNew)
  }

  /// Writes the private key to a new file, mode 0600; its folder is made (0700) when it is missing.
  package func save(_ path: String) throws(SecretProblem) {
    let folder = KeyFile.folder(of: path)
    if mkdir(folder, 0o700) != 0, errno != EEXIST { throw KeyFile.failure("making the folder", folder) }
    let line = "\(DataKey.privateWord) \(key.rawRepresentation.base64EncodedString())\n"
    try KeyFile.write(Array(line.utf8), to: path, mode: 0o600, replacing: false)
  }

  /// Writes the public key, mode 0644, unless the file says it already.
  package func publish(_ path: String) throws(SecretProblem) {
    if let published = try? DataPublicKey.load(path), published.key.rawRepresentation == key.publicKey.rawRepresentation
    {
      return
    }
    let line = "\(DataKey.publicWord) \(key.publicKey.rawRepresentation.base64EncodedString())\n"
    try KeyFile.write(Array(line.utf8), to: path, mode: 0o644, replacing: true)
  }
}

extension DataPublicKey {
  /// Reads `data.pub`. Whoever could replace it could read what is sealed from then on, so it must be writable by its
  /// owner only.
  package static func load(_ path: String) throws(SecretProblem) -> DataPublicKey {
    let text = try KeyFile.read(path, forbidden: 0o022, ownedByUs: false, "run: chmod 644 \(path)")
    let bytes = try KeyFile.parse(text, word: DataKey.publicWord, path)
    do {
      return DataPublicKey(key: try Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes))
    } catch {
      throw SecretProblem(.badKey, "\(path) holds no X25519 key; the daemon writes it anew when it starts")
    }
  }
}
