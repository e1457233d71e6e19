/// One request on its way through a route: what was asked, by whom, and the answers a route gives.
package import HTTPTypes
package import Hummingbird
package import JobModel
internal import NIOCore
package import SpoolHistory

package struct Call: Sendable {
  package let request: Request
  package let state: WebState
  /// Who asks; nobody on an open route.
  package let identity: Identity?
  package let query: Query
  private let captured: [String: String]

  package init(request: Request, state: WebState, identity: Identity?, query: Query, captured: [String: String]) {
    self.request = request
    self.state = state
    self.identity = identity
    self.query = query
    self.captured = captured
  }

  /// A part of the path, decoded.
  package func path(_ name: String) -> String { captured[name] ?? "" }

  /// The job id of the path; what cannot be one is no job's.
  package func jobID() throws(Problem) -> String {
    let id = path("id")
    guard JobID.isValid(id) else {
      throw Problem(.notFound, "no_such_job", "this is no job id; expected \(JobID.expected)")
    }
    return id
  }

  /// Reads the spool on a thread that may block.
  package func read<Answer: Sendable>(
    _ body: @escaping @Sendable (SpoolReader) throws -> Answer
  ) async throws -> Answer {
    let state = state
    return try await state.blocking { try body(state.reader()) }
  }

  /// The whole body, up to a limit.
  package func body(atMost limit: Int) async throws -> [UInt8] {
    var tooLarge = Problem(.contentTooLarge, "too_large", "the body is larger than \(limit) bytes, the limit here")
    tooLarge.closesConnection = true
    if let text = request.headers[.contentLength], let length = Int(text), length > limit { throw tooLarge }
    if let coding = request.headers[.contentEncoding], coding.lowercased() != "identity" {
      throw Problem(
        .unsupportedMediaType, "unsupported_encoding", "send the body as it is, without a Content-Encoding",
        key: "Content-Encoding")
    }
    var bytes: [UInt8] = []
    do {
      for try await part in request.body {
        guard bytes.count + part.readableBytes <= limit else { throw tooLarge }
        bytes.append(contentsOf: part.readableBytesView)
      }
    } catch let problem as Problem {
      throw problem
    } catch {
      // Its client's doing: it broke off, or what it sent is no HTTP any more.
      var broken = Problem(.badRequest, "bad_request", "the body of the request cannot be read to its end")
      broken.closesConnection = true
      throw broken
    }
    return bytes
  }

  // MARK: Answers

  package func json(_ status: HTTPResponse.Status = .ok, _ build: (inout JSONWriter) -> Void) -> Response {
    var writer = JSONWriter(reserving: 1024)
    build(&writer)
    return json(status, writer.bytes)
  }

  /// What was switched, and how it stands now.
  package func json(_ key: StaticString, _ name: String, _ flag: StaticString, _ isOn: Bool) -> Response {
    json { writer in
      writer.beginObject()
      writer.key(key)
      writer.string(name)
      writer.key(flag)
      writer.bool(isOn)
      writer.endObject()
    }
  }

  package func json(_ status: HTTPResponse.Status = .ok, _ bytes: [UInt8]) -> Response {
    respond(status, type: "application/json", bytes)
  }

  package func respond(_ status: HTTPResponse.Status = .ok, type: String, _ bytes: [UInt8]) -> Response {
    Response(
      status: status, headers: [.contentType: type, .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  /// With an ETag; 304 when the client has it already.
  package func respond(type: String, _ bytes: [UInt8], tag: String, caching: String = "no-cache") -> Response {
    let quoted = "\"\(tag)\""
    let known = (request.headers[.ifNoneMatch] ?? "").split(separator: ",").map { $0.filter { $0 != " " } }
    var response: Response
    if known.contains(where: { $0 == quoted || $0 == "W/\(quoted)" || $0 == "*" }) {
      response = Response(status: .notModified)
      response.headers[.contentLength] = nil
    } else {
      response = respond(type: type, bytes)
    }
    response.headers[.eTag] = quoted
    response.headers[.cacheControl] = caching
    return response
  }
}
