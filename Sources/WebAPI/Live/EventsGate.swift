/// Makes a WebSocket of a connection whose request for `/v1/events` asks for that and may have it. It sits among the HTTP handlers
/// of every connection and lets everything else pass.
///
/// Whether the request may have it is decided before anything is switched. One that may not, and every request to switch to
/// something else, goes on as the plain request it also is: the route, or the router, says what is wrong. So none goes unanswered.
/// Such a connection ends with its answer, because nobody knows what the client would send next.
internal import Crypto
internal import HTTPTypes
internal import HummingbirdCore
internal import JobModel
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOWebSocket

final class EventsGate: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundOut = HTTPResponsePart

  static let path = "/v1/events"
  /// A subscription needs less.
  private static let largestMessage = 16 << 10

  private enum Phase {
    case http
    /// What came after the request in question.
    case deciding([HTTPRequestPart])
    case socket
  }

  private let state: WebState
  private var phase = Phase.http

  init(_ state: WebState) { self.state = state }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch phase {
    case .socket: return
    case .deciding(var held):
      held.append(unwrapInboundIn(data))
      phase = .deciding(held)
    case .http:
      guard case .head(let head) = unwrapInboundIn(data), head.headerFields[.upgrade] != nil else {
        return context.fireChannelRead(data)
      }
      guard EventsRequest.isOne(head) else { return passOn(head, [], context) }
      phase = .deciding([])
      let state = state
      context.eventLoop.makeFutureWithTask { try await EventsRequest.admit(head, state) }
        .assumeIsolated().whenComplete { self.decided($0, head, context) }
    }
  }

  private func decided(
    _ decision: Result<EventsRequest.Admitted, any Error>, _ head: HTTPRequest, _ context: ChannelHandlerContext
  ) {
    guard case .deciding(let held) = phase, context.channel.isActive else { return }
    switch decision {
    case .failure: passOn(head, held, context)
    case .success(let admitted):
      phase = .socket
      do { try answer(head, admitted, context) } catch {
        state.logger.error("cannot make a WebSocket of a connection: \(error)")
        context.close(promise: nil)
      }
    }
  }

  /// The request without its wish to switch.
  private func passOn(_ head: HTTPRequest, _ held: [HTTPRequestPart], _ context: ChannelHandlerContext) {
    phase = .http
    var plain = head
    plain.headerFields[.upgrade] = nil
    plain.headerFields[.connection] = "close"
    context.fireChannelRead(wrapInboundOut(.head(plain)))
    for part in held { context.fireChannelRead(wrapInboundOut(part)) }
    context.fireChannelReadComplete()
  }

  private func answer(_ head: HTTPRequest, _ admitted: EventsRequest.Admitted, _ context: ChannelHandlerContext) throws
  {
    var response = HTTPResponse(status: .switchingProtocols)
    response.headerFields[.upgrade] = "websocket"
    response.headerFields[.connection] = "upgrade"
    response.headerFields[.secWebSocketAccept] = EventsGate.accept(head.headerFields[.secWebSocketKey] ?? "")
    if let chosen = admitted.subprotocol { response.headerFields[.secWebSocketProtocol] = chosen }
    context.writeAndFlush(wrapOutboundOut(.head(response)), promise: nil)
    let pipeline = context.pipeline.syncOperations
    let client = EventsClient(state, admitted)
    var removals = [
      pipeline.removeHandler(context: try pipeline.context(handlerType: HTTPConnectionStateHandler.self)),
      pipeline.removeHandler(context: try pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self)),
      pipeline.removeHandler(context: try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)),
      pipeline.removeHandler(context: try pipeline.context(handlerType: HTTPResponseEncoder.self)),
    ]
    if let guardian = try? pipeline.context(handlerType: ConnectionGuard.self) {
      removals.append(pipeline.removeHandler(context: guardian))
    }
    if let guardian = try? pipeline.context(handlerType: HostGuard.self) {
      removals.append(pipeline.removeHandler(context: guardian))
    }
    EventLoopFuture.andAllSucceed(removals, on: context.eventLoop).assumeIsolated().whenComplete { result in
      do {
        try result.get()
        let here = ChannelPipeline.SynchronousOperations.Position.before(self)
        try pipeline.addHandler(
          ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: EventsGate.largestMessage)), position: here)
        try pipeline.addHandler(FrameGuard(client), position: here)
        try pipeline.addHandler(
          NIOWebSocketFrameAggregator(
            minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 64,
            maxAccumulatedFrameSize: EventsGate.largestMessage), position: here)
        try pipeline.addHandler(client, position: here)
      } catch {
        context.close(promise: nil)
      }
    }
  }

  /// RFC 6455, section 4.2.2.
  static func accept(_ key: String) -> String {
    Base64.encode(Array(Insecure.SHA1.hash(data: Array("\(key)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))))
  }
}
