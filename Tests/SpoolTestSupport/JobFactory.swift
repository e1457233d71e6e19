/// Jobs, records and random numbers for tests. Everything is fixed or comes from a seed, so that a failure can be had again.
package import JobModel

package enum JobFactory {
  /// The moment at which tests take place.
  package static let now = WallTime(seconds: 1_795_248_000)  // 2026-11-21T08:00:00Z

  package static func later(_ seconds: Int64) -> WallTime {
    WallTime(microseconds: now.microseconds + seconds * 1_000_000)
  }

  package static func json(type: String = "demo", payload: String = "{\"n\":1}", more: String = "") -> String {
    "{\"type\":\"\(type)\",\"payload\":\(payload)\(more)}\n"
  }

  package static func record(_ id: String, _ state: JobState, _ outcome: JobOutcome? = nil) -> JobRecord {
    var record = JobRecord(id: id, state: state, submittedAt: now, updatedAt: now, node: "node-a")
    record.outcome = outcome
    if outcome != nil { record.finishedAt = now }
    return record
  }

  package static func attempt(_ n: Int, _ outcome: AttemptOutcome) -> JobRecord.Attempt {
    JobRecord.Attempt(n: n, startedAt: now, endedAt: later(1), outcome: outcome)
  }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
package struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  package init(_ seed: UInt64) { state = seed }
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
