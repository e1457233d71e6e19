/// `GET /metrics`: the text that Prometheus reads. Counters and histograms come from the audit log and its rollups, so they go
/// on where they were after a restart of anything. No label holds an id.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

enum MetricsRoutes {
  static let all: [Route] = [
    Route(
      .get, "/metrics", .read,
      Operation(
        "getMetrics", "Metrics as Prometheus text.", answers: [(200, "The metrics.", [.text])], problems: [503])
    ) { call in
      try call.query.expect([])
      // Counters that begin small and grow while the log is read would look like a burst of work.
      guard await call.state.historyIsLoaded(within: .seconds(8)) else {
        var problem = Problem(.serviceUnavailable, "loading", "the audit log is still being read; ask again soon")
        problem.retryAfter = 5
        throw problem
      }
      let text = try await Metrics.now(call.state).text
      return call.respond(type: "text/plain; version=0.0.4; charset=utf-8", Array(text.utf8))
    }
  ]
}
