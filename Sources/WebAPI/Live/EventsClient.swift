/// One WebSocket: who it is, what it wants to hear, and what it has still to be sent. Everything happens on the connection's event
/// loop.
///
/// What it cannot take at once waits here, up to a limit; then it is told so and dropped. It never holds up anybody else, nor
/// fills the memory.
internal import JobModel
internal import Logging
internal import NIOCore
internal import NIOWebSocket
internal import SpoolHistory

final class EventsClient: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  enum Close {
    static let normal: UInt16 = 1000
    static let goingAway: UInt16 = 1001
    static let protocolError: UInt16 = 1002
    static let notText: UInt16 = 1007
    static let tooLarge: UInt16 = 1009
    static let unauthorized: UInt16 = 4401
    static let slow: UInt16 = 4408
  }

  private static let mostWaiting = 2000
  private static let mostWaitingBytes = 2 << 20
  private static let timeToAuthenticate = TimeAmount.seconds(5)
  private static let pingInterval = TimeAmount.seconds(20)
  /// Pings without any sign of life before a client is given up.
  private static let mostUnanswered = 3
  private static let mostErrors = 100

  private let web: WebState
  private var identity: Identity?
  private let peer: String
  private var filter: HistoryQuery?
  /// Messages before this one are not for this subscription.
  private var from: UInt64 = 0
  private var context: ChannelHandlerContext?
  private var loop: (any EventLoop)?
  private var waiting = CircularBuffer<ByteBuffer>()
  private var waitingBytes = 0
  private var isClosing = false
  private var timers: [Timer] = []

  private final class Timer: @unchecked Sendable {
    var scheduled: Scheduled<Void>?
    var isOver = false
  }

  private var unanswered = 0
  private var errors = 0

  init(_ web: WebState, _ admitted: EventsRequest.Admitted) {
    self.web = web
    identity = admitted.identity
    peer = admitted.peer
  }

  // MARK: Beginning and end

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    loop = context.eventLoop
    after(EventsClient.pingInterval) { $0.ping() }
    if identity != nil {
      welcome()
    } else {
      after(EventsClient.timeToAuthenticate) { client in
        guard client.identity == nil else { return }
        client.close(EventsClient.Close.unauthorized, "no auth message within 5 s")
      }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    leave("the connection ended")
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { leave("removed") }

  private func leave(_ reason: String) {
    for timer in timers { timer.scheduled?.cancel() }
    timers.removeAll()
    guard context != nil else { return }
    context = nil
    waiting.removeAll()
    if let identity {
      web.events.leave(self)
      web.logger.info("\(identity.subject) (\(identity.role.rawValue)) stopped listening: \(reason)")
    }
  }

  private func welcome() {
    guard let identity else { return }
    web.logger.info("\(identity.subject) (\(identity.role.rawValue)) listens")
    let left = identity.expiresAt - .current
    after(TimeAmount(min(max(left, .zero), .seconds(86_400 * 365)))) {
      $0.close(EventsClient.Close.unauthorized, "the token has expired")
    }
    web.events.join(self, web)
    let web = web
    let last = web.feed.read { index, _ in index.lastSequence }
    send { writer in
      writer.beginObject()
      writer.key("event")
      writer.string("ready")
      writer.key("subject")
      writer.string(identity.subject)
      writer.key("role")
      writer.string(identity.role.rawValue)
      writer.key("seq")
      writer.int(last)
      writer.endObject()
    }
  }

  private func after(_ time: TimeAmount, _ body: @escaping @Sendable (EventsClient) -> Void) {
    guard let loop else { return }
    let timer = Timer()
    timers.append(timer)
    timer.scheduled = loop.scheduleTask(in: time) { [self] in
      timer.isOver = true
      if context != nil { body(self) }
    }
  }

  private func ping() {
    guard unanswered < EventsClient.mostUnanswered else { return drop("it answers no pings") }
    unanswered += 1
    // To one that does not read it would only add to the heap.
    if let context, context.channel.isWritable {
      context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())), promise: nil)
    }
    timers.removeAll { $0.isOver }
    after(EventsClient.pingInterval) { $0.ping() }
  }

  /// Says why and ends in order; one that does not read is cut off a little later.
  private func close(_ code: UInt16, _ reason: String) {
    guard let context, !isClosing else { return }
    isClosing = true
    waiting.removeAll()
    var data = context.channel.allocator.buffer(capacity: 2 + reason.utf8.count)
    data.write(webSocketErrorCode: WebSocketErrorCode(codeNumber: Int(code)))
    data.writeString(String(reason.prefix(100)))
    context.writeAndFlush(
      wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)), promise: nil)
    let reason = reason
    after(.seconds(1)) { $0.drop(reason) }
  }

  private func drop(_ reason: String) {
    guard let context else { return }
    leave(reason)
    context.close(promise: nil)
  }

  // MARK: What the client says

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    unanswered = 0
    // The aggregator's own frames have no mask any more, but what they are made of had.
    if frame.opcode.isControlOpcode, frame.maskKey == nil {
      return close(EventsClient.Close.protocolError, "a client masks its frames")
    }
    switch frame.opcode {
    case .text:
      guard !isClosing else { return }
      var text = frame.unmaskedData
      let bytes = text.readBytes(length: text.readableBytes) ?? []
      guard String(validating: bytes, as: UTF8.self) != nil else {
        return close(EventsClient.Close.notText, "a message is not UTF-8")
      }
      take(bytes)
    case .binary: refuse("bad_message", "messages are JSON text, not binary")
    case .ping:
      context.writeAndFlush(
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)), promise: nil)
    case .connectionClose:
      if !isClosing {
        isClosing = true
        var data = frame.unmaskedData
        let code = data.readSlice(length: min(2, data.readableBytes)) ?? ByteBuffer()
        context.writeAndFlush(
          wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: code)), promise: nil)
      }
      drop("the client closed")
    default: break
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // What comes after a fault is read and forgotten for a moment: to close at once would take back our last words.
    switch error {
    case NIOWebSocketError.invalidFrameLength, NIOWebSocketFrameAggregator.Error.accumulatedFrameSizeIsTooLarge:
      close(EventsClient.Close.tooLarge, "a message may have 16 KiB")
    case is NIOWebSocketError, is NIOWebSocketFrameAggregator.Error:
      close(EventsClient.Close.protocolError, "this is no WebSocket frame")
    default: if !isClosing { drop("\(error)") }
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ChannelShouldQuiesceEvent: close(EventsClient.Close.goingAway, "jobspool-web stops")
    case let event as ChannelEvent where event == .inputClosed: drop("the client closed")
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  private func take(_ bytes: [UInt8]) {
    guard let message = try? JSONReader.parse(bytes), let event = message["event"]?.string else {
      return refuse("bad_message", "expected a JSON object with the text `event`")
    }
    guard identity != nil else {
      guard event == "auth", let token = message["token"]?.string else {
        return refuse("no_token", #"expected {"event":"auth","token":"…"} first"#)
      }
      return authenticate(token)
    }
    switch event {
    case "auth": refuse("bad_message", "this connection has its token already")
    case "subscribe:jobs": subscribe(message)
    case "unsubscribe:jobs":
      filter = nil
      confirm("unsubscribed")
    case "request:job-stats": sendStats()
    default:
      refuse(
        "unknown_event",
        "\(event.prefix(64)) is none of auth, subscribe:jobs, unsubscribe:jobs, request:job-stats")
    }
  }

  private func authenticate(_ token: String) {
    guard let loop else { return }
    let web = web
    loop.makeFutureWithTask { try await Gate.identity(token: token, web) }.whenComplete { [self] result in
      guard context != nil, identity == nil, !isClosing else { return }
      switch result {
      case .success(let identity):
        self.identity = identity
        welcome()
      case .failure(let error):
        let detail = (error as? Problem)?.detail ?? "the token cannot be checked"
        refuse("bad_token", detail)
        close(EventsClient.Close.unauthorized, "the token was refused")
      }
    }
  }

  private func subscribe(_ message: JSONValue) {
    let wanted: HistoryQuery
    do throws(Problem) { wanted = try EventsFilter.query(message["filter"]) } catch {
      return refuse(error.code, error.key.map { "\($0): \(error.detail)" } ?? error.detail)
    }
    var since: UInt32?
    if let given = message["since"] {
      guard let number = given.int.flatMap({ UInt32(exactly: $0) }) else {
        return refuse("bad_message", "since: expected the `seq` of an earlier message")
      }
      since = number
    }
    var own = wanted
    if identity?.role == .producer { own.subject = identity?.subject ?? "" }
    guard let loop else { return }
    let (web, filter, after) = (web, own, since)
    loop.makeFutureWithTask { await web.events.listens() }.whenSuccess { [self] in start(filter, after: after) }
  }

  private func start(_ wanted: HistoryQuery, after since: UInt32?) {
    guard context != nil, !isClosing else { return }
    guard let (messages, next) = web.events.messages(after: since) else {
      return refuse("too_old", "events since \(since ?? 0) are not kept any more; load the list anew")
    }
    filter = wanted
    from = next
    confirm("subscribed")
    for message in messages where message.row.map(wanted.matches) ?? false { queue(message.text) }
    flush()
  }

  private func sendStats() {
    guard let loop, identity?.role.may(.read) == true else {
      return refuse("forbidden", "this role may not see the whole queue")
    }
    let web = web
    loop.makeFutureWithTask { try await EventHub.stats(web) }.whenComplete { [self] result in
      switch result {
      case .success(let text):
        queue(text)
        flush()
      case .failure: refuse("internal", "the figures cannot be had at the moment")
      }
    }
  }

  // MARK: What the client hears

  /// From any thread.
  func offer(_ messages: [EventHub.Message]) {
    loop?.execute { [self] in
      guard context != nil, !isClosing else { return }
      let seesAll = identity?.role.may(.read) == true
      for message in messages {
        if let row = message.row {
          guard let filter, message.index >= from, filter.matches(row) else { continue }
        } else if !seesAll {
          continue
        }
        queue(message.text)
      }
      flush()
    }
  }

  private func send(_ build: (inout JSONWriter) -> Void) {
    var writer = JSONWriter()
    build(&writer)
    queue(ByteBuffer(bytes: writer.bytes))
    flush()
  }

  private func confirm(_ event: String) {
    send { writer in
      writer.beginObject()
      writer.key("event")
      writer.string(event)
      writer.endObject()
    }
  }

  private func refuse(_ code: String, _ message: String) {
    guard !isClosing else { return }
    errors += 1
    guard errors < EventsClient.mostErrors else {
      return close(EventsClient.Close.protocolError, "too many messages that are none")
    }
    send { EventsClient.write(code, message, to: &$0) }
  }

  private static func write(_ code: String, _ message: String, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("event")
    writer.string("error")
    writer.key("code")
    writer.string(code)
    writer.key("message")
    writer.string(message)
    writer.endObject()
  }

  private func queue(_ text: ByteBuffer) {
    guard context != nil, !isClosing else { return }
    waiting.append(text)
    waitingBytes += text.readableBytes
    guard waiting.count > EventsClient.mostWaiting || waitingBytes > EventsClient.mostWaitingBytes else { return }
    waiting.removeAll()
    waitingBytes = 0
    var writer = JSONWriter()
    EventsClient.write("slow", "you read too slowly and missed events; connect anew and go on by `since`", to: &writer)
    context?.write(
      wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: writer.bytes))), promise: nil)
    close(EventsClient.Close.slow, "too slow")
  }

  private func flush() {
    guard let context, !isClosing else { return }
    guard !waiting.isEmpty else { return }
    while context.channel.isWritable, let text = waiting.popFirst() {
      waitingBytes -= text.readableBytes
      context.write(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: text)), promise: nil)
    }
    context.flush()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { flush() }
    context.fireChannelWritabilityChanged()
  }
}
