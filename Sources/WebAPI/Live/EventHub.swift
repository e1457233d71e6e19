/// News for everybody who listens: one look at the spool, one text for each event, however many there are to read it. While
/// nobody listens it does nothing.
///
/// It remembers the newest events, so that who was cut off can go on from the last number it saw.
internal import JobModel
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import SpoolConfig
internal import SpoolHistory

final class EventHub: Sendable {
  struct Message: Sendable {
    /// In the order of their publication, without gaps.
    var index: UInt64
    var sequence: UInt32
    /// nil: for everybody, not about one job.
    var row: JobRow?
    var text: ByteBuffer
  }

  private struct State {
    var clients: [ObjectIdentifier: EventsClient] = [:]
    var kept: [Message] = []
    var next: UInt64 = 0
    /// Events up to this number may be missing from `kept`.
    var floor: UInt32 = 0
    var isListening = false
    var task: Task<Void, Never>?
    var clientsSince = ContinuousClock.now
  }

  private let state = NIOLockedValueBox(State())

  private static let mostKept = 4096
  /// How often the log is looked at while somebody listens.
  private static let pace = Duration.milliseconds(20)
  /// How long events are still gathered for those who were cut off.
  private static let memory = Duration.seconds(120)

  var clientCount: Int { state.withLockedValue { $0.clients.count } }

  func join(_ client: EventsClient, _ web: WebState) {
    state.withLockedValue { state in
      state.clients[ObjectIdentifier(client)] = client
      if state.task == nil { state.task = Task { await run(web) } }
    }
  }

  /// Waits until nothing that happens from now on can be missed.
  func listens() async {
    for _ in 0..<2000 where !state.withLockedValue({ $0.isListening }) { try? await Task.sleep(for: .milliseconds(5)) }
  }

  func leave(_ client: EventsClient) {
    state.withLockedValue { state in
      state.clients[ObjectIdentifier(client)] = nil
      state.clientsSince = .now
    }
  }

  /// What came after `sequence`, and how many messages there have been by then; nil: that is too long ago.
  func messages(after sequence: UInt32?) -> (messages: [Message], next: UInt64)? {
    state.withLockedValue { state in
      guard let sequence else { return ([], state.next) }
      guard sequence >= state.floor else { return nil }
      // By place rather than number: an end whose file was not to be seen at first comes later than its number says.
      if let last = state.kept.lastIndex(where: { $0.sequence == sequence }) {
        return (Array(state.kept[(last + 1)...]), state.next)
      }
      return (state.kept.filter { $0.sequence > sequence }, state.next)
    }
  }

  // MARK: The look

  private func run(_ web: WebState) async {
    // However it ends, the next to come may start it again.
    defer { state.withLockedValue { ($0.task, $0.isListening) = (nil, false) } }
    guard await web.historyIsLoaded(within: .seconds(600)) else { return }
    // Never with the own lock held: the feed calls `publish` with its lock held.
    let floor = try? await web.blocking { [self] in
      web.feed.listen { [unowned self] in publish($0) }
      return web.feed.read { index, _ in index.lastSequence }
    }
    guard let floor else { return }
    state.withLockedValue { ($0.floor, $0.isListening) = (floor, true) }
    var statsDue = ContinuousClock.now
    while !Task.isCancelled {
      do { try await web.blocking { try web.feed.refresh() } } catch {
        if error is CancellationError { return }
        web.logger.error("cannot look for news: \(error)")
        try? await Task.sleep(for: .seconds(1))
      }
      if ContinuousClock.now >= statsDue {
        // Asked for each time, so that an edited setting counts while clients stay.
        let interval = (try? await web.blocking { web.configuration.settings.web.statsInterval }) ?? .seconds(5)
        statsDue = .now + interval
        if clientCount > 0, let text = try? await EventHub.stats(web) { publish([Draft(text: text)]) }
      }
      if isForgotten {
        _ = try? await web.blocking { web.feed.listen(nil) }
        return state.withLockedValue { $0.kept.removeAll() }
      }
      try? await Task.sleep(for: EventHub.pace)
    }
  }

  /// Nobody has listened for a while: the next to come starts anew.
  private var isForgotten: Bool {
    state.withLockedValue { state in
      state.clients.isEmpty && ContinuousClock.now - state.clientsSince > EventHub.memory
    }
  }

  private func publish(_ news: HistoryFeed.News) {
    publish(
      news.events.map {
        Draft(text: EventHub.text(of: $0), row: $0.row, sequence: $0.sequence, isKept: $0.event != nil)
      }
        + news.alerts.map { alert in Draft(text: EventHub.text("job-alert") { alert.write(to: &$0) }) })
  }

  private struct Draft {
    var text: ByteBuffer
    var row: JobRow?
    var sequence: UInt32 = 0
    var isKept = false
  }

  /// All that one look found goes to each client in one piece.
  private func publish(_ drafts: [Draft]) {
    let (messages, clients) = state.withLockedValue { state in
      var messages: [Message] = []
      for draft in drafts {
        let message = Message(index: state.next, sequence: draft.sequence, row: draft.row, text: draft.text)
        state.next += 1
        messages.append(message)
        if draft.isKept { state.kept.append(message) }
      }
      if state.kept.count > EventHub.mostKept + 512 {
        let surplus = state.kept.count - EventHub.mostKept
        state.floor = state.kept[surplus - 1].sequence
        state.kept.removeFirst(surplus)
      }
      return (messages, Array(state.clients.values))
    }
    for client in clients { client.offer(messages) }
  }

  // MARK: Texts

  static func text(_ event: StaticString, data: (inout JSONWriter) -> Void) -> ByteBuffer {
    var writer = JSONWriter(reserving: 512)
    writer.beginObject()
    writer.key("event")
    writer.string(event.description)
    writer.key("data")
    data(&writer)
    writer.endObject()
    return ByteBuffer(bytes: writer.bytes)
  }

  private static func text(of event: HistoryFeed.Event) -> ByteBuffer {
    var writer = JSONWriter(reserving: 768)
    writer.beginObject()
    writer.key("event")
    writer.string("job-update")
    writer.key("seq")
    writer.int(event.sequence)
    writer.key("change")
    writer.string(event.event?.rawValue ?? "progress")
    writer.key("job")
    event.row.write(to: &writer)
    writer.endObject()
    return ByteBuffer(bytes: writer.bytes)
  }

  /// The message `job-stats`, as it is now.
  static func stats(_ web: WebState) async throws -> ByteBuffer {
    let view = try await QueueView.now(web)
    return text("job-stats") { writer in
      writer.beginObject()
      view.writeCounts(to: &writer)
      writer.key("today")
      StatsRoutes.write(view.today, to: &writer)
      writer.key("running")
      writer.int(view.counts.states[.cur] ?? 0)
      view.writeActive(to: &writer)
      writer.endObject()
    }
  }
}
