/// Whose job it is, and whether the audit log bears out the record it carries. What a file says of itself counts for nothing
/// here.
internal import Glibc
internal import JobModel
internal import SpoolStore

extension Engine {
  /// Whether it is this user's job; the one in `folder`, if that is given.
  func owns(_ id: String, _ uid: UInt32, in folder: JobState? = nil) -> Bool {
    if let attempt = attempt(of: id) {
      return attempt.record.submittedBy?.uid == uid
    }
    guard let state = folder ?? (try? spool.state(of: id)),
      let status = try? spool.syscalls.status(spool.descriptor(state), JobID.fileName(id))
    else { return false }
    if status.uid == uid { return true }
    // Once it was claimed the file may be a copy, and ours; then the record tells whose job it is, if the log bears it out.
    guard status.uid == geteuid(), status.kind == .regular,
      let bytes = try? spool.read(id, in: state, limit: 64 << 20), let job = try? JobScanner.scan(bytes),
      let text = job.recordBytes
    else { return false }
    if proven[id] == nil { prove([id]) }
    return proven[id] == Digest.sha256(text) && job.record?.submittedBy?.uid == uid
  }

  /// Finds out, in one pass over the log, whose records it bears out, and remembers who is not in it: whoever brings such
  /// records by the thousand must not have the log read again for each of their claims.
  func prove(_ ids: [String]) {
    let unknown = Set(ids.filter { proven[$0] == nil })
    guard !unknown.isEmpty, let traces = try? AuditReader.traces(of: unknown, in: spool, index: index) else { return }
    unheardOf.subtract(traces.keys)
    if unheardOf.count < Limits.namesWaiting { unheardOf.formUnion(unknown.lazy.filter { traces[$0] == nil }) }
    for (id, trace) in traces {
      for state in [JobState.new, .dead, .done] {
        guard let bytes = try? spool.read(id, in: state, limit: 64 << 20), let job = try? JobScanner.scan(bytes),
          let text = job.recordBytes
        else { continue }
        if trace.bearsOut(text) { proven[id] = Digest.sha256(text) }
        break
      }
    }
  }
}
