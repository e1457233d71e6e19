/// The dashboard: files embedded in the program, served with a policy that lets a browser fetch nothing from elsewhere and run
/// no code but theirs.
internal import CDashboard
internal import HTTPTypes
internal import Hummingbird

enum PageRoutes {
  static let policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  private struct File: Sendable {
    var type: String
    var bytes: [UInt8]
    var tag: String
  }

  private static let files: [String: File] = {
    var files: [String: File] = [:]
    for index in 0..<dashboard_file_count {
      let file = dashboard_files(index)
      let bytes = Array(UnsafeBufferPointer(start: file.bytes, count: file.size))

      files[String(cString: file.path)] = File(
        type: String(cString: file.type), bytes: bytes, tag: EntityTag.make(bytes))
    }
    return files
  }()

  static let all: [Route] = [
    Route(
      .get, "/", .open,
      Operation(
        "page", "The dashboard.", answers: [(200, "HTML.", [.init("text/html", #"{"type":"string"}"#)])])
    ) { try respond($0, "/") },
    Route(
      .get, "/assets/{name}", .open,
      Operation(
        "asset", "A file of the dashboard.", parameters: [.init("name", in: .path, "Its name.")],
        answers: [
          (
            200, "The file.",
            ["text/css", "text/javascript", "image/svg+xml"].map { .init($0, #"{"type":"string"}"#) }
          )
        ])
    ) { try respond($0, "/assets/\($0.path("name"))") },
  ]

  private static func respond(_ call: Call, _ path: String) throws -> Response {
    guard let file = files[path] else { throw Problem(.notFound, "not_found", "the dashboard has no such file") }
    var response = call.respond(type: file.type, file.bytes, tag: file.tag)
    response.headers[.contentSecurityPolicy] = policy
    return response
  }
}
