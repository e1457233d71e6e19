/// Whether a type's `rate` would let one more submission in, for those who submit: the command line and the web program.
/// The daemon decides; who submits only says beforehand what it will say, so that nobody hears "accepted" of what will be
/// refused. What cannot be known counts as allowed: a refusal here is never false.
///
/// It counts what the daemon counts: accepted submissions, from `status.json`, from the audit log as far as it may be
/// read, and those made through this value that the log does not show yet.
package import JobModel
internal import SpoolStore

package enum RateStanding: Sendable, Equatable {
  /// As far as anybody can tell.
  case allowed
  case refused(until: WallTime)
}

extension SpoolReader {
  /// What the type's rate says about one more with this key, be it of submissions (`over = "reject"`) or of starts
  /// (`over = "wait"`). `HandlerSettings.RateLimit.key(of:)` makes the key.
  package func rateStanding(type: String, key: UInt64) -> RateStanding { rateStanding(type: type, key: key, own: []) }

  fileprivate func rateStanding(type: String, key: UInt64, own: [RateGate.Own]) -> RateStanding {
    guard let limit = handler(type)?.rate else { return .allowed }
    if let published = status?.types[type]?.rate, published.rate == limit.rate, let until = published.full[key],
      until > now
    {
      return .refused(until: until)
    }
    let since = WallTime(microseconds: now.microseconds - limit.rate.per.inMicroseconds)
    let log = RateTrail.newest(
      limit.over == .wait ? .claimed : .submitted, type: type, key: key, since: since, limit: limit.rate.limit,
      in: spool)
    var counted = (log ?? []).map { (job: $0.job, at: min($0.at, now)) }
    let known = Set(counted.map(\.job))
    for job in own where !known.contains(job.id) && job.at > since {
      // The daemon tells of a submission within a moment. Of an older one that it has not told of it made something else.
      let isUntold = log == nil || !hasDaemon || job.at + .seconds(2) > now
      if isUntold { counted.append((job.id, job.at)) }
    }
    counted.sort { $0.at > $1.at }
    guard counted.count >= limit.rate.limit else { return .allowed }
    let until = counted[limit.rate.limit - 1].at + limit.rate.per
    return until > now ? .refused(until: until) : .allowed
  }

  /// The value a job counts for, as people may see it: the JSON text, cut; nil when the rate goes by none, or the value is
  /// one of those that are hidden.
  package func rateValue(of job: Job) -> String? {
    guard let by = handler(job.type)?.rate?.by, let pointer = JSONPointer(by) else { return nil }
    let shown = redaction(of: job.type).apply(to: job.bytes)
    guard let place = pointer.places(in: shown).last else { return "null" }
    let bytes = Array(shown[place])
    if bytes == Redaction.mask { return nil }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.count > 60 ? text.prefix(59) + "…" : text
  }
}

package struct RateGate: Sendable {
  struct Own: Sendable {
    var id: String
    var at: WallTime
  }

  private struct Key: Hashable {
    var type: String
    var value: UInt64
  }

  private var own: [Key: [Own]] = [:]

  package init() {}

  /// Why a job would be refused now; nil: it would not, as far as can be known, or its type's rate refuses nothing.
  package func refusal(of job: Job, _ reader: SpoolReader) -> (message: String, until: WallTime)? {
    guard let limit = reader.handler(job.type)?.rate, limit.over == .reject else { return nil }
    let key = limit.key(of: job)
    let standing = reader.rateStanding(type: job.type, key: key, own: own[Key(type: job.type, value: key)] ?? [])
    guard case .refused(let until) = standing else { return nil }
    let whose = reader.rateValue(of: job).map { " for \($0)" } ?? ""
    return (
      "\(job.type) takes \(limit.rate.words)\(whose), and that many were submitted; it takes another at "
        + until.rfc3339, until
    )
  }

  /// Whether the id was counted here and still is.
  package func hasCounted(_ job: Job, id: String, _ reader: SpoolReader) -> Bool {
    guard let limit = reader.handler(job.type)?.rate else { return false }
    let since = WallTime(microseconds: reader.now.microseconds - limit.rate.per.inMicroseconds)
    let counted = own[Key(type: job.type, value: limit.key(of: job))] ?? []
    return counted.contains { $0.id == id && $0.at > since }
  }

  /// Counts a job that was submitted; an id once, however often it is sent.
  package mutating func count(_ job: Job, id: String, _ reader: SpoolReader) {
    guard let limit = reader.handler(job.type)?.rate, limit.over == .reject else { return }
    guard !hasCounted(job, id: id, reader) else { return }
    let key = Key(type: job.type, value: limit.key(of: job))
    own[key, default: []].append(Own(id: id, at: reader.now))
    let since = WallTime(microseconds: reader.now.microseconds - limit.rate.per.inMicroseconds)
    if own[key, default: []].count > 2 * limit.rate.limit { own[key]?.removeAll { $0.at <= since } }
  }
}
