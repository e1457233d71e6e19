/// One WebSocket: who it is, what it wants to hear, and how far it has been told. Everything happens on the connection's event
/// loop.
///
/// What it cannot take at once stays in the hub, which keeps it for all; nothing is gathered for one alone. Who takes nothing for
/// too long, or falls behind what is kept, is told so and dropped. It never holds up anybody else, nor fills the memory.
internal import JobModel
internal import Logging
internal import NIOCore
internal import NIOWebSocket
internal import SpoolHistory

final class EventsClient: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = ByteBuffer

  enum Close {
    static let normal: UInt16 = 1000
    static let goingAway: UInt16 = 1001
    static let protocolError: UInt16 = 1002
    static let notText: UInt16 = 1007
    static let tooLarge: UInt16 = 1009
    static let unauthorized: UInt16 = 4401
    static let slow: UInt16 = 4408
  }

  /// What the system holds for one that does not read.
  private static let socketBuffer = 256 << 10
  /// Answers to one that asks and does not read.
  private static let mostUnread = 64 << 10
  /// Without any byte taken while there is news.
  private static let patience = TimeAmount.seconds(10)
  /// To read why it is dropped.
  private static let lastWords = TimeAmount.seconds(30)
  private static let timeToAuthenticate = TimeAmount.seconds(5)
  private static let pingInterval = TimeAmount.seconds(20)
  /// Pings without any sign of life before a client is given up.
  private static let mostUnanswered = 3
  private static let mostErrors = 100

  private let web: WebState
  private var identity: Identity?
  private let peer: String
  private var audience = EventBatch.Audience()
  /// The number of the first message that it has not been told yet.
  private var position: UInt64 = 0
  /// Set while it catches up: messages before `end` are what it missed.
  private var resuming: (after: UInt32?, end: UInt64)?
  private var context: ChannelHandlerContext?
  private var loop: (any EventLoop)?
  private var isPumping = false
  private var unread = 0
  /// Runs out when nothing is taken.
  private var behind: Scheduled<Void>?
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
    // Where the socket has no such buffer, the system's own measure will do.
    context.channel.setOption(.socketOption(.so_sndbuf), value: EventsClient.socketBuffer).whenFailure { _ in }
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
    behind?.cancel()
    guard context != nil else { return }
    context = nil
    if let identity, let loop {
      web.events.leave(self, on: loop)
      web.logger.info("\(identity.subject) (\(identity.role.rawValue)) stopped listening: \(reason)")
    }
  }

  private func welcome() {
    guard let identity, let loop else { return }
    web.logger.info("\(identity.subject) (\(identity.role.rawValue)) listens")
    let left = identity.expiresAt - .current
    after(TimeAmount(min(max(left, .zero), .seconds(86_400 * 365)))) {
      $0.close(EventsClient.Close.unauthorized, "the token has expired")
    }
    audience.seesAll = identity.role.may(.read)
    position = web.events.join(self, on: loop, web)
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
      context.writeAndFlush(wrapOutboundOut(ServerFrame.make(.ping)), promise: nil)
    }
    timers.removeAll { $0.isOver }
    after(EventsClient.pingInterval) { $0.ping() }
  }

  /// Says why and ends in order; one that does not read is cut off a little later.
  func close(_ code: UInt16, _ reason: String, after time: TimeAmount = .seconds(1)) {
    guard let context, !isClosing else { return }
    isClosing = true
    behind?.cancel()
    let data = [UInt8(code >> 8), UInt8(code & 255)] + Array(reason.utf8.prefix(100))
    context.writeAndFlush(wrapOutboundOut(ServerFrame.make(.close, data)), promise: nil)
    after(time) { $0.drop(reason) }
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
      guard !isClosing else { return }
      send(ServerFrame.make(.pong, frame.unmaskedData.readableBytesView))
    case .connectionClose:
      if !isClosing {
        isClosing = true
        var data = frame.unmaskedData
        let code = data.readSlice(length: min(2, data.readableBytes)) ?? ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(ServerFrame.make(.close, code.readableBytesView)), promise: nil)
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
      audience.filter = nil
      resuming = nil
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
    guard let (from, now) = web.events.resumption(after: since) else {
      return refuse("too_old", "events since \(since ?? 0) are not kept any more; load the list anew")
    }
    audience.filter = wanted
    position = from.position
    resuming = position < now ? (from.after, now) : nil
    confirm("subscribed")
    pump()
  }

  private func sendStats() {
    guard let loop, identity?.role.may(.read) == true else {
      return refuse("forbidden", "this role may not see the whole queue")
    }
    let web = web
    loop.makeFutureWithTask { try await EventHub.stats(web) }.whenComplete { [self] result in
      switch result {
      case .success(let text): send(ServerFrame.make(.text, text.readableBytesView))
      case .failure: refuse("internal", "the figures cannot be had at the moment")
      }
    }
  }

  // MARK: What the client hears

  /// Sends what there is for it, as long as the socket takes it. On the event loop.
  func pump() {
    guard let context, !isClosing, !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    while case .batch(let batch) = upcoming() {
      let pieces = pieces(of: batch)
      if !pieces.isEmpty, !context.channel.isWritable {
        // What was written goes out first; perhaps that makes room.
        context.flush()
        guard context.channel.isWritable else { return waitForRoom() }
      }
      guard !isClosing else { return }
      for piece in pieces { context.write(wrapOutboundOut(piece), promise: nil) }
      position = batch.next
      if let end = resuming?.end, position >= end { resuming = nil }
    }
    context.flush()
  }

  private func upcoming() -> EventRing.Found {
    let found = web.events.news(at: position)
    if case .gone = found { giveUp() }
    return found
  }

  private func pieces(of batch: EventBatch) -> [ByteBuffer] {
    guard let (after, _) = resuming, let filter = audience.filter else { return batch.pieces(for: audience) }
    return batch.pieces(for: filter, from: position, after: after)
  }

  private func waitForRoom() {
    guard behind == nil, let loop else { return }
    behind = loop.scheduleTask(in: EventsClient.patience) { [self] in giveUp() }
  }

  /// It reads too slowly.
  private func giveUp() {
    guard let context, !isClosing else { return }
    let who = identity.map { "\($0.subject) (\($0.role.rawValue))" } ?? "somebody"
    web.logger.notice("\(who) reads too slowly and is dropped")
    var writer = JSONWriter()
    EventsClient.write("slow", "you read too slowly and missed events; connect anew and go on by `since`", to: &writer)
    context.write(wrapOutboundOut(ServerFrame.make(.text, writer.bytes)), promise: nil)
    close(EventsClient.Close.slow, "too slow", after: EventsClient.lastWords)
  }

  private func send(_ build: (inout JSONWriter) -> Void) {
    var writer = JSONWriter()
    build(&writer)
    send(ServerFrame.make(.text, writer.bytes))
  }

  private func send(_ frame: ByteBuffer) {
    guard let context, !isClosing else { return }
    if !context.channel.isWritable {
      unread += frame.readableBytes
      guard unread <= EventsClient.mostUnread else { return giveUp() }
    }
    context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
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

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable {
      behind?.cancel()
      behind = nil
      unread = 0
      pump()
    }
    context.fireChannelWritabilityChanged()
  }
}
