/// `GET /v1/events` as a plain request: what `EventsGate` did not make a WebSocket of, and why.
internal import HTTPTypes
internal import Hummingbird

enum EventRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/events", .anyone,
      Operation(
        "events", "Live events, as a WebSocket.", answers: [(101, "The connection is a WebSocket now.", [])],
        problems: [426])
    ) { call in
      // Whatever was wrong is wrong again.
      _ = try await EventsRequest.admit(call.request.head, call.state)
      let problem = Problem(
        .upgradeRequired, "upgrade_required",
        "this is a WebSocket (RFC 6455, version 13): ask with Upgrade: websocket and Connection: Upgrade")
      var response = problem.response
      response.headers[.upgrade] = "websocket"
      response.headers[.connection] = "Upgrade"
      response.headers[.secWebSocketVersion] = "13"
      return response
    }
  ]
}
