/// `/v1/events`: what answers a plain GET; the WebSocket itself is taken over before the router.
enum EventRoutes {
  static let all: [Route] = []
}
