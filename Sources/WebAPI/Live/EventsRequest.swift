/// Whether a request for `/v1/events` may become a WebSocket: its form, where it comes from, and whose token it carries, if any.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolConfig

enum EventsRequest {
  struct Admitted: Sendable {
    /// nil: the token comes as the first message.
    var identity: Identity?
    var subprotocol: String?
    /// For the log.
    var peer = ""
  }

  static let subprotocol = "jobspool.v1"
  private static let tokenPrefix = "bearer."

  /// A request of the right form to the right place.
  static func isOne(_ head: HTTPRequest) -> Bool {
    let path = (head.path ?? "").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
    let wishes = (head.headerFields[.upgrade] ?? "").lowercased().split(separator: ",")
    return head.method == .get && path == EventsGate.path
      && wishes.contains { $0.filter { $0 != " " } == "websocket" }
      && head.headerFields[.secWebSocketVersion] == "13"
      && (Base64.decode(head.headerFields[.secWebSocketKey] ?? "")?.count ?? 0) == 16
  }

  /// - Throws: the problem that the route answers with.
  static func admit(_ head: HTTPRequest, _ state: WebState) async throws -> Admitted {
    try await checkOrigin(head.headerFields[.origin], host: head.authority, state)
    let offered = (head.headerFields[.secWebSocketProtocol] ?? "").split(separator: ",").map {
      String($0.filter { $0 != " " })
    }
    var admitted = Admitted(subprotocol: offered.contains(subprotocol) ? subprotocol : nil)
    if let token = offered.first(where: { $0.hasPrefix(tokenPrefix) }) {
      admitted.identity = try await Gate.identity(token: String(token.dropFirst(tokenPrefix.count)), state)
    } else if head.headerFields[.authorization] != nil {
      admitted.identity = try await Gate.identity(Request(head: head, body: .init(buffer: .init())), state)
    }
    return admitted
  }

  /// A browser sends along from which page it asks; programs send nothing.
  private static func checkOrigin(_ origin: String?, host: String?, _ state: WebState) async throws {
    guard let origin, !origin.isEmpty else { return }
    if let start = origin.firstRange(of: "://") {
      if let host, origin[start.upperBound...].lowercased() == host.lowercased() { return }
    }
    let allowed = try await state.blocking { state.configuration.settings.web.allowedOrigins }
    guard allowed.contains("*") || allowed.contains(where: { $0.lowercased() == origin.lowercased() }) else {
      throw Problem(
        .forbidden, "foreign_origin",
        "pages of \(origin.prefix(200)) may not listen here; [web] allowed_origins lists who may")
    }
  }
}
