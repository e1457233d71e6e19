internal import CSpoolShims
internal import Glibc
internal import Synchronization

/// How other threads reach the thread of an event loop: a locked list of messages and an eventfd that wakes it. Posting
/// never blocks on the loop and may be done from any thread; a burst costs one wake-up. Messages are delivered by
/// the loop (see `EventLoop.mailbox`); what is posted after the loop is gone is kept and never read.
package final class Mailbox<Message: Sendable>: Sendable {
  let file: Int32
  private let waiting = Mutex<[Message]>([])

  init() throws(EventLoop.Failure) {
    file = spool_eventfd()
    guard file >= 0 else { throw EventLoop.Failure("eventfd", errno: errno) }
  }

  deinit { close(file) }

  package func post(_ message: Message) {
    let first = waiting.withLock { waiting in
      waiting.append(message)
      return waiting.count == 1
    }
    // Only the first needs to wake the loop: it takes all that is there, and empties the eventfd before it looks.
    guard first else { return }
    var one: UInt64 = 1
    while write(file, &one, 8) < 0 && errno == EINTR {}
  }

  /// All messages, oldest first; called by the loop when the eventfd is readable, or by who cannot wait for that.
  package func take() -> [Message] {
    var count: UInt64 = 0
    while read(file, &count, 8) < 0 && errno == EINTR {}
    return waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
