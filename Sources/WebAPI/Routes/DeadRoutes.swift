/// `/v1/dead`: what lies in dead/, by what went wrong, with the filter that finds each group again.
internal import Hummingbird
internal import JobModel
internal import SpoolHistory

enum DeadRoutes {
  private static let most = 200

  static let all: [Route] = [
    Route(
      .get, "/v1/dead", .read,
      Operation(
        "listDead", "Dead jobs by type and error, the largest group first.",
        answers: [(200, "The groups.", [.ref("DeadGroups")])])
    ) { call in
      try call.query.expect([])
      let (found, _) = try await call.state.history { index, _, now in index.deadGroups(limit: most, now: now) }
      return call.json { writer in
        writer.beginObject()
        writer.key("groups")
        writer.beginArray()
        for group in found.groups { write(group, &writer) }
        writer.endArray()
        writer.key("total")
        writer.int(found.total)
        writer.endObject()
      }
    }
  ]

  private static func write(_ group: DeadGroup, _ writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("type")
    if group.type.isEmpty { writer.null() } else { writer.string(group.type) }
    writer.key("error")
    writer.string(group.message)
    writer.key("code")
    writer.string(group.code)
    writer.key("count")
    writer.int(group.count)
    writer.key("newest_at")
    writer.time(group.newest)
    writer.key("oldest_at")
    writer.time(group.oldest)
    writer.key("sample")
    group.sample.write(to: &writer)
    writer.key("filter")
    writer.beginObject()
    writer.key("state")
    writer.string(group.name == nil ? group.code : "dead")
    if !group.type.isEmpty {
      writer.key("type")
      writer.string(group.type)
    }
    if let name = group.name {
      writer.key("error_group")
      writer.string(name)
    }
    writer.endObject()
    writer.endObject()
  }
}
