/// `GET /v1/jobs`: a page of jobs, from the index, by filters that are checked: a misspelled one is an error, not none.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolHistory

enum JobListRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/jobs", .own,
      Operation(
        "listJobs", "Jobs, the newest change first.", parameters: parameters,
        answers: [(200, "A page of them.", [.ref("JobList")])])
    ) { call in
      try call.query.expect(parameters.map(\.name) + ["meta."])
      var query = try query(call.query)
      guard let identity = call.identity else { throw Problem(.unauthorized, "no_token", "send a token") }
      if identity.role == .producer {
        query.subject = identity.subject
        guard !identity.subject.isEmpty else {
          throw Problem(.forbidden, "forbidden", "a producer sees its own jobs, and this token has no subject")
        }
      }
      let asked = query
      let (page, isComplete): (HistoryPage, Bool)
      if let text = try call.query.one("q_payload"), !text.isEmpty {
        (page, isComplete) = try await PayloadSearch(text, asked).run(call)
      } else {
        (page, isComplete) = try await call.state.history { index, status, now in
          index.page(asked, status: status, now: now)
        }
      }
      return call.json { writer in
        writer.beginObject()
        writer.key("jobs")
        writer.beginArray()
        // A user may bear the name of a subject.
        for row in page.rows where identity.maySee(row.submittedBy) { row.write(to: &writer) }
        writer.endArray()
        writer.key("next")
        if let next = page.next { writer.string(next.text) } else { writer.null() }
        writer.key("total")
        writer.int(page.total)
        writer.key("complete")
        writer.bool(isComplete)
        writer.endObject()
      }
    }
  ]

  private static let time = #"{"type":"string","format":"date-time"}"#

  static let parameters: [Operation.Parameter] =
    filters + [
      .init(
        "q_payload", "With this text in the payload; opens files, only so many, and may then say `complete: false`."),
      .init("sort", "The order.", schema: words(JobFilter.Sort.allCases.map(\.rawValue))),
      .init(
        "order", "By default `desc`, newest or longest first; for priority and state `asc`, the most urgent (0) first.",
        schema: words(["desc", "asc"])),
      .init("limit", "At most so many; 50 by default.", schema: #"{"type":"integer","minimum":1,"maximum":1000}"#),
      .init("cursor", "Where the page before ended: its `next`."),
    ]

  /// What chooses jobs, here and for verbs on many.
  static let filters: [Operation.Parameter] = [
    .init("state", "A folder, a part of new, or an outcome.", schema: words(JobFilter.Place.words), repeated: true),
    .init("type", "Only these types.", repeated: true),
    .init("tag", "Only with all of these tags.", repeated: true),
    .init("batch", "Only of these batches.", repeated: true),
    .init("parent", "Only what these jobs submitted.", repeated: true),
    .init("schedule", "Only what these schedules made.", repeated: true),
    .init("submitted_by", "A user's name, or a token's subject.", repeated: true),
    .init("q", "With this text in id, tags, meta or error."),
    .init("from", "Changed (or whatever `sort` is about) since.", schema: time),
    .init("to", "Not after that.", schema: time),
    .init("error_group", "A group of `/v1/dead`."),
  ]

  private static func words(_ words: [String]) -> String {
    #"{"type":"string","enum":[\#(words.map { "\"\($0)\"" }.joined(separator: ","))]}"#
  }

  static func query(_ items: Query) throws(Problem) -> HistoryQuery {
    var query = HistoryQuery()
    for word in items.all("state") {
      guard let place = JobFilter.Place(word) else {
        throw .parameter("state", "expected one of \(JobFilter.Place.words.joined(separator: ", "))")
      }
      query.places.append(place)
    }
    query.types = items.all("type")
    query.tags = items.all("tag")
    query.batches = items.all("batch")
    query.parents = items.all("parent")
    query.schedules = items.all("schedule")
    query.submitters = items.all("submitted_by")
    query.meta = items.items.filter { $0.name.hasPrefix("meta.") }.map {
      HistoryQuery.MetaMember(key: String($0.name.dropFirst(5)), value: $0.value)
    }
    query.text = try items.one("q")
    query.from = try time(items, "from")
    query.until = try time(items, "to")
    query.errorGroup = try items.one("error_group")
    if let word = try items.one("sort") {
      guard let sort = JobFilter.Sort(rawValue: word) else {
        throw .parameter("sort", "expected one of \(JobFilter.Sort.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      query.sort = sort
    }
    if let word = try items.one("order") {
      guard word == "asc" || word == "desc" else { throw .parameter("order", "expected desc or asc") }
      query.ascending = word == "asc"
    }
    query.limit = try items.integer("limit", in: 1...1000) ?? 50
    if let text = try items.one("cursor") {
      guard let cursor = HistoryCursor(text, for: query) else {
        throw .parameter("cursor", "this is no cursor of such a list; take it from `next` and keep sort and order")
      }
      query.cursor = cursor
    }
    return query
  }

  private static func time(_ items: Query, _ name: String) throws(Problem) -> WallTime? {
    guard let text = try items.one(name) else { return nil }
    guard let time = WallTime(rfc3339: text) else {
      throw .parameter(name, "expected RFC 3339 with offset, such as 2026-11-21T09:00:00Z")
    }
    return time
  }
}
