/// News for everybody who listens: one look at the spool, one text for each event, however many there are to read it. While
/// nobody listens it does nothing.
///
/// It remembers the newest events, so that who was cut off can go on from the last number it saw. Where listeners take longer
/// than the time between two looks, looks become rarer and what they find is sent in larger pieces.
internal import JobModel
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import SpoolConfig
internal import SpoolHistory

final class EventHub: Sendable {
  /// The listeners of one event loop: all of them are told in one go.
  private struct Group {
    var loop: any EventLoop
    var clients: [EventsClient]
  }

  private struct State {
    var groups: [ObjectIdentifier: Group] = [:]
    var count = 0
    var ring = EventRing()
    /// Groups that are still being told.
    var busy = 0
    var isListening = false
    var task: Task<Void, Never>?
    var clientsSince = ContinuousClock.now
  }

  private let state = NIOLockedValueBox(State())

  /// Frames that go out together, unless one alone is larger.
  private static let piece = 128 << 10
  /// How often the log is looked at while somebody listens.
  private static let pace = Duration.milliseconds(20)
  /// How long events are still gathered for those who were cut off.
  private static let memory = Duration.seconds(120)

  var clientCount: Int { state.withLockedValue { $0.count } }

  /// From now on the client is told that there is news; returns where that begins.
  func join(_ client: EventsClient, on loop: any EventLoop, _ web: WebState) -> UInt64 {
    state.withLockedValue { state in
      state.groups[ObjectIdentifier(loop), default: Group(loop: loop, clients: [])].clients.append(client)
      state.count += 1
      if state.task == nil { state.task = Task { await run(web) } }
      return state.ring.next
    }
  }

  /// Waits until nothing that happens from now on can be missed.
  func listens() async {
    for _ in 0..<2000 where !state.withLockedValue({ $0.isListening }) { try? await Task.sleep(for: .milliseconds(5)) }
  }

  func leave(_ client: EventsClient, on loop: any EventLoop) {
    state.withLockedValue { state in
      guard let place = state.groups[ObjectIdentifier(loop)]?.clients.firstIndex(where: { $0 === client }) else {
        return
      }
      state.groups[ObjectIdentifier(loop)]?.clients.remove(at: place)
      state.count -= 1
      state.clientsSince = .now
    }
  }

  func news(at position: UInt64) -> EventRing.Found { state.withLockedValue { $0.ring.find(position) } }

  /// Where to begin; nil: what came after `line` is not known any more.
  func resumption(after line: UInt32?) -> (from: EventRing.Resumption, now: UInt64)? {
    state.withLockedValue { state in
      guard let line else { return (.init(position: state.ring.next), state.ring.next) }
      return state.ring.resumption(after: line).map { ($0, state.ring.next) }
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
    state.withLockedValue { state in
      state.ring.begin(after: floor)
      state.isListening = true
    }
    var statsDue = ContinuousClock.now
    while !Task.isCancelled {
      var hasMore = false
      do { hasMore = try await web.blocking { try web.feed.refresh(slices: 1) } } catch {
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
        return state.withLockedValue { $0.ring.clear() }
      }
      if !hasMore { try? await Task.sleep(for: EventHub.pace) }
      // One loop that is stuck must not keep the rest from hearing.
      for _ in 0..<100 where state.withLockedValue({ $0.busy }) > 0 { try? await Task.sleep(for: .milliseconds(10)) }
    }
  }

  /// Nobody has listened for a while: the next to come starts anew.
  private var isForgotten: Bool {
    state.withLockedValue { state in
      state.count == 0 && ContinuousClock.now - state.clientsSince > EventHub.memory
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

  /// Puts the news where listeners find it, and tells them, each loop by itself.
  private func publish(_ drafts: [Draft]) {
    guard !drafts.isEmpty else { return }
    let groups = state.withLockedValue { state in
      var entries: [EventBatch.Entry] = []
      var frames = ByteBuffer()
      for (place, draft) in drafts.enumerated() {
        ServerFrame.write(.text, draft.text.readableBytesView, to: &frames)
        entries.append(
          .init(sequence: draft.sequence, row: draft.row, isKept: draft.isKept, end: frames.writerIndex))
        if frames.readableBytes >= EventHub.piece || place == drafts.count - 1 {
          state.ring.append(entries, frames)
          (entries, frames) = ([], ByteBuffer())
        }
      }
      let groups = state.groups.values.filter { !$0.clients.isEmpty }
      state.busy += groups.count
      return groups
    }
    for group in groups {
      group.loop.execute { [self] in
        for client in group.clients { client.pump() }
        state.withLockedValue { $0.busy -= 1 }
      }
    }
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
