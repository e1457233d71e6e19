/// Limits that go by a job's own values, and what they know from before a restart.
internal import JobModel
internal import SpoolStore

extension Engine {
  /// The values a waiting job's limits go by.
  func keys(of job: Job) -> Agenda.Keys {
    guard let handler = settings.handlers[job.type] else { return .none }
    var keys = Agenda.Keys()
    if let pointer = handler.serialBy { keys.serial = LimitKey.of(job.value(at: pointer)) }
    if let rate = handler.rate, rate.over == .wait { keys.rate = rate.key(of: job) }
    return keys
  }

  /// The key a `submitted` line has to name for the rate to survive a restart; nil when the type's rate does not count
  /// submissions.
  func submissionKey(of job: Job) -> UInt64? {
    guard let rate = settings.handlers[job.type]?.rate, rate.over == .reject else { return nil }
    return rate.key(of: job)
  }

  /// Counts a submission; when it is one too many, says when another would be taken.
  func refusal(_ type: String, key: UInt64, at now: WallTime) -> WallTime? {
    guard let rate = settings.handlers[type]?.rate?.rate else { return nil }
    if submissions[type]?.rate != rate { submissions[type] = RateWindow(rate) }
    if let until = submissions[type]?.next(key, now: now) { return until }
    // In place: a copy of a window of many values for each submission would cost more than all else.
    submissions[type]?.count(key, at: now)
    return nil
  }

  /// Reads back from the log what rates have to remember: all at the start, those that were changed later.
  ///
  /// - Parameter types: nil: all.
  func rebuildRates(of types: Set<String>? = nil, now: WallTime) throws(SpoolError) {
    // What was counted in this turn is to be found there too.
    try transitions.audit.flush()
    for type in types ?? [] {
      submissions[type] = nil
      agenda.forgetStarts(type)
    }
    let rated = settings.handlers.values.compactMap { handler in handler.rate.map { (handler.type, $0) } }
      .filter { types?.contains($0.0) ?? true }
    guard let longest = rated.map({ $0.1.rate.per }).max() else { return }
    let oldest = WallTime(microseconds: now.microseconds - longest.inMicroseconds)
    for (type, rate) in rated where rate.over == .reject { submissions[type] = RateWindow(rate.rate) }
    let names = Set(rated.map(\.0))
    for file in try AuditFile.list(spool).reversed() {
      var isOver = false
      try MappedFile(file.name, in: spool).linesBackwards { line in
        guard line.count > 31, let time = WallTime(rfc3339: String(decoding: line[7..<31], as: UTF8.self)) else {
          return true
        }
        isOver = time < oldest
        // Most lines have no such key, and parsing is what costs.
        guard !isOver, RateTrail.mayCount(line), let event = AuditLineHead(line)?.event,
          event == .claimed || event == .submitted, let value = try? JSONReader.parse(Array(line)),
          let type = value["type"]?.string, names.contains(type),
          let key = value["rate_key"]?.string.flatMap({ UInt64($0, radix: 16) })
        else { return !isOver }
        // Counted by a clock that was set back since.
        let counted = min(time, now)
        if event == .claimed { agenda.countStart(type, key: key, at: counted) }
        if event == .submitted { submissions[type]?.count(key, at: counted) }
        return true
      }
      if isOver { break }
    }
  }

  // MARK: For status.json

  func writeCircuit(_ failures: Int, _ until: WallTime?, to writer: inout JSONWriter) {
    writer.key("circuit")
    writer.beginObject()
    writer.key("failures")
    writer.int(failures)
    if let until {
      writer.key("until")
      writer.time(until)
    }
    writer.endObject()
  }

  /// A type's rate, and some of the values it has no room for now.
  func writeRate(of type: String, to writer: inout JSONWriter) {
    guard let limit = settings.handlers[type]?.rate else { return }
    let now = effects.now()
    let full =
      switch limit.over {
      case .wait: agenda.refusedValues(agenda.number(of: type), Limits.rateValuesPublished, now: now)
      case .reject: submissions[type]?.refusing(Limits.rateValuesPublished, now: now) ?? []
      }
    writer.key("rate")
    writer.beginObject()
    writer.key("limit")
    writer.int(limit.rate.limit)
    writer.key("per")
    writer.string(DurationText.format(limit.rate.per))
    writer.key("over")
    writer.string(limit.over.rawValue)
    writer.key("full")
    writer.beginObject()
    for value in full {
      writer.key(escaping: String(value.key, radix: 16))
      writer.time(value.until)
    }
    writer.endObject()
    writer.endObject()
  }
}
