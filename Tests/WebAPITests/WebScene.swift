/// A spool with a web program's routes over it, asked without a socket.
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
import JobModel
import JobSecrets
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import SpoolTestSupport
import WebAPI

final class WebScene {
  let spool: TestSpool
  let state: WebState
  private let key: WebKey
  private let responder: RouterResponder<WebContext>
  private let threads = NIOThreadPool(numberOfThreads: 2)

  struct Answer {
    var status: Int
    var headers: HTTPFields
    var bytes: [UInt8]
    var json: JSONValue? { try? JSONReader.parse(bytes) }
    var code: String? { json?["code"]?.string }
  }

  init() throws {
    spool = try TestSpool()
    key = try WebKey.prepare(in: spool.path, owner: 0, group: nil).key
    threads.start()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    state = WebState(spool: try spool.open(), config: nil, threads: threads, logger: logger)
    responder = RouteTable.router(state).buildResponder()
  }

  deinit { threads.shutdownGracefully { _ in } }

  func token(_ role: String, subject: String = "anna", lifetime: Duration = .seconds(600)) -> String {
    var token = WebToken(
      subject: subject, role: role, issuedAt: WebScene.now, lifetime: lifetime, id: "\(role)-\(subject)")
    token.use = .bearer
    return token.signed(with: key)
  }

  private static var now: WallTime { WallTime(microseconds: Int64(time(nil)) * 1_000_000) }

  /// A handler that does nothing.
  func handler(_ type: String) throws {
    mkdir("\(spool.path)/handlers", 0o755)
    try TestSpool.write(Array("command = [\"/bin/true\"]".utf8), to: "\(spool.path)/handlers/\(type).toml")
  }

  func ask(
    _ method: HTTPRequest.Method, _ path: String, as token: String? = nil, _ body: String = "",
    headers: HTTPFields = [:]
  ) async throws -> Answer {
    var fields = headers
    if let token { fields[.authorization] = "Bearer \(token)" }
    let head = HTTPRequest(method: method, scheme: nil, authority: "test", path: path, headerFields: fields)
    let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body)))
    let context = WebContext(
      source: ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: Logger(label: "test")))
    let response = try await responder.respond(to: request, context: context)
    let writer = CollectingWriter()
    try await response.body.write(writer)
    return Answer(status: response.status.code, headers: response.headers, bytes: writer.bytes.value)
  }
}

/// Takes up what a response writes.
private struct CollectingWriter: ResponseBodyWriter {
  final class Bytes {
    var value: [UInt8] = []
  }
  let bytes = Bytes()
  mutating func write(_ buffer: ByteBuffer) { bytes.value += buffer.readableBytesView }
  consuming func finish(_ trailing: HTTPFields?) {}
}
