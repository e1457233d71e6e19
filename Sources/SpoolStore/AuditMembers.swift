/// What the log knows of a batch: its members and how each came to rest.
package import JobModel

extension AuditReader {
  /// Members of each batch, from their `submitted` lines, with the newest event of each. One pass over the log.
  package static func members(
    of batches: Set<String>, in spool: Spool
  ) throws(SpoolError) -> [String: [String: Flows.ParentState]] {
    guard !batches.isEmpty else { return [:] }
    var newest: [String: Flows.ParentState] = [:]
    var found: [String: [String: Flows.ParentState]] = [:]
    for file in try AuditFile.list(spool).reversed() {
      let map = try MappedFile(file.name, in: spool)
      map.linesBackwards { line in
        guard let head = AuditLineHead(line), let id = head.job else { return true }
        switch head.event {
        case .finished: newest[id] = newest[id] ?? .done
        case .buried, .rejected, .expired, .cancelled, .duplicate: newest[id] = newest[id] ?? .dead
        case .retried, .requeued, .released, .held, .claimed: newest[id] = newest[id] ?? .open
        case .submitted:
          if let batch = (try? JSONReader.parse(Array(line)))?["batch"]?.string, batches.contains(batch) {
            found[batch, default: [:]][id] = newest[id] ?? .open
          }
        default: break
        }
        return true
      }
    }
    return found
  }

  /// How jobs without a file came to rest, by the log: done if they ever finished last, dead otherwise, unknown without a
  /// line.
  package static func ends(of ids: Set<String>, in spool: Spool) throws(SpoolError) -> [String: Flows.ParentState] {
    var states: [String: Flows.ParentState] = [:]
    for (id, trace) in try traces(of: ids, in: spool) {
      guard let settle = trace.settle, let event = settle["event"]?.string.flatMap(AuditEvent.init(rawValue:)) else {
        continue
      }
      states[id] = event == .finished ? .done : event == .retried ? .open : .dead
    }
    return states
  }
}
