/// Reports and numbers for programs. Durations are milliseconds.
package import JobModel

extension Rollup.OfType {
  /// The numbers as an open object: the caller ends it.
  package func writeFields(to writer: inout JSONWriter) {
    for (key, value) in [
      ("submitted", submitted), ("requeued", requeued), ("started", started), ("done", done), ("failed", failed),
      ("otherwise", otherwise), ("retried", retried), ("stalled", stalled),
    ] {
      writer.key(escaping: key)
      writer.int(value)
    }
    writer.key("outcomes")
    writer.beginObject()
    for outcome in JobOutcome.allCases {
      writer.key(escaping: outcome.rawValue)
      writer.int(ends[outcome] ?? 0)
    }
    writer.endObject()
    writer.key("success")
    write(success, &writer)
    writer.key("sla")
    writer.beginObject()
    writer.key("kept")
    writer.int(slaKept)
    writer.key("missed")
    writer.int(slaMissed)
    writer.key("share")
    write(slaShare, &writer)
    writer.endObject()
    writer.key("run_ms")
    write(run, &writer)
    writer.key("wait_ms")
    write(wait, &writer)
  }

  private func write(_ share: Double?, _ writer: inout JSONWriter) {
    if let share { writer.double(share) } else { writer.null() }
  }

  private func write(_ histogram: Histogram, _ writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("count")
    writer.int(histogram.count)
    let longest: Duration? = histogram.count == 0 ? nil : .microseconds(histogram.longest)
    for (key, value) in [
      ("mean", histogram.mean), ("p50", histogram.percentile(0.5)), ("p95", histogram.percentile(0.95)),
      ("max", longest),
    ] {
      writer.key(escaping: key)
      if let value { writer.double(Double(value.inMicroseconds) / 1000) } else { writer.null() }
    }
    writer.endObject()
  }
}

extension Numbers {
  /// The total of all types, with its beginning.
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("since")
    writer.time(since)
    rollup.total.writeFields(to: &writer)
    writer.endObject()
  }
}

extension Report {
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("title")
    writer.string(title)
    writer.key("since")
    writer.time(numbers.since)
    writer.key("until")
    writer.time(until)
    writer.key("whole_days")
    writer.bool(numbers.isRounded)
    writer.key("waiting")
    writer.int(waiting)
    writer.key("total")
    write(numbers.rollup.total, room: maxJobs, &writer)
    writer.key("types")
    writer.beginObject()
    for (name, type) in types {
      writer.key(escaping: name)
      write(type, room: concurrency[name], &writer)
    }
    writer.endObject()
    writer.key("errors")
    writer.beginArray()
    for (kind, times) in numbers.rollup.errorsByCount.prefix(Report.errorsShown) {
      writer.beginObject()
      writer.key("type")
      writer.string(kind.type)
      writer.key("code")
      writer.string(kind.code)
      writer.key("message")
      writer.string(kind.message)
      writer.key("count")
      writer.int(times)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
  }

  private func write(_ type: Rollup.OfType, room: Int?, _ writer: inout JSONWriter) {
    writer.beginObject()
    type.writeFields(to: &writer)
    let capacity = capacity(type)
    writer.key("capacity")
    writer.beginObject()
    for (key, value) in [
      ("arrivals_per_hour", capacity.arrivalsPerHour), ("completions_per_hour", capacity.completionsPerHour),
      ("concurrency_needed", capacity.needed), ("concurrency_used", capacity.busy),
    ] {
      writer.key(escaping: key)
      if let value { writer.double((value * 1000).rounded() / 1000) } else { writer.null() }
    }
    writer.key("concurrency")
    if let room { writer.int(room) } else { writer.null() }
    writer.endObject()
    writer.endObject()
  }
}
