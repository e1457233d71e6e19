/// `/v1/me`: what the token says, and what it may do.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel

enum MeRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/me", .anyone,
      Operation("me", "Who the token is for, and what it may do.", answers: [(200, "That.", [.ref("Me")])])
    ) { call in
      try call.query.expect([])
      guard let identity = call.identity else { throw Problem(.unauthorized, "no_token", "send a token") }
      return call.json { writer in
        writer.beginObject()
        writer.key("subject")
        writer.string(identity.subject)
        writer.key("role")
        writer.string(identity.role.rawValue)
        writer.key("expires_at")
        writer.time(identity.expiresAt)
        writer.key("may")
        writer.beginArray()
        for access in [Access.read, .submit, .operate, .admin] where identity.role.may(access) {
          writer.string(access.rawValue)
        }
        writer.endArray()
        writer.endObject()
      }
    }
  ]
}
