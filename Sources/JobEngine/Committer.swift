/// The thread that makes things durable. The engine hands it the files of everything that settles just now and goes on;
/// one sync serves them all, and what settles meanwhile goes into the next (group commit).
internal import CSpoolShims
internal import Glibc
package import SpoolStore

package final class Committer: @unchecked Sendable {
  /// One durable step: copies of files that are being adopted, the job files whose records are too large for the log, then
  /// the log; and, if nothing was refused, the renames by which ends become visible that it made durable.
  package struct Batch: Sendable {
    package var copies: [Int32]
    package var files: [Int32]
    package var logs: [Int32]
    package var ends: [String]
    package init(copies: [Int32] = [], files: [Int32], logs: [Int32], ends: [String] = []) {
      self.copies = copies
      self.files = files
      self.logs = logs
      self.ends = ends
    }
  }

  /// What the system refused. Copies that could not be synced are given up and spoil nothing; a log that could not be is
  /// another matter.
  package struct Outcome: Sendable {
    package var copies: Errno?
    package var rest: Errno?
    /// Ends that could not be made visible.
    package var unmoved: Set<String> = []
    /// The log was part of it.
    package var hasLog: Bool
  }

  private let syscalls: any SpoolSyscalls
  private let ends: EndMoves
  private let done: @Sendable (Outcome) -> Void
  private var mutex = pthread_mutex_t()
  private var wakeup = pthread_cond_t()
  private var next: Batch?
  private var stopping = false
  private var thread: WorkThread?

  /// - Parameter done: called on the committer's thread after each batch.
  package init(_ spool: Spool, done: @escaping @Sendable (Outcome) -> Void) {
    syscalls = spool.syscalls
    ends = EndMoves(spool)
    self.done = done
    pthread_mutex_init(&mutex, nil)
    pthread_cond_init(&wakeup, nil)
    do { thread = try WorkThread { self.work() } } catch {
      preconditionFailure("no thread for the committer: \(error)")
    }
  }

  /// Starts a batch; the one before must be done.
  package func commit(_ batch: Batch) {
    pthread_mutex_lock(&mutex)
    precondition(next == nil, "one batch at a time")
    next = batch
    pthread_mutex_unlock(&mutex)
    // Under the lock, it would wake only to wait for us.
    pthread_cond_signal(&wakeup)
  }

  /// Lets the thread end.
  package func stop() {
    pthread_mutex_lock(&mutex)
    stopping = true
    pthread_cond_signal(&wakeup)
    pthread_mutex_unlock(&mutex)
    thread?.join()
  }

  private func work() {
    while true {
      pthread_mutex_lock(&mutex)
      while next == nil && !stopping { pthread_cond_wait(&wakeup, &mutex) }
      let batch = next
      next = nil
      pthread_mutex_unlock(&mutex)
      guard let batch else { return }
      var outcome = Outcome(hasLog: !batch.logs.isEmpty)
      do throws(Errno) { try syscalls.syncCopies(batch.copies) } catch { outcome.copies = error }
      do throws(Errno) {
        for file in batch.files { try syscalls.syncData(file) }
        for log in batch.logs { try syscalls.syncData(log) }
        for end in batch.ends {
          // Why, the engine finds out when it tries again.
          do throws(SpoolError) { try ends.finish(end) } catch { outcome.unmoved.insert(end) }
        }
      } catch {
        outcome.rest = error
      }
      done(outcome)
    }
  }
}
