/// A thread for work that the engine does not wait for: the audit log's index, the end of a checkpoint, the files of notices.
/// It begins with its first task, and does one after another.
internal import CSpoolShims
internal import Glibc

package final class Clerk: @unchecked Sendable {
  private var mutex = pthread_mutex_t()
  private var wakeup = pthread_cond_t()
  private var tasks: [@Sendable () -> Void] = []
  private var stopping = false
  private var thread: WorkThread?
  private let yields: Bool

  /// - Parameter yields: leaves the processor to others who want it (nice).
  package init(yields: Bool) {
    self.yields = yields
    pthread_mutex_init(&mutex, nil)
    pthread_cond_init(&wakeup, nil)
  }

  /// Has it done on the clerk's thread.
  package func run(_ task: @escaping @Sendable () -> Void) {
    pthread_mutex_lock(&mutex)
    tasks.append(task)
    pthread_cond_signal(&wakeup)
    pthread_mutex_unlock(&mutex)
    guard thread == nil else { return }
    do { thread = try WorkThread { self.work() } } catch {
      preconditionFailure("no thread for the clerk: \(error)")
    }
  }

  /// Returns when everything it was given is done, and the thread has ended.
  package func stop() {
    guard let thread else { return }
    pthread_mutex_lock(&mutex)
    stopping = true
    pthread_cond_signal(&wakeup)
    pthread_mutex_unlock(&mutex)
    thread.join()
    self.thread = nil
  }

  /// What takes long asks now and then.
  package var isStopping: Bool {
    pthread_mutex_lock(&mutex)
    defer { pthread_mutex_unlock(&mutex) }
    return stopping
  }

  private func work() {
    if yields { spool_yield_to_others() }
    while true {
      pthread_mutex_lock(&mutex)
      while tasks.isEmpty && !stopping { pthread_cond_wait(&wakeup, &mutex) }
      let task = tasks.isEmpty ? nil : tasks.removeFirst()
      pthread_mutex_unlock(&mutex)
      guard let task else { return }
      task()
    }
  }
}
