/// `/v1/stats`: today, rates, days, minutes, system, per type.
enum StatsRoutes {
  static let all: [Route] = []
}
