/// `max_attempts`, `backoff` and `delays` of a handler.
///
/// `delays` says everything: as many attempts as waits, and one. So `backoff` beside it is refused, and `max_attempts`
/// beside it must be that number: a list of three waits and ten attempts is two answers to one question.
internal import JobModel

enum RetryRules {
  static func policy(_ reader: ConfigReader) -> RetryPolicy {
    let attempts = reader.integer("max_attempts", in: RetryPolicy.attempts)
    let delays = reader.durations("delays", in: .zero...Duration.days(366), count: RetryPolicy.delayCount)
    if reader["delays"] != nil, reader["backoff"] != nil {
      reader.refuse("delays", "either delays or backoff, not both")
    }
    let spacing = reader.section("backoff").map(backoff)
    if let delays {
      let policy = RetryPolicy(delays: delays)
      if let attempts, attempts != policy.maxAttempts {
        reader.refuse(
          "max_attempts",
          "\(attempts) does not fit delays: \(delays.count) waits make \(policy.maxAttempts) attempts; leave it out")
      }
      return policy
    }
    var policy = RetryPolicy()
    policy.maxAttempts = attempts ?? policy.maxAttempts
    policy.spacing = spacing ?? policy.spacing
    return policy
  }

  /// Parts that are absent keep their defaults.
  private static func backoff(_ reader: ConfigReader) -> RetryPolicy.Spacing {
    guard case .backoff(var base, var factor, var longest, var jitter) = RetryPolicy.defaultSpacing else {
      preconditionFailure("the default spacing is a backoff")
    }
    base = reader.duration("base", in: .zero...Duration.days(366)) ?? base
    factor = reader.number("factor", in: RetryPolicy.factors) ?? factor
    longest = reader.duration("max", in: .zero...Duration.days(366)) ?? longest
    jitter = reader.number("jitter", in: RetryPolicy.jitters) ?? jitter
    if base > longest {
      reader.refuse(
        reader["max"] == nil ? "base" : "max",
        "base \(DurationText.format(base)) is longer than max \(DurationText.format(longest))")
    }
    return .backoff(base: base, factor: factor, max: longest, jitter: jitter)
  }
}
