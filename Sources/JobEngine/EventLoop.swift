internal import CSpoolShims
internal import Glibc

/// One thread's wait for everything it cares about: descriptors, timers, signals and messages from other threads, over
/// one epoll(7).
///
/// Promises: callbacks run one at a time on the thread that runs the loop; a callback may watch, unwatch, set and
/// cancel anything, itself included; a descriptor that was unwatched hears nothing more, even if it was ready in the
/// same round and its number was given out again; nothing wakes the loop but what it was asked for, so an idle process
/// sleeps. It is deliberately not `Sendable`: what it owns needs no locks.
///
/// It leaves to others: what the descriptors mean, and closing them (unwatch first, then close).
package final class EventLoop {
  /// What to wait for on a descriptor.
  package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let read = Interest(rawValue: UInt32(SPOOL_EVENT_READ))
    package static let write = Interest(rawValue: UInt32(SPOOL_EVENT_WRITE))
  }

  /// What a descriptor is ready for. `hangUp` and `failure` come without being asked for (epoll_ctl(2)).
  package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let readable = Readiness(rawValue: UInt32(SPOOL_EVENT_READ))
    package static let writable = Readiness(rawValue: UInt32(SPOOL_EVENT_WRITE))
    package static let hangUp = Readiness(rawValue: UInt32(SPOOL_EVENT_HANGUP))
    package static let failure = Readiness(rawValue: UInt32(SPOOL_EVENT_ERROR))
  }

  /// A call of the kernel that failed where nothing but a lack of resources or a mistake of ours can be the cause.
  package struct Failure: Error, Sendable, CustomStringConvertible {
    package var call: String
    package var errno: Int32
    package init(_ call: String, errno: Int32) {
      self.call = call
      self.errno = errno
    }
    package var description: String { "\(call): \(String(cString: strerror(errno)))" }
  }

  private struct Watch {
    var serial: UInt32
    var handler: (Readiness) -> Void
  }

  /// Called before each wait, after every callback that was ready: the place to do once what many events asked for.
  package var beforeWait: (() -> Void)?
  /// From `beforeWait` on until the wait: only then is it too late for what `beforeWait` is to do.
  package private(set) var isAboutToWait = false
  private var errands: [() -> Void] = []

  private let epoll: Int32
  /// By descriptor number. The serial in epoll's tag tells this watch from an earlier one of the same number.
  private var watches: [Watch?] = []
  private var lastSerial: UInt32 = 0
  private var timers = TimerHeap()
  private var ready = [spool_event](repeating: spool_event(), count: 128)
  private var stopped = false
  private var signalFile: Int32 = -1
  private var signalHandlers: [Int32: () -> Void] = [:]

  package init() throws(Failure) {
    epoll = spool_epoll_create()
    guard epoll >= 0 else { throw Failure("epoll_create1", errno: errno) }
  }

  deinit {
    if signalFile >= 0 { close(signalFile) }
    close(epoll)
  }

  // MARK: Descriptors

  /// Calls `handler` whenever `fd` is ready, until `unwatch`. Level-triggered: what is not taken is told again.
  package func watch(_ fd: Int32, for interest: Interest, _ handler: @escaping (Readiness) -> Void) throws(Failure) {
    precondition(fd >= 0, "watching a descriptor that is not open")
    let index = Int(fd)
    if index >= watches.count { watches.append(contentsOf: repeatElement(nil, count: index + 16 - watches.count)) }
    precondition(watches[index] == nil, "descriptor \(fd) is watched already; unwatch it before closing it")
    lastSerial &+= 1
    guard spool_epoll_add(epoll, fd, interest.rawValue, tag(fd, lastSerial)) == 0 else {
      throw Failure("epoll_ctl add", errno: errno)
    }
    watches[index] = Watch(serial: lastSerial, handler: handler)
  }

  /// Changes what a watched descriptor is waited for.
  package func change(_ fd: Int32, for interest: Interest) throws(Failure) {
    guard let watch = watches[Int(fd)] else { preconditionFailure("descriptor \(fd) is not watched") }
    guard spool_epoll_change(epoll, fd, interest.rawValue, tag(fd, watch.serial)) == 0 else {
      throw Failure("epoll_ctl mod", errno: errno)
    }
  }

  /// Forgets a descriptor; one that is not watched is fine. To be called before it is closed: epoll follows the open
  /// file, which a copy in a child would keep alive.
  package func unwatch(_ fd: Int32) {
    let index = Int(fd)
    guard index >= 0, index < watches.count, watches[index] != nil else { return }
    watches[index] = nil
    _ = spool_epoll_remove(epoll, fd)
  }

  private func tag(_ fd: Int32, _ serial: UInt32) -> UInt64 { UInt64(serial) << 32 | UInt64(UInt32(bitPattern: fd)) }

  // MARK: Timers

  /// Monotonic time since an arbitrary start (CLOCK_MONOTONIC).
  package static var now: Duration {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return .nanoseconds(Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// Calls `body` once, when at least `delay` has passed; never from inside this call.
  @discardableResult
  package func after(_ delay: Duration, _ body: @escaping () -> Void) -> LoopTimer {
    at(EventLoop.now + delay, body)
  }

  /// Calls `body` once, when `EventLoop.now` has reached `time`.
  @discardableResult
  package func at(_ time: Duration, _ body: @escaping () -> Void) -> LoopTimer {
    let timer = LoopTimer(due: time, body)
    timers.insert(timer)
    return timer
  }

  /// Forgets a timer; one that has fired is fine.
  package func cancel(_ timer: LoopTimer) { timers.remove(timer) }

  // MARK: Errands

  /// Calls `body` once, right before the next wait and after `beforeWait`: the place to hand out in one piece what a
  /// whole round has collected. It may not cause anything that `beforeWait` would have to deal with: nobody looks before
  /// the next event.
  package func beforeNextWait(_ body: @escaping () -> Void) { errands.append(body) }

  // MARK: Signals

  /// Calls `handler` for each arrival of `signal` (several at once may come as one: signal(7)).
  ///
  /// The signal is blocked in the calling thread: call this before other threads are started, or they will take it.
  package func onSignal(_ signal: Int32, _ handler: @escaping () -> Void) throws(Failure) {
    signalHandlers[signal] = handler
    let signals = Array(signalHandlers.keys)
    let file = spool_signalfd(signalFile, signals, Int32(signals.count))
    guard file >= 0 else { throw Failure("signalfd", errno: errno) }
    guard signalFile < 0 else { return }
    signalFile = file
    try watch(file, for: .read) { [unowned self] _ in
      while true {
        let signal = spool_signalfd_next(file)
        guard signal > 0 else { return }
        signalHandlers[signal]?()
      }
    }
  }

  // MARK: Messages from other threads

  /// A box other threads may post into; each message is delivered on the loop's thread, in the order of posting.
  package func mailbox<Message: Sendable>(
    of type: Message.Type, deliver: @escaping (Message) -> Void
  ) throws(Failure) -> Mailbox<Message> {
    let mailbox = try Mailbox<Message>()
    // The watch keeps the mailbox, and so its descriptor, as long as the loop lives.
    try watch(mailbox.file, for: .read) { _ in
      for message in mailbox.take() { deliver(message) }
    }
    return mailbox
  }

  // MARK: Running

  /// Makes `run` return after the current round.
  package func stop() { stopped = true }

  /// Runs until `stop`.
  package func run() throws(Failure) {
    stopped = false
    while !stopped { try runOnce(timeout: nil) }
  }

  /// One round: `beforeWait`, errands, wait for the first event (at most `timeout`; nil is for ever), all callbacks of what is
  /// ready, then all timers that are due.
  package func runOnce(timeout: Duration?) throws(Failure) {
    isAboutToWait = true
    beforeWait?()
    while !errands.isEmpty, !stopped || timeout != nil {
      let round = errands
      errands = []
      for errand in round { errand() }
    }
    isAboutToWait = false
    if stopped, timeout == nil { return }
    guard try dispatch(waiting: patience(timeout)) else { return }
    guard let first = timers.first else { return }
    let now = EventLoop.now
    guard first.due <= now else { return }
    // The process may have stood still since it looked (signal(7), SIGSTOP). What happened before a timer ran out comes before
    // the timer: a handler that ended in time has no timeout.
    guard try dispatch(waiting: 0) else { return }
    // Timers set by these callbacks wait for the next round, so that one set to "at once" again and again starves nobody.
    for timer in timers.takeDue(now) { timer.fire() }
  }

  /// Waits for events and calls back for each that is there. false: a signal came first.
  private func dispatch(waiting nanoseconds: Int64) throws(Failure) -> Bool {
    let found = spool_epoll_wait(epoll, &ready, Int32(ready.count), nanoseconds)
    guard found >= 0 else {
      guard errno == EINTR else { throw Failure("epoll_pwait2", errno: errno) }
      return false
    }
    for index in 0..<Int(found) {
      let event = ready[index]
      let slot = Int(UInt32(truncatingIfNeeded: event.tag))
      // An earlier callback of this round may have unwatched it, or its number may belong to a newer watch.
      guard slot < watches.count, let watch = watches[slot], watch.serial == UInt32(event.tag >> 32) else { continue }
      watch.handler(Readiness(rawValue: event.events))
    }
    return true
  }

  /// Nanoseconds until something must be done, -1 for ever.
  private func patience(_ timeout: Duration?) -> Int64 {
    var limit = timeout
    if let due = timers.first?.due {
      let remaining = due - EventLoop.now
      limit = limit.map { min($0, remaining) } ?? remaining
    }
    guard let limit else { return -1 }
    let (seconds, attoseconds) = limit.components
    guard seconds < 1_000_000_000 else { return -1 }
    return max(0, seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}
