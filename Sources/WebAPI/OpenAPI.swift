/// `/openapi.json`, made from the routes' own declarations and the schemas in `Schemas`.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel

enum OpenAPI {
  static let all: [Route] = [
    Route(
      .get, "/openapi.json", .open,
      Operation("openapi", "This document.", answers: [(200, "OpenAPI 3.1.", [.json(#"{"type":"object"}"#)])])
    ) { call in
      call.respond(type: "application/json", document, tag: tag)
    }
  ]

  static let document = make(RouteTable.all)
  private static let tag = EntityTag.make(document)

  static func make(_ routes: [Route]) -> [UInt8] {
    var writer = JSONWriter(reserving: 64 << 10)
    writer.beginObject()
    writer.key("openapi")
    writer.string("3.1.0")
    writer.key("info")
    writer.beginObject()
    writer.key("title")
    writer.string("jobspool")
    writer.key("version")
    writer.string(jobspoolVersion)
    writer.key("description")
    writer.string("A job queue that is a directory. Times are RFC 3339 in UTC, durations seconds.")
    writer.endObject()
    writer.key("paths")
    writer.beginObject()
    var paths: [String] = []
    for route in routes where !paths.contains(route.path) { paths.append(route.path) }
    for path in paths {
      writer.key(escaping: path)
      writer.beginObject()
      for route in routes where route.path == path { write(route, &writer) }
      writer.endObject()
    }
    writer.endObject()
    writer.key("components")
    writer.beginObject()
    writer.key("securitySchemes")
    writer.raw(#"{"token":{"type":"http","scheme":"bearer","bearerFormat":"JWT"}}"#.utf8)
    writer.key("schemas")
    writer.beginObject()
    for (name, schema) in Schemas.all {
      writer.key(escaping: name)
      writer.raw(schema.utf8)
    }
    writer.endObject()
    writer.endObject()
    writer.endObject()
    return writer.bytes
  }

  private static func write(_ route: Route, _ writer: inout JSONWriter) {
    let operation = route.operation
    writer.key(escaping: route.method.rawValue.lowercased())
    writer.beginObject()
    writer.key("operationId")
    writer.string(operation.id)
    writer.key("summary")
    writer.string(operation.summary)
    writer.key("x-access")
    writer.string(route.access.rawValue)
    writer.key("security")
    writer.raw((route.access == .open ? "[]" : #"[{"token":[]}]"#).utf8)
    if !operation.parameters.isEmpty {
      writer.key("parameters")
      writer.beginArray()
      for parameter in operation.parameters { write(parameter, &writer) }
      writer.endArray()
    }
    if !operation.body.isEmpty {
      writer.key("requestBody")
      writer.beginObject()
      writer.key("required")
      writer.bool(true)
      write(operation.body, &writer)
      writer.endObject()
    }
    writer.key("responses")
    writer.beginObject()
    for answer in operation.answers {
      writer.key(escaping: "\(answer.status)")
      writer.beginObject()
      writer.key("description")
      writer.string(answer.about)
      if !answer.content.isEmpty { write(answer.content, &writer) }
      writer.endObject()
    }
    for status in problems(route) where !operation.answers.contains(where: { $0.status == status }) {
      writer.key(escaping: "\(status)")
      writer.beginObject()
      writer.key("description")
      writer.string(HTTPResponse.Status(code: status).reasonPhrase)
      write([.init("application/problem+json", ##"{"$ref":"#/components/schemas/Problem"}"##)], &writer)
      writer.endObject()
    }
    writer.endObject()
    writer.endObject()
  }

  private static func problems(_ route: Route) -> [Int] {
    var problems = [400, 404, 405, 500] + route.operation.problems
    if route.access != .open { problems += [401, 403, 429, 503] }
    return Set(problems).sorted()
  }

  private static func write(_ parameter: Operation.Parameter, _ writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("name")
    writer.string(parameter.name)
    writer.key("in")
    writer.string(parameter.place.rawValue)
    writer.key("description")
    writer.string(parameter.about)
    writer.key("required")
    writer.bool(parameter.isRequired)
    if parameter.isRepeated {
      writer.key("explode")
      writer.bool(true)
    }
    writer.key("schema")
    writer.raw((parameter.isRepeated ? #"{"type":"array","items":\#(parameter.schema)}"# : parameter.schema).utf8)
    writer.endObject()
  }

  private static func write(_ content: [Operation.Content], _ writer: inout JSONWriter) {
    writer.key("content")
    writer.beginObject()
    for item in content {
      writer.key(escaping: item.type)
      writer.beginObject()
      writer.key("schema")
      writer.raw(item.schema.utf8)
      writer.endObject()
    }
    writer.endObject()
  }
}
