/// Watches over one connection what the HTTP layer leaves open: a request that is never finished, a client that does not read its answer, and a
/// head that cannot be read, which gets an answer before the connection is closed.
internal import HTTPTypes
internal import HummingbirdCore
internal import JobModel
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1

final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// From the head of a request to the end of its body.
  private static let requestTime = TimeAmount.seconds(60)
  /// Without any byte of an answer being taken.
  private static let readTime = TimeAmount.seconds(30)
  /// To read the answer to a request that was not read to its end.
  private static let lastWords = TimeAmount.seconds(2)

  private var request: Scheduled<Void>?
  private var reading: Scheduled<Void>?
  private var isClosing = false
  private var closesAfter = false

  func handlerAdded(context: ChannelHandlerContext) {
    do {
      let pipeline = context.pipeline.syncOperations
      try pipeline.addHandler(HostGuard(), position: .before(pipeline.handler(type: HTTP1ToHTTPServerCodec.self)))
    } catch {
      context.fireErrorCaught(error)
      context.close(promise: nil)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // What comes after the last answer is of no interest.
    if isClosing { return }
    switch unwrapInboundIn(data) {
    case .head:
      request?.cancel()
      request = after(ConnectionGuard.requestTime, context)
    case .body: break
    case .end:
      request?.cancel()
      request = nil
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head):
      if head.headerFields[.connection] == "close" { closesAfter = true }
      context.write(data, promise: promise)
    case .body: context.write(data, promise: promise)
    case .end:
      context.writeAndFlush(data, promise: promise)
      if closesAfter { finish(context) }
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    reading?.cancel()
    reading = context.channel.isWritable ? nil : after(ConnectionGuard.readTime, context)
    context.fireChannelWritabilityChanged()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard !isClosing else { return context.fireErrorCaught(error) }
    var problem: Problem
    switch error {
    case HTTPParserError.headerOverflow:
      problem = Problem(
        .requestHeaderFieldsTooLarge, "headers_too_large", "the head of a request may have 32 KiB and 100 fields")
    case is HostGuard.Trouble:
      problem = Problem(.badRequest, "bad_request", "a request names one host, in one Host field")
    case is HTTPParserError: problem = Problem(.badRequest, "bad_request", "this is no HTTP request")
    default: return context.fireErrorCaught(error)
    }
    problem.closesConnection = true
    var writer = JSONWriter()
    problem.write(to: &writer)
    let response = problem.response
    var head = HTTPResponse(status: response.status, headerFields: response.headers)
    head.headerFields[.contentLength] = "\(writer.bytes.count)"
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(ByteBuffer(bytes: writer.bytes))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    finish(context)
  }

  /// Says no more, and leaves the client a moment to read what was said: closing at once would reset the connection.
  private func finish(_ context: ChannelHandlerContext) {
    isClosing = true
    request?.cancel()
    context.close(mode: .output, promise: nil)
    request = after(ConnectionGuard.lastWords, context)
  }

  private func after(_ time: TimeAmount, _ context: ChannelHandlerContext) -> Scheduled<Void> {
    let channel = context.channel
    return context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    request?.cancel()
    reading?.cancel()
  }

  func channelInactive(context: ChannelHandlerContext) {
    request?.cancel()
    reading?.cancel()
    context.fireChannelInactive()
  }
}
