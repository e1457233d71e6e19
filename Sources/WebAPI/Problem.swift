/// An answer that is an error: `application/problem+json` (RFC 9457). `code` is for programs, `detail` for people and says how to
/// mend it; `key` names the member or parameter at fault.
package import HTTPTypes
package import Hummingbird
package import JobModel
internal import NIOCore
package import SpoolStore

package struct Problem: Error, Sendable {
  package var status: HTTPResponse.Status
  package var code: String
  package var detail: String
  package var key: String?
  /// The job that is in the way.
  package var id: String?
  package var retryAfter: Int?
  /// What the log says about this answer, and only the log.
  package var incident: String?
  package var allow: String?
  package var closesConnection = false
  /// For many jobs at once: what is wrong with each.
  package var parts: [Problem] = []

  package init(_ status: HTTPResponse.Status, _ code: String, _ detail: String, key: String? = nil, id: String? = nil) {
    self.status = status
    self.code = code
    self.detail = detail
    self.key = key
    self.id = id
  }

  package static func noSuchJob(_ id: String) -> Problem {
    Problem(.notFound, "no_such_job", "there is no job of the id \(id); it may have been purged", id: nil)
  }

  package static func parameter(_ key: String, _ detail: String) -> Problem {
    Problem(.badRequest, "bad_parameter", detail, key: key)
  }

  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("type")
    writer.string("/problems/\(code)")
    writer.key("title")
    writer.string(status.reasonPhrase)
    writer.key("status")
    writer.int(status.code)
    writer.key("code")
    writer.string(code)
    writer.key("detail")
    writer.string(detail)
    if let key {
      writer.key("key")
      writer.string(key)
    }
    if let id {
      writer.key("id")
      writer.string(id)
    }
    if let incident {
      writer.key("instance")
      writer.string(incident)
    }
    if !parts.isEmpty {
      writer.key("jobs")
      writer.beginArray()
      for part in parts { part.write(to: &writer) }
      writer.endArray()
    }
    writer.endObject()
  }

  package var response: Response {
    var writer = JSONWriter()
    write(to: &writer)
    var headers: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
    if let retryAfter { headers[.retryAfter] = "\(retryAfter)" }
    if let allow { headers[.allow] = allow }
    if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
    if closesConnection { headers[.connection] = "close" }
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
  }
}

extension Problem {
  /// What a failure in the spool means to a client; nil for those that are our own trouble (500).
  package init?(_ error: SpoolError) {
    switch error.code {
    case .exists: self.init(.conflict, "exists", error.message)
    case .noSuchJob: self.init(.notFound, "no_such_job", error.message)
    case .wrongState: self.init(.conflict, "wrong_state", error.message)
    case .badJob: self.init(.badRequest, "bad_job", error.message)
    case .denied: self.init(.forbidden, "denied", error.message)
    case .locked, .needsDaemon:
      self.init(.serviceUnavailable, "needs_daemon", error.message)
      retryAfter = 5
    case .noSpace:
      self.init(.serviceUnavailable, "no_space", error.message)
      retryAfter = 30
    default: return nil
    }
  }
}
