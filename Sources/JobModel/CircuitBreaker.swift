/// Slows a type whose runs fail on end: its program's backend is down, most likely, and trying every waiting job against
/// it burns their attempts for nothing. After `threshold` failures in a row the type rests, then one job is tried
/// (half open); its success closes the circuit, its failure doubles the rest.
///
/// Failures that are the job's own fault (the permanent exits, rejected input) do not count.
package struct CircuitBreaker: Sendable, Equatable {
  package static let threshold = 20
  package static let firstRest = Duration.seconds(1)
  package static let longestRest = Duration.seconds(60)

  package enum Phase: Sendable, Equatable {
    case closed
    case open(until: WallTime)
    /// One job is being tried.
    case halfOpen
  }

  package private(set) var phase = Phase.closed
  package private(set) var failures = 0
  private var rest = CircuitBreaker.firstRest

  package init() {}

  /// Whether a job may start now; `open` turns half-open once its rest is over.
  package func allowsStart(now: WallTime) -> Bool {
    switch phase {
    case .closed: true
    case .open(let until): now >= until
    case .halfOpen: false
    }
  }

  /// A job starts; true when it is the one that is tried, whose end decides.
  package mutating func started() -> Bool {
    guard case .open = phase else { return false }
    phase = .halfOpen
    return true
  }

  package mutating func succeeded() {
    self = CircuitBreaker()
  }

  /// The tried job was handed back without a verdict: another one may be tried. Of others, begun before the circuit
  /// opened, this says nothing.
  package mutating func gaveBack(now: WallTime) {
    if phase == .halfOpen { phase = .open(until: now) }
  }

  /// - Parameter isTried: it is the job that `started` called the tried one.
  package mutating func failed(isTried: Bool, now: WallTime) {
    failures += 1
    switch phase {
    case .closed:
      guard failures >= CircuitBreaker.threshold else { return }
    case .open:
      // A run that had begun before the circuit opened.
      return
    case .halfOpen:
      guard isTried else { return }
      rest = min(rest * 2, CircuitBreaker.longestRest)
    }
    phase = .open(until: now + rest)
  }

  /// The clock was set back: nobody rests longer than the rest is.
  package mutating func clockSetBack(to now: WallTime) {
    guard case .open(let until) = phase else { return }
    phase = .open(until: min(until, now + rest))
  }

  /// When a start becomes possible; nil: already is, or another event decides.
  package var reopens: WallTime? {
    guard case .open(let until) = phase else { return nil }
    return until
  }
}
