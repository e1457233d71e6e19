/// How often a job is tried and how long it waits in between. Pure arithmetic: randomness and time are handed in.
package struct RetryPolicy: Sendable, Equatable {
  package enum Spacing: Sendable, Equatable {
    /// `base * factor^(n-1)`, at most `max`, then spread by ±`jitter` (a share of the wait).
    case backoff(base: Duration, factor: Double, max: Duration, jitter: Double)
    /// The waits one by one; the number of attempts is one more than their count. No jitter.
    case delays([Duration])
  }

  package static let defaultSpacing = Spacing.backoff(
    base: .seconds(15), factor: 2.0, max: .seconds(3600), jitter: 0.2)

  // What job files and handler files may say.
  package static let attempts = 1...1000
  package static let factors = 1.0...100.0
  package static let jitters = 0.0...1.0
  /// How many waits `delays` may list.
  package static let delayCount = 1...999

  package var maxAttempts: Int
  package var spacing: Spacing

  package init(maxAttempts: Int = 5, spacing: Spacing = RetryPolicy.defaultSpacing) {
    self.maxAttempts = maxAttempts
    self.spacing = spacing
  }

  /// A policy of fixed waits: `delays.count + 1` attempts.
  package init(delays: [Duration]) {
    self.init(maxAttempts: delays.count + 1, spacing: .delays(delays))
  }

  /// The wait after failed attempt `attempt` (counting from 1).
  ///
  /// - Parameter random: a number in 0..<1; 0.5 means no jitter.
  package func wait(after attempt: Int, random: Double) -> Duration {
    switch spacing {
    case .delays(let delays):
      guard !delays.isEmpty else { return .zero }
      return delays[min(max(attempt, 1), delays.count) - 1]
    case .backoff(let base, let factor, let max, let jitter):
      var seconds = base.inSeconds
      let limit = max.inSeconds
      var step = 1
      while step < attempt && seconds < limit {
        seconds *= factor
        step += 1
      }
      seconds = min(seconds, limit) * (1 + jitter * (2 * random - 1))
      return .microseconds(Int64(Swift.max(0, seconds) * 1_000_000))
    }
  }
}

extension Duration {
  /// Seconds with their fraction; exact enough for waiting, not for keeping accounts.
  package var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }

  /// Whole microseconds, cut.
  package var inMicroseconds: Int64 {
    components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
  }

  /// Whole milliseconds, cut.
  package var inMilliseconds: Int64 { inMicroseconds / 1000 }
}
