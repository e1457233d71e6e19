/// The keys that tokens are checked with, as files say at this moment. A key that cannot be read leaves its algorithm off:
/// then tokens are refused, with a sentence in `problem` for the log and the error.
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import SpoolConfig

struct WebKeys: Sendable, Equatable {
  /// HS256.
  var secret: [UInt8]?
  /// RS256 or EdDSA, in PEM.
  var publicKey: String?
  var problem: String?

  init(_ configuration: Configuration) {
    let web = configuration.settings.web
    if let path = web.publicKey {
      publicKey = WebKeys.text(of: WebKeys.path(path, configuration))
      if publicKey == nil { problem = "[web] public_key = \"\(path)\" cannot be read" }
    }
    // With a public key, a secret one counts only where it was asked for.
    guard web.publicKey == nil || web.key != nil else { return }
    let path = web.key.map { WebKeys.path($0, configuration) } ?? WebKey.file(in: configuration.folder)
    do throws(SecretProblem) { secret = try WebKey.load(path).bytes } catch { problem = error.message }
  }

  private static func path(_ path: String, _ configuration: Configuration) -> String {
    path.hasPrefix("/") ? path : "\(configuration.folder)/\(path)"
  }

  private static func text(of path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = fread(&buffer, 1, buffer.count, file)
    return count == 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
  }
}
