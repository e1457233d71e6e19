/// From a bearer token to who asks. jwt-kit checks the signature; which algorithm counts is decided here, before it looks: the
/// key alone says, so a token cannot choose (`none`, or a public key taken for an HMAC secret).
internal import FoundationEssentials
internal import HTTPTypes
internal import JWTKit
internal import JobModel
internal import Logging
internal import SpoolConfig

/// Claims of our tokens.
struct Claims: JWTPayload {
  var sub: String?
  var role: String
  var exp: Double
  var nbf: Double?
  var rate: String?
  var jti: String?
  /// `login`: only good for `POST /v1/login`. `session`: made by it.
  var use: String?
  /// When the browser logged in, for sessions.
  var loginAt: Double?

  enum CodingKeys: String, CodingKey {
    case sub, role, exp, nbf, rate, jti, use
    case loginAt = "login_at"
  }

  /// Times are checked by `TokenCheck`, which knows what to say.
  func verify(using algorithm: some JWTAlgorithm) {}
}

/// Why a token is refused; said to the one who sent it, so it tells nothing it does not know.
struct TokenRefusal: Error {
  var message: String
  /// Nothing can be checked: no key. That is the log's to know, in full.
  var isOurFault = false

  func problem(_ logger: Logger) -> Problem {
    guard isOurFault else { return Problem(.unauthorized, "bad_token", message) }
    logger.warning("\(message)")
    var problem = Problem(
      .serviceUnavailable, "no_key", "tokens cannot be checked here now; the log of jobspool-web says why")
    problem.retryAfter = 30
    return problem
  }
}

actor TokenCheck {
  private var keys: WebKeys?
  private var collections: [String: JWTKeyCollection] = [:]
  private static let longest = 8192
  /// Tokens whose signature was found good under these keys: a client sends the same one again and again.
  private var proven: [String: Claims] = [:]
  private static let mostProven = 4096

  /// Who a bearer token is for.
  func identity(of token: String, keys: WebKeys, web: WebSettings, now: WallTime) async throws(TokenRefusal) -> Identity
  {
    let claims = try await claims(of: token, keys: keys, now: now)
    guard claims.use != "login" else {
      throw TokenRefusal(message: "a login code is no token; exchange it at POST /v1/login")
    }
    return try TokenCheck.identity(claims, web)
  }

  /// Checks signature and times.
  func claims(of token: String, keys: WebKeys, now: WallTime) async throws(TokenRefusal) -> Claims {
    guard token.utf8.count <= TokenCheck.longest else { throw TokenRefusal(message: "the token is too long") }
    await use(keys)
    if let known = proven[token] {
      try TokenCheck.checkTimes(known, now)
      return known
    }
    let bytes = Array(token.utf8)
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }),
      let header = TokenCheck.decoded(parts[0]).flatMap({ try? JSONReader.parse($0) }), header.members != nil
    else { throw TokenRefusal(message: "the token is no JWT of three parts") }
    let algorithm = header["alg"]?.string ?? ""
    guard header["crit"] == nil else {
      throw TokenRefusal(message: "the token's header has crit, which is unknown here")
    }
    guard !collections.isEmpty else {
      let problem = keys.problem ?? "there is no key"
      throw TokenRefusal(message: "no token can be checked: \(problem)", isOurFault: true)
    }
    guard let collection = collections[algorithm] else {
      throw TokenRefusal(
        message: "the token's algorithm is not accepted; expected \(collections.keys.sorted().joined(separator: ", "))")
    }
    let claims: Claims
    do { claims = try await collection.verify(bytes, as: Claims.self) } catch {
      throw TokenRefusal(message: "the token's signature or its claims (exp, role) are not valid")
    }
    try TokenCheck.checkTimes(claims, now)
    // The keys may have changed while the signature was checked.
    if self.keys == keys {
      if proven.count >= TokenCheck.mostProven { proven.removeAll() }
      proven[token] = claims
    }
    return claims
  }

  private static func checkTimes(_ claims: Claims, _ now: WallTime) throws(TokenRefusal) {
    let seconds = Double(now.microseconds) / 1_000_000
    guard claims.exp.isFinite, seconds < claims.exp else { throw TokenRefusal(message: "the token has expired") }
    if let start = claims.nbf, seconds < start { throw TokenRefusal(message: "the token is not valid yet") }
  }

  static func identity(_ claims: Claims, _ web: WebSettings) throws(TokenRefusal) -> Identity {
    // A mapping may rename a role of ours as well.
    guard let role = Role(rawValue: web.roles[claims.role] ?? claims.role) else {
      throw TokenRefusal(message: "the token's role is unknown; [web.roles] maps foreign names")
    }
    var rate: Rate?
    if let text = claims.rate {
      guard let limit = Rate(text: text) else { throw TokenRefusal(message: "the token's rate is not such as 200/s") }
      rate = limit
    }
    // Beyond this a time cannot be written down.
    let expiry = min(claims.exp, 253_402_300_799)
    let subject = claims.sub ?? ""
    guard subject.utf8.count <= Limits.subjectLength,
      !subject.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
    else { throw TokenRefusal(message: "the token's subject is longer than 256 bytes, or has control characters") }
    var identity = Identity(
      subject: subject, role: role, expiresAt: WallTime(microseconds: Int64(expiry * 1_000_000)), rate: rate,
      loginAt: claims.loginAt.map { WallTime(microseconds: Int64(max(min($0, expiry), 0) * 1_000_000)) })
    identity.tokenID = claims.jti ?? ""
    return identity
  }

  /// Signs with the secret key.
  func sign(_ claims: Claims, keys: WebKeys) async throws -> String {
    await use(keys)
    guard let collection = collections["HS256"] else {
      throw TokenRefusal(message: "there is no secret key to sign with", isOurFault: true)
    }
    return try await collection.sign(claims)
  }

  private func use(_ keys: WebKeys) async {
    guard keys != self.keys else { return }
    var made: [String: JWTKeyCollection] = [:]
    if let secret = keys.secret {
      let collection = JWTKeyCollection()
      await collection.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
      made["HS256"] = collection
    }
    if let pem = keys.publicKey {
      let collection = JWTKeyCollection()
      if let key = try? EdDSA.PublicKey(pem: pem) {
        await collection.add(eddsa: key)
        made["EdDSA"] = collection
      } else if let key = try? Insecure.RSA.PublicKey(pem: pem) {
        await collection.add(rsa: key, digestAlgorithm: .sha256)
        made["RS256"] = collection
      }
    }
    collections = made
    proven.removeAll()
    self.keys = keys
  }

  /// Base64url without padding.
  private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var plain = text.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "+") : $0 == UInt8(ascii: "_") ? 0x2F : $0 }
    plain += [UInt8](repeating: UInt8(ascii: "="), count: (4 - plain.count % 4) % 4)
    return Data(base64Encoded: Data(plain)).map { Array($0) }
  }
}
