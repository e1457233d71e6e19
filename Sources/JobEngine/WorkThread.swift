internal import Glibc

/// POSIX threads for what blocks, which the engine's own may not.
package enum WorkThread {
  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body`, and what it captures lives as long. To be joined or detached by the caller. Throws when the system has no
  /// thread to spare.
  package static func start(_ body: @escaping @Sendable () -> Void) throws(EventLoop.Failure) -> pthread_t {
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
    return thread
  }
}
