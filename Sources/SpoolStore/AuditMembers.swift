/// What the log knows of a batch: its members and how each came to rest.
package import JobModel

extension AuditReader {
  /// Members of each batch, from their `submitted` lines, with the newest event of each.
  ///
  /// - Parameter index: one that is open already.
  package static func members(
    of batches: Set<String>, in spool: Spool, index: AuditIndex? = nil
  ) throws(SpoolError) -> [String: [String: Flows.ParentState]] {
    guard !batches.isEmpty else { return [:] }
    let index = try AuditIndex.open(index, spool)
    let members = try index.members(of: batches)
    var newest: [String: Flows.ParentState] = [:]
    var all = Set<String>()
    for ids in members.values { all.formUnion(ids) }
    try index.lines(about: all) { id, head, _ in
      switch head.event {
      case .finished: newest[id] = .done
      case .buried, .rejected, .expired, .cancelled, .duplicate: newest[id] = .dead
      case .retried, .requeued, .released, .held, .claimed, .submitted: newest[id] = .open
      default: return true
      }
      return false
    }
    return members.mapValues { ids in
      Dictionary(uniqueKeysWithValues: ids.map { ($0, newest[$0] ?? .open) })
    }
  }

  /// How jobs without a file came to rest, by the log: done if they ever finished last, dead otherwise, unknown without a
  /// line.
  package static func ends(
    of ids: Set<String>, in spool: Spool, index: AuditIndex? = nil
  ) throws(SpoolError) -> [String: Flows.ParentState] {
    var states: [String: Flows.ParentState] = [:]
    for (id, trace) in try traces(of: ids, in: spool, index: index) {
      guard let settle = trace.settle, let event = settle["event"]?.string.flatMap(AuditEvent.init(rawValue:)) else {
        continue
      }
      states[id] = event == .finished ? .done : event == .retried ? .open : .dead
    }
    return states
  }
}
