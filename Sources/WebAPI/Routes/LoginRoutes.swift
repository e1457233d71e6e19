/// How a browser gets a token: the link of `jobspool dashboard` carries a code, which works once and for ten minutes. What comes of it
/// is a bearer token of twelve hours, so there are no cookies, and nothing another page could make the browser send.
internal import CSpoolShims
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import Logging
internal import SpoolConfig

enum LoginRoutes {
  private static let lifetime = 12.0 * 3600
  /// Renewed no longer than this after the login.
  private static let longest = 7.0 * 86_400

  static let all: [Route] = [
    Route(
      .post, "/v1/login", .open,
      Operation(
        "login", "Exchange the code of a login link for a token.",
        body: [.json(#"{"type":"object","required":["code"],"properties":{"code":{"type":"string"}}}"#)],
        answers: [(200, "The token.", [.ref("Login")])], problems: [401, 413, 503])
    ) { call in
      try call.query.expect([])
      let body = try await call.body(atMost: 16 << 10)
      guard let code = (try? JSONReader.parse(body))?["code"]?.string else {
        throw Problem.parameter("code", "expected {\"code\": \"…\"}, from the link of 'jobspool dashboard'")
      }
      let state = call.state
      let keys = try await state.blocking { state.keys }
      let now = Double(WallTime.current.microseconds) / 1_000_000
      do {
        let claims = try await state.tokens.claims(of: code, keys: keys, now: .current)
        guard claims.use == "login", let id = claims.jti, !id.isEmpty, id.utf8.count <= 128,
          id.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
        else { throw TokenRefusal(message: "this is no login code") }
        try await state.blocking {
          try state.logins.use(id, until: claims.exp, now: now, folder: state.configuration.folder)
        }
        return try await answer(claims, loginAt: now, now: now, call)
      } catch let refusal as TokenRefusal {
        throw refusal.problem(state.logger)
      }
    },
    Route(
      .post, "/v1/login/renew", .anyone,
      Operation("renewLogin", "A fresh token for one that came from a login.", answers: [(200, "It.", [.ref("Login")])])
    ) { call in
      try call.query.expect([])
      guard let identity = call.identity, let loginAt = identity.loginAt else {
        throw Problem(.forbidden, "forbidden", "only tokens that came from a login are renewed")
      }
      let now = Double(WallTime.current.microseconds) / 1_000_000
      let began = Double(loginAt.microseconds) / 1_000_000
      guard now < began + longest else {
        throw Problem(
          .forbidden, "login_too_old", "a login lasts seven days; make a new link with 'jobspool dashboard'")
      }
      var claims = Claims(role: identity.role.rawValue, exp: 0)
      claims.sub = identity.subject
      claims.rate = identity.rate?.text
      return try await answer(claims, loginAt: began, now: now, call)
    },
  ]

  private static func answer(_ claims: Claims, loginAt: Double, now: Double, _ call: Call) async throws -> Response {
    let state = call.state
    let (keys, web) = try await state.blocking { (state.keys, state.configuration.settings.web) }
    var session = claims
    session.use = "session"
    session.exp = min(now + lifetime, loginAt + longest).rounded(.down)
    session.loginAt = loginAt
    session.jti = JobID.make(at: .current, random: (spool_random(), spool_random()))
    let identity = try TokenCheck.identity(session, web)
    let token = try await state.tokens.sign(session, keys: keys)
    state.logger.notice(
      "login of \(identity.subject.isEmpty ? "nobody in particular" : identity.subject) as \(identity.role)")
    return call.json { writer in
      writer.beginObject()
      writer.key("token")
      writer.string(token)
      writer.key("role")
      writer.string(identity.role.rawValue)
      writer.key("subject")
      writer.string(identity.subject)
      writer.key("expires_at")
      writer.time(identity.expiresAt)
      writer.endObject()
    }
  }
}
