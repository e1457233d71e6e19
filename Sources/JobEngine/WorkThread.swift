internal import Glibc

/// A POSIX thread for what blocks, which the engine's own may not.
package struct WorkThread: Sendable {
  private let thread: pthread_t

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body`, and what it captures lives as long. To be joined or detached. Throws when the system has no thread to
  /// spare.
  package init(_ body: @escaping @Sendable () -> Void) throws(EventLoop.Failure) {
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let failure = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, box.toOpaque())
    guard failure == 0 else {
      box.release()
      throw EventLoop.Failure("pthread_create", errno: failure)
    }
    self.thread = thread
  }

  /// Returns when it has ended.
  package func join() { pthread_join(thread, nil) }

  /// Nobody will wait for its end.
  package func detach() { pthread_detach(thread) }
}
