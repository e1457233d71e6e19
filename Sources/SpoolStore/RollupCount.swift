/// Counts the lines of the audit log. Each line says by itself what it adds, so a day can be counted without the days
/// before it, and counting it again gives the same.
package import JobModel

package struct RollupCount: Sendable {
  package private(set) var rollup = Rollup()
  /// Lines before are left out; nil: none are.
  private let since: WallTime?

  package init(since: WallTime? = nil) { self.since = since }

  package mutating func take(_ line: UnsafeRawBufferPointer) {
    guard let line = AuditLine(line), line.job != nil, since.map({ line.time >= $0 }) ?? true else { return }
    let type = line.type ?? ""
    switch line.event {
    case .submitted: rollup.count(type) { $0.submitted += 1 }
    case .requeued: rollup.count(type) { $0.requeued += 1 }
    case .stalled: rollup.count(type) { $0.stalled += 1 }
    case .claimed:
      rollup.count(type) {
        $0.started += 1
        if let wait = line.number(",\"wait_us\":") { $0.wait.add(microseconds: wait) }
      }
    case .retried:
      rollup.count(type) { $0.retried += 1 }
      countRun(line, type)
      countError(line, type)
    case .finished, .buried, .rejected, .expired, .cancelled, .duplicate: countEnd(line, type)
    default: break
    }
  }

  private mutating func countEnd(_ line: AuditLine, _ type: String) {
    let record = line.event == .rejected || line.event == .buried || line.event == .expired ? line.record : nil
    let outcome: JobOutcome =
      switch line.event {
      case .finished: .done
      case .buried: .failed
      case .expired: .expired
      case .cancelled: .cancelled
      case .duplicate: .duplicate
      // Too many submissions are refused with the same event; the record tells.
      default: record?["outcome"]?.string.flatMap(JobOutcome.init(rawValue:)) ?? .rejected
      }
    rollup.count(type) {
      $0.ends[outcome, default: 0] += 1
      if line.has(",\"sla\":\"kept\"") { $0.slaKept += 1 }
      if line.has(",\"sla\":\"missed\"") { $0.slaMissed += 1 }
    }
    countRun(line, type)
    if outcome != .done, outcome != .cancelled, outcome != .duplicate { countError(record, type) }
  }

  private mutating func countRun(_ line: AuditLine, _ type: String) {
    if let run = line.number(",\"run_us\":") { rollup.count(type) { $0.run.add(microseconds: run) } }
  }

  private mutating func countError(_ line: AuditLine, _ type: String) { countError(line.record, type) }

  private mutating func countError(_ record: JSONValue?, _ type: String) {
    let error = record?["error"].flatMap(JobError.init)
    rollup.count(
      Rollup.ErrorKind(
        type: type, code: error?.code ?? "unknown",
        message: Rollup.folded(error?.message ?? "its record is too large for the log")))
  }
}
