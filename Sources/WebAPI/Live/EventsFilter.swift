/// The `filter` of a subscription: the parameters of `GET /v1/jobs` that choose jobs, as members of an object.
internal import JobModel
internal import SpoolHistory

enum EventsFilter {
  /// Values are a text, or a list of texts where a parameter may be repeated.
  static func query(_ value: JSONValue?) throws(Problem) -> HistoryQuery {
    guard let value else { return HistoryQuery() }
    if case .null = value { return HistoryQuery() }
    guard let members = value.members else { throw .parameter("filter", "expected an object") }
    var items: [Query.Item] = []
    for member in members {
      let values = member.value.array ?? [member.value]
      for value in values {
        guard let text = value.string ?? value.int.map({ "\($0)" }) else {
          throw .parameter("filter.\(member.key.prefix(64))", "expected a text or a list of texts")
        }
        items.append(.init(name: member.key, value: text))
      }
    }
    let query = Query(items: items)
    try query.expect(names)
    return try JobListRoutes.query(query)
  }

  static let names = [
    "state", "type", "tag", "batch", "parent", "schedule", "submitted_by", "meta.", "q", "from", "to",
  ]
}
