/// How long what has ended is kept, by type: `[retain]` and the handlers' own `retain` made into answers. Pure; the
/// engine's janitor asks, `SpoolStore` removes.
///
/// A count of `[retain]` bounds all types together that have none of their own; a handler's own bounds its type alone.
package struct RetentionRules: Sendable, Equatable {
  /// A bound by count: of one type, or of all types without a bound of their own.
  package struct Bound: Sendable, Hashable {
    /// `done` or `dead`.
    package var state: JobState
    /// nil: all types without a bound of their own.
    package var type: String?
    package var most: Int
  }

  private struct Ages: Equatable {
    var done: Duration
    var dead: Duration
    var log: Duration
  }

  private let standard: Ages
  private var types: [String: Ages] = [:]
  /// Types with a bound of their own, by state.
  private var bounded: [JobState: Set<String>] = [.done: [], .dead: []]
  package private(set) var bounds: [Bound] = []

  /// - Parameters:
  ///   - global: `[retain]`; what it leaves open is `Retention.standard`.
  ///   - handlers: type → its `retain`.
  package init(global: Retention, handlers: [String: Retention]) {
    let above = global.filled(from: .standard)
    standard = RetentionRules.ages(above)
    for (type, own) in handlers.sorted(by: { $0.key < $1.key }) {
      let ages = RetentionRules.ages(own.filled(from: above))
      if ages != standard { types[type] = ages }
      for (state, most) in [(JobState.done, own.doneMax), (.dead, own.deadMax)] {
        guard let most else { continue }
        bounded[state]?.insert(type)
        bounds.append(Bound(state: state, type: type, most: most))
      }
    }
    if let most = global.doneMax { bounds.append(Bound(state: .done, type: nil, most: most)) }
    if let most = global.deadMax { bounds.append(Bound(state: .dead, type: nil, most: most)) }
  }

  private static func ages(_ retention: Retention) -> Ages {
    let fallback = Retention.standard
    return Ages(
      done: retention.done ?? fallback.done ?? .zero, dead: retention.dead ?? fallback.dead ?? .zero,
      log: retention.log ?? fallback.log ?? .zero)
  }

  /// From its end on, a job's file is kept so long; nil for states that are never purged.
  package func age(of type: String?, in state: JobState) -> Duration? {
    let ages = type.flatMap { types[$0] } ?? standard
    switch state {
    case .done: return ages.done
    case .dead: return ages.dead
    case .new, .cur, .hold: return nil
    }
  }

  /// A job's own log is kept so long, and not longer than the job.
  package func logAge(of type: String?) -> Duration { (type.flatMap { types[$0] } ?? standard).log }

  /// Audit files are kept so long.
  package var auditAge: Duration { standard.log }

  package func isBounded(_ type: String?, by bound: Bound) -> Bool {
    if let own = bound.type { return own == type }
    guard let type else { return true }
    return !(bounded[bound.state]?.contains(type) ?? false)
  }

  private var all: [Ages] { [standard] + types.values }

  /// Every age at which something may have to go, shortest first.
  package var ages: [Duration] { Set(all.flatMap { [$0.done, $0.dead, min($0.log, max($0.done, $0.dead))] }).sorted() }

  /// No job of the state is purged before the first of these ages, none kept beyond the second.
  package func range(of state: JobState) -> ClosedRange<Duration> {
    let ages = all.map { state == .done ? $0.done : $0.dead }
    return (ages.min() ?? .zero)...(ages.max() ?? .zero)
  }

  /// Beyond this age no job's log is kept.
  package var longestLogAge: Duration { all.map(\.log).max() ?? .zero }

  /// Equal for equal rules, also after a restart.
  package var signature: String {
    func text(_ ages: Ages) -> String {
      "\(ages.done.inMilliseconds)/\(ages.dead.inMilliseconds)/\(ages.log.inMilliseconds)"
    }
    var parts = [text(standard)]
    parts += types.sorted { $0.key < $1.key }.map { "\($0.key)=\(text($0.value))" }
    parts += bounds.map { "\($0.state.rawValue):\($0.type ?? "*")<=\($0.most)" }
    return parts.joined(separator: " ")
  }
}

extension AuditEvent {
  /// The folder an end of this kind leads to; nil for events that end no job.
  package var endState: JobState? {
    switch self {
    case .finished: .done
    case .buried, .rejected, .expired, .cancelled, .duplicate: .dead
    default: nil
    }
  }
}
