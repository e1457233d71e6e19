internal import CSpoolShims
internal import Glibc
internal import JobEngine

/// Starts processes on threads of its own. A start holds its caller until the child has executed its program: some
/// hundreds of microseconds, in which the loop's thread settles and claims other jobs instead. There are two of them, so that
/// of jobs that end together the successor of one does not wait for that of the other.
///
/// Its children are listed under its own threads (/proc/self/task/TID/children), what they leave behind under the main one:
/// that is what `Strays` relies on.
final class Spawner {
  private struct Answer: Sendable {
    let number: Int
    let outcome: Launch.Outcome
  }

  private let desk: Desk
  /// Starts so far.
  private(set) var number = 0
  private var waiting: [Int: (Launch.Outcome) -> Void] = [:]

  /// Throws when the system has no thread or descriptor to spare.
  init(loop: EventLoop) throws(EventLoop.Failure) {
    final class Ear { weak var spawner: Spawner? }
    let ear = Ear()
    desk = Desk(
      try loop.mailbox(of: Answer.self) { answer in
        ear.spawner?.waiting.removeValue(forKey: answer.number)?(answer.outcome)
      })
    ear.spawner = self
    try desk.hire()
    // Where there is no room for another, one does it all.
    try? desk.hire()
  }

  deinit { desk.close() }

  /// Starts have been under way for a second on every thread: their programs come from a disk that does not answer. The next
  /// had better not wait for them.
  var isStuck: Bool { desk.isLate(by: .seconds(1)) }

  /// Waits until all starts are through, or for two seconds, and tells of them: nothing that was started is unknown then.
  func settle() {
    desk.awaitIdle(atMost: 2)
    for answer in desk.mailbox.take() { waiting.removeValue(forKey: answer.number)?(answer.outcome) }
  }

  /// Carries `start` out soon; `done` is called on the loop's thread, never from inside this call.
  func carryOut(_ start: Launch.Start, done: @escaping (Launch.Outcome) -> Void) {
    number += 1
    waiting[number] = done
    desk.put(start, number)
  }

  /// What the thread and the loop share.
  private final class Desk: @unchecked Sendable {
    let mailbox: Mailbox<Answer>
    private var mutex = pthread_mutex_t()
    private var wakeup = pthread_cond_t()
    private var orders: [(start: Launch.Start, number: Int)] = []
    private var isClosed = false
    /// When the start under way on each thread began.
    private var began: [Duration?] = []
    private var idle = pthread_cond_t()

    init(_ mailbox: Mailbox<Answer>) {
      self.mailbox = mailbox
      pthread_mutex_init(&mutex, nil)
      pthread_cond_init(&wakeup, nil)
      var monotonic = pthread_condattr_t()
      pthread_condattr_init(&monotonic)
      pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC)
      pthread_cond_init(&idle, &monotonic)
      pthread_condattr_destroy(&monotonic)
    }

    /// One thread more.
    func hire() throws(EventLoop.Failure) {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      let number = began.count
      try WorkThread { self.work(number) }.detach()
      // It waits for the lock.
      began.append(nil)
    }

    func isLate(by limit: Duration) -> Bool {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      let now = EventLoop.now
      return began.allSatisfy { $0.map { now - $0 > limit } ?? false }
    }

    func awaitIdle(atMost seconds: Int) {
      var until = timespec()
      clock_gettime(CLOCK_MONOTONIC, &until)
      until.tv_sec += seconds
      pthread_mutex_lock(&mutex)
      while !isIdle {
        guard pthread_cond_timedwait(&idle, &mutex, &until) == 0 else { break }
      }
      pthread_mutex_unlock(&mutex)
    }

    private var isIdle: Bool { orders.isEmpty && began.allSatisfy { $0 == nil } }

    func put(_ start: Launch.Start, _ number: Int) {
      pthread_mutex_lock(&mutex)
      orders.append((start, number))
      pthread_mutex_unlock(&mutex)
      // Under the lock, it would wake only to wait for us.
      pthread_cond_signal(&wakeup)
    }

    /// What was not begun will not be; the threads end.
    func close() {
      pthread_mutex_lock(&mutex)
      isClosed = true
      pthread_cond_broadcast(&wakeup)
      pthread_mutex_unlock(&mutex)
    }

    func work(_ number: Int) {
      while true {
        pthread_mutex_lock(&mutex)
        while orders.isEmpty && !isClosed { pthread_cond_wait(&wakeup, &mutex) }
        let order = isClosed ? nil : orders.removeFirst()
        if order != nil { began[number] = EventLoop.now }
        pthread_mutex_unlock(&mutex)
        guard let order else { return }
        mailbox.post(Answer(number: order.number, outcome: order.start.carryOut(listedApart: true)))
        pthread_mutex_lock(&mutex)
        began[number] = nil
        let isIdle = isIdle
        pthread_mutex_unlock(&mutex)
        if isIdle { pthread_cond_signal(&idle) }
      }
    }
  }
}
