/// Lets only those frames through that a client may send (RFC 6455, section 5): masked, of a known kind, no reserved bits. It
/// stands before the aggregator, which forgets what tells.
internal import NIOCore
internal import NIOWebSocket

final class FrameGuard: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = WebSocketFrame

  private let client: EventsClient

  init(_ client: EventsClient) { self.client = client }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    guard frame.maskKey != nil else { return refuse("a client masks its frames") }
    guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
      return refuse("a reserved bit is set, and no extension is agreed on")
    }
    switch frame.opcode {
    case .continuation, .text, .binary, .connectionClose, .ping, .pong: context.fireChannelRead(data)
    default: refuse("a frame of an unknown kind")
    }
  }

  private func refuse(_ reason: String) { client.close(EventsClient.Close.protocolError, reason) }
}
