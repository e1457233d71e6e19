/// How often somebody may ask: `[web.rate]` by role and by subject, and a token's own `rate`. Windows slide: never more than the limit
/// in any interval. What is refused does not count.
internal import JobModel
internal import NIOConcurrencyHelpers

final class RequestLimits: Sendable {
  /// A window remembers the time of every request in it.
  private static let most = 100_000

  private let windows = NIOLockedValueBox<[String: RateWindow]>([:])

  /// nil: go on. Otherwise how long to wait.
  func wait(for identity: Identity, _ web: WebSettings, now: WallTime) -> Duration? {
    var rules: [(name: String, rate: Rate)] = []
    if let rate = web.rate[identity.role.rawValue] { rules.append(("role:\(identity.role.rawValue)", rate)) }
    if !identity.subject.isEmpty, let rate = web.rate[identity.subject], Role(rawValue: identity.subject) == nil {
      rules.append(("subject", rate))
    }
    if let rate = identity.rate { rules.append(("token:\(rate.text)", rate)) }
    guard !rules.isEmpty else { return nil }
    let key = LimitKey.of(.string(identity.subject.isEmpty ? "token:\(identity.tokenID)" : identity.subject))
    let token = LimitKey.of(.string(identity.tokenID))
    return windows.withLockedValue { windows in
      for (name, rate) in rules {
        if windows[name]?.rate != rate {
          windows[name] = RateWindow(Rate(limit: min(rate.limit, RequestLimits.most), per: rate.per))
        }
        if let next = windows[name]?.next(name.hasPrefix("token:") ? token : key, now: now) { return next - now }
      }
      for (name, _) in rules { windows[name]?.count(name.hasPrefix("token:") ? token : key, at: now) }
      return nil
    }
  }
}
