/// What a webhook needs of cryptography: the signature of Standard Webhooks, and a name for an entry that does not tell
/// its address.
internal import Crypto
package import JobModel

extension NoticeSettings {
  /// Names this entry in the jobs that carry its notices: the host or program, and the first digits of the SHA-256 of the
  /// whole address. The same after a reload as long as the address stays; it tells nobody the address, which is often a
  /// secret in itself.
  package var key: String {
    let target = webhook.map { "\(format.rawValue) \($0)" } ?? command.joined(separator: "\0")
    let name = host ?? command.first?.split(separator: "/").last.map(String.init) ?? "notify"
    let plain = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "-" }
    return "\(String(plain.prefix(40)))-\(Digest.sha256(Array(target.utf8)).prefix(12))"
  }

  /// The host of the webhook, without port, user and path.
  private var host: String? {
    guard let webhook, let colon = webhook.firstIndex(of: ":") else { return nil }
    let authority = webhook[colon...].dropFirst(3).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let host = authority.split(separator: "@").last ?? ""
    return String(host.prefix { $0 != ":" })
  }
}

extension Digest {
  /// The value of `webhook-signature` (https://www.standardwebhooks.com): `v1,` and HMAC-SHA256 in base64 over id,
  /// timestamp and body.
  ///
  /// - Parameters:
  ///   - secret: `whsec_` and base64, as the receiver shows it; the prefix may be missing.
  ///   - timestamp: seconds since 1970.
  package static func webhookSignature(id: String, timestamp: Int64, body: [UInt8], secret: String) -> String? {
    guard let key = NoticeSettings.signingKey(secret) else { return nil }
    let signed = Array("\(id).\(timestamp).".utf8) + body
    let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: key))
    return "v1,\(Base64.encode(Array(code)))"
  }
}
