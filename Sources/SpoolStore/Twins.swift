/// Twins: a file dropped under an id that is running, held or done. It is claimed under a fresh id and judged at once: the
/// same bytes as were dropped before are the same job once more and are discarded; anything else is another job that
/// took the name, and goes to `dead/` as a duplicate. Either way the first one is left alone.
internal import CSpoolShims
package import JobModel

extension Transitions {
  /// Claims `new/ID.json` under a fresh id. The `claimed` line with the id it was dropped under is durable before the
  /// rename: neither a crash nor a power cut may leave a file in `cur/` that looks like a job of its own and would run.
  package func claimTwin(_ id: String, at time: WallTime, limit: Int) throws(SpoolError) -> Claim? {
    let fresh = JobID.make(at: time, random: (spool_random(), spool_random()))
    try audit.append(.claimed, at: time, job: fresh, from: .new, to: .cur) { writer in
      writer.key("twin_of")
      writer.string(id)
    }
    try audit.commit()
    return try claim(id, as: fresh, limit: limit)
  }

  /// How a claimed twin ends, given the hash of what was dropped first (nil: not known, or never was).
  package func judge(twin claim: consuming Claim, first: String?, at time: WallTime, by submitter: JobRecord.Submitter?)
    -> Settlement
  {
    let twinOf = claim.twinOf ?? claim.id
    var record = JobRecord(id: claim.id, state: .dead, submittedAt: claim.firstSeen, updatedAt: time, node: node)
    record.outcome = .duplicate
    record.twinOf = twinOf
    record.sha256 = claim.sha256
    record.submittedBy = submitter
    record.finishedAt = time
    record.error = JobError(
      code: "duplicate", message: "the id \(twinOf) was taken by another job; drop it again under a new id",
      details: Array("{\"twin_of\":\"\(twinOf)\"}".utf8))
    let isSame = first != nil && first == claim.sha256
    return Settlement(claim, isSame ? .discardTwin : .refuseTwin, record)
  }

  /// The hash of what was dropped under `id` and now lies in `state`.
  package func droppedHash(_ id: String, in state: JobState, limit: Int) throws(SpoolError) -> String? {
    // A finished job may have grown by its result.
    guard let bytes = try spool.read(id, in: state, limit: limit * 4 + (8 << 20)), let job = try? JobScanner.scan(bytes)
    else { return nil }
    return job.record?.sha256 ?? Digest.sha256(job.original)
  }
}
