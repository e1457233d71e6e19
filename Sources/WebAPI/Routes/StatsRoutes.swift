/// `GET /v1/stats`: how it went: today, the last week by the day, the last hour by the minute, by type, and the machine.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolHistory

enum StatsRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/stats", .read,
      Operation(
        "getStats", "Today, success, run and wait times of the last seven days, by day, minute and type; the machine.",
        answers: [(200, "The figures.", [.ref("Stats")])])
    ) { call in
      try call.query.expect([])
      let machine = try await call.state.blocking { [spool = call.state.spool] in Machine.now(spool) }
      let (bytes, _) = try await call.state.history { index, _, now in StatsRoutes.json(index, machine, now: now) }
      return call.json(.ok, bytes)
    }
  ]

  private static func json(_ index: HistoryIndex, _ machine: Machine, now: WallTime) -> [UInt8] {
    var writer = JSONWriter(reserving: 8192)
    let today = now.wholeSeconds / 86_400
    let week = index.rollup(from: today - 6, to: today)
    let total = week.total
    writer.beginObject()
    writer.key("today")
    write(index.rollup(from: today, to: today).total, to: &writer)
    writer.key("success_rate")
    if let success = total.success { writer.double(success) } else { writer.null() }
    writer.key("run")
    write(total.run, to: &writer)
    writer.key("wait")
    write(total.wait, to: &writer)
    writer.key("days")
    writer.beginArray()
    for (day, total) in index.days(7, now: now) {
      writer.beginObject()
      writer.key("day")
      writer.string(day)
      writeCounts(total, to: &writer)
      writer.endObject()
    }
    writer.endArray()
    writer.key("minutes")
    writer.beginArray()
    for minute in index.minutes(now: now) {
      writer.beginObject()
      writer.key("t")
      writer.time(minute.time)
      writer.key("done")
      writer.int(minute.done)
      writer.key("dead")
      writer.int(minute.dead)
      writer.endObject()
    }
    writer.endArray()
    writer.key("system")
    machine.write(to: &writer)
    writer.key("types")
    writer.beginArray()
    for (name, type) in week.types.sorted(by: { $0.key < $1.key }) {
      writer.beginObject()
      writer.key("type")
      writer.string(name)
      writeCounts(type, to: &writer)
      writer.key("success_rate")
      if let success = type.success { writer.double(success) } else { writer.null() }
      write("run_p50_s", type.run.percentile(0.5), to: &writer)
      write("run_p95_s", type.run.percentile(0.95), to: &writer)
      write("wait_p50_s", type.wait.percentile(0.5), to: &writer)
      writer.endObject()
    }
    writer.endArray()
    write(index.shape(now: now), to: &writer)
    writer.endObject()
    return writer.bytes
  }

  static func write(_ total: Rollup.OfType, to writer: inout JSONWriter) {
    writer.beginObject()
    writeCounts(total, to: &writer)
    writer.key("retried")
    writer.int(total.retried)
    writer.endObject()
  }

  private static func writeCounts(_ total: Rollup.OfType, to writer: inout JSONWriter) {
    writer.key("submitted")
    writer.int(total.submitted)
    writer.key("done")
    writer.int(total.done)
    writer.key("dead")
    writer.int(total.ended - total.done)
  }

  private static func write(_ spread: Histogram, to writer: inout JSONWriter) {
    writer.beginObject()
    write("mean_s", spread.mean, to: &writer)
    write("p50_s", spread.percentile(0.5), to: &writer)
    write("p95_s", spread.percentile(0.95), to: &writer)
    writer.endObject()
  }

  private static func write(_ key: StaticString, _ duration: Duration?, to writer: inout JSONWriter) {
    writer.key(key)
    if let duration { writer.double(QueueView.seconds(duration)) } else { writer.null() }
  }

  private static func write(_ shape: Shape, to writer: inout JSONWriter) {
    writer.key("shape")
    writer.beginObject()
    writer.key("columns")
    writer.beginArray()
    for minutes in Shape.minutes { writer.string("<\(minutes)m") }
    writer.string("older")
    writer.endArray()
    writer.key("rows")
    writer.beginArray()
    for (type, counts) in shape.byCount {
      writer.beginObject()
      writer.key("type")
      writer.string(type)
      writer.key("counts")
      writer.beginArray()
      for count in counts { writer.int(count) }
      writer.endArray()
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
  }
}
