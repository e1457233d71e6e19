/// `/v1/queue`: counts, active jobs, limits, oldest, daemon, alerts.
enum QueueRoutes {
  static let all: [Route] = []
}
