/// What a token of the HTTP API says, and its form: a JWT (RFC 7519) signed with HMAC-SHA256. Here tokens are only made;
/// checking them is the web program's.
internal import Crypto
internal import FoundationEssentials
package import JobModel

package struct WebToken: Sendable {
  package enum Use: Sendable {
    /// Goes with every request.
    case bearer
    /// Exchanged once for a bearer token, by `POST /v1/login`.
    case login
  }

  package var use = Use.bearer
  package var subject: String
  package var role: String
  package var issuedAt: WallTime
  package var expiresAt: WallTime
  /// Tells this token from every other; a login works once for each.
  package var id: String
  /// A limit of its own, as in `"200/s"`.
  package var rate: String?

  package init(subject: String, role: String, issuedAt: WallTime, lifetime: Duration, id: String) {
    self.subject = subject
    self.role = role
    self.issuedAt = issuedAt
    // Whole seconds, as the claims are; none is shorter than asked for.
    expiresAt = WallTime(seconds: (issuedAt + lifetime + .microseconds(999_999)).wholeSeconds)
    self.id = id
  }

  /// The token: header, claims and signature in base64url, joined by dots.
  package func signed(with key: WebKey) -> String {
    let signed = WebToken.base64url(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8)) + "." + WebToken.base64url(claims)
    let signature = HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: key.key)
    return signed + "." + WebToken.base64url(Array(signature))
  }

  private var claims: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    if use == .login {
      writer.key("use")
      writer.string("login")
    }
    writer.key("sub")
    writer.string(subject)
    writer.key("role")
    writer.string(role)
    writer.key("iat")
    writer.int(issuedAt.wholeSeconds)
    writer.key("exp")
    writer.int(expiresAt.wholeSeconds)
    writer.key("jti")
    writer.string(id)
    if let rate {
      writer.key("rate")
      writer.string(rate)
    }
    writer.endObject()
    return writer.bytes
  }

  /// Base64 of RFC 4648, section 5, without padding.
  static func base64url(_ bytes: [UInt8]) -> String {
    String(
      decoding: Base64.encode(bytes).utf8.compactMap { letter in
        switch letter {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        case UInt8(ascii: "="): nil
        default: letter
        }
      }, as: UTF8.self)
  }
}
