/// `/metrics`: Prometheus text.
enum MetricsRoutes {
  static let all: [Route] = []
}
