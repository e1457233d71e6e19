/// A job file, read. What the producer wrote is never changed: `bytes` keeps it, and `completed(with:)` only puts the
/// daemon's record in before the closing brace.
///
/// Format version 1. A later version adds keys, raises `v` and keeps reading this one; `Tests/Fixtures/spool-v1` must
/// always open.
package struct Job: Sendable, Equatable {
  /// Where the file says a job may start.
  package enum Start: Sendable, Equatable {
    case now
    case at(WallTime)
    /// Counted from when it was first seen.
    case after(Duration)
  }

  package enum Parent: Sendable, Equatable {
    case job(String)
    case batch(String)
  }

  package enum OnParentDead: String, Sendable { case bury, run }

  package var bytes: [UInt8]
  package var id: String?
  package var type: String
  /// Where in `bytes` the payload lies; nil: none given, which handlers see as null.
  package var payload: Range<Int>?
  package var priority: UInt8 = 5
  package var start = Start.now
  package var expiresAt: WallTime?
  package var maxAttempts: Int?
  package var spacing: RetryPolicy.Spacing?
  package var timeout: Duration?
  package var after: [Parent] = []
  package var onParentDead = OnParentDead.bury
  package var batch: String?
  package var parent: String?
  package var tags: [String] = []
  /// Where `meta` lies in `bytes`.
  package var meta: Range<Int>?
  /// The occasions on which notices are raised for it, whatever `on` says; nil: as `on` says.
  package var notify: [String]?
  package var record: JobRecord?
  /// The token's subject, when the file came with nothing but that for a record: the web program names whom it submits for.
  /// Counts only by the file's owner.
  package var subject: String?
  /// Where the record's own text lies in `bytes`.
  package var recordText: Range<Int>?
  /// Where a record goes: the end of what the producer wrote before the closing brace.
  package var head: Int
  /// The closing brace.
  package var tail: Int
  /// Nothing but the record is in the object.
  package var isBare = false

  package init(bytes: [UInt8], type: String, head: Int, tail: Int) {
    self.bytes = bytes
    self.type = type
    self.head = head
    self.tail = tail
  }

  package var payloadBytes: ArraySlice<UInt8> {
    payload.map { bytes[$0] } ?? ArraySlice("null".utf8)
  }

  /// The text from `head` on, with the record in it: what is written over the end of the file.
  package func ending(with record: JobRecord) -> [UInt8] { ending(record: record.json) }

  /// The same with the record's text.
  package func ending(record: [UInt8]) -> [UInt8] {
    Job.ending(record: record, after: isBare, tail: bytes[tail...])
  }

  package static func ending(record: [UInt8], after isBare: Bool, tail: some Collection<UInt8>) -> [UInt8] {
    var ending: [UInt8] = []
    ending.reserveCapacity(record.count + tail.count + 16)
    if !isBare { ending.append(UInt8(ascii: ",")) }
    ending.append(contentsOf: "\"jobspool\":".utf8)
    ending.append(contentsOf: record)
    ending.append(contentsOf: tail)
    return ending
  }

  /// The whole file with the record in it.
  package func completed(with record: JobRecord) -> [UInt8] {
    Array(bytes[..<head]) + ending(with: record)
  }

  package var recordBytes: [UInt8]? { recordText.map { Array(bytes[$0]) } }

  /// What the producer wrote, without any record.
  package var original: [UInt8] { Array(bytes[..<head]) + bytes[tail...] }

  /// The new object that stands for a file whose bytes lie beside it as `ID.bad`.
  package static func bare(record: JobRecord) -> [UInt8] {
    [UInt8(ascii: "{")] + ending(record: record.json, after: true, tail: "}\n".utf8)
  }

  /// When it may start, given when it was first seen. The record's time wins; a requeued job is due at once.
  ///
  /// - Parameter now: a wait counted from some moment never lasts longer than it was meant to from now, whatever became of
  ///   the clock since. A time the producer named stays what it is.
  package func due(firstSeen: WallTime, now: WallTime = .latest) -> WallTime {
    if let record {
      if let runAt = record.runAt { return min(runAt, now + max(.zero, runAt - record.updatedAt)) }
      if record.spent { return min(firstSeen, now) }
    }
    switch start {
    case .now: return min(firstSeen, now)
    case .at(let time): return time
    case .after(let delay): return min(record?.submittedAt ?? firstSeen, now) + delay
    }
  }

  /// Whether its start counts from when it was first seen.
  package var isDelayed: Bool { if case .after = start { true } else { false } }

  /// The moment before which it must not start, for a file that its owner may have replaced since it was looked at. One
  /// with a record was written by us, and what it says was weighed with the clock when it was looked at.
  package var notBefore: WallTime? {
    if record == nil, case .at(let time) = start { return time }
    return nil
  }

  /// The moment after which it must not start any more.
  package var expiry: WallTime? { record?.spent == true ? nil : expiresAt }

  /// The retry rules of this job: the handler's, with what the job overrides.
  package func retryPolicy(_ handler: RetryPolicy) -> RetryPolicy {
    var policy = handler
    if let spacing {
      policy.spacing = spacing
      if case .delays(let delays) = spacing { policy.maxAttempts = delays.count + 1 }
    }
    if let maxAttempts { policy.maxAttempts = maxAttempts }
    return policy
  }
}

extension Job {
  /// The value at a JSON pointer into the job, such as `/payload/userId`; nil when it is absent.
  package func value(at pointer: String) -> JSONValue? {
    guard let pointer = JSONPointer(pointer), let value = try? JSONReader.parse(bytes) else { return nil }
    var found: JSONValue? = value
    for token in pointer.tokens {
      if let elements = found?.array {
        found = Int(token).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
      } else {
        found = found?[token]
      }
    }
    return found
  }
}

extension Job {
  /// The same job with another payload, as if it had been written so; for one that has a payload.
  package func replacing(payload new: [UInt8]) -> Job {
    guard let old = payload else { return self }
    let added = new.count - old.count
    func moved(_ offset: Int) -> Int { offset >= old.upperBound ? offset + added : offset }
    func moved(_ range: Range<Int>) -> Range<Int> { moved(range.lowerBound)..<moved(range.upperBound) }
    var job = self
    job.bytes.replaceSubrange(old, with: new)
    job.payload = old.lowerBound..<old.lowerBound + new.count
    job.meta = meta.map { moved($0) }
    job.recordText = recordText.map { moved($0) }
    job.head = moved(head)
    job.tail = moved(tail)
    return job
  }
}
