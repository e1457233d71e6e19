/// `GET /v1/jobs`: a page of jobs.
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
      try call.query.expect(parameters.map(\.name))
      let filter = try filter(call.query)
      let identity = call.identity
      let rows = try await call.read { reader in
        try reader.list(filter).filter { identity?.maySee($0.submittedBy) ?? false }
      }
      return call.json { writer in
        writer.beginObject()
        writer.key("jobs")
        writer.beginArray()
        for row in rows { row.write(to: &writer) }
        writer.endArray()
        writer.key("next")
        writer.null()
        writer.key("total")
        writer.int(rows.count)
        writer.key("complete")
        writer.bool(true)
        writer.endObject()
      }
    }
  ]

  static let parameters: [Operation.Parameter] = [
    .init("state", "A folder, a part of new, or an outcome; may be repeated.", schema: words(JobFilter.Place.words)),
    .init("type", "Only this type; may be repeated."),
    .init("tag", "Only with this tag; repeated: with all of them."),
    .init("batch", "Only of this batch."),
    .init("q", "With this text in id, tags, meta or error."),
    .init("from", "Changed since.", schema: #"{"type":"string","format":"date-time"}"#),
    .init("to", "Not changed after that.", schema: #"{"type":"string","format":"date-time"}"#),
    .init("sort", "The order.", schema: words(JobFilter.Sort.allCases.map(\.rawValue))),
    .init("order", "desc, or asc for the other way round.", schema: words(["desc", "asc"])),
    .init("limit", "At most so many; 50 by default.", schema: #"{"type":"integer","minimum":1,"maximum":1000}"#),
  ]

  private static func words(_ words: [String]) -> String {
    #"{"type":"string","enum":[\#(words.map { "\"\($0)\"" }.joined(separator: ","))]}"#
  }

  static func filter(_ query: Query) throws(Problem) -> JobFilter {
    var filter = JobFilter()
    for word in query.all("state") {
      guard let place = JobFilter.Place(word) else {
        throw .parameter("state", "expected one of \(JobFilter.Place.words.joined(separator: ", "))")
      }
      filter.places.append(place)
    }
    filter.types = query.all("type")
    filter.tags = query.all("tag")
    filter.batch = try query.one("batch")
    filter.text = try query.one("q")
    filter.since = try time(query, "from")
    filter.until = try time(query, "to")
    if let word = try query.one("sort") {
      guard let sort = JobFilter.Sort(rawValue: word) else {
        throw .parameter("sort", "expected one of \(JobFilter.Sort.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      filter.sort = sort
    }
    if let word = try query.one("order") {
      guard word == "asc" || word == "desc" else { throw .parameter("order", "expected desc or asc") }
      filter.reversed = word == "asc"
    }
    filter.limit = try query.integer("limit", in: 1...1000) ?? 50
    return filter
  }

  private static func time(_ query: Query, _ name: String) throws(Problem) -> WallTime? {
    guard let text = try query.one(name) else { return nil }
    guard let time = WallTime(rfc3339: text) else {
      throw .parameter(name, "expected RFC 3339 with offset, such as 2026-11-21T09:00:00Z")
    }
    return time
  }
}
