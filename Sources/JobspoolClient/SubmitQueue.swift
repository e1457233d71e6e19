/// Where submissions of one process meet. A thread takes everything that waits, makes it durable in one step, and answers
/// each; what comes meanwhile goes into the next step. So many tasks that submit at once pay for few syncs, and one that
/// submits alone waits for nobody.
internal import Glibc
internal import SpoolStore

final class SubmitQueue: @unchecked Sendable {
  typealias Answer = @Sendable (Result<Void, SpoolError>) -> Void

  private let intake: Intake
  private var mutex = pthread_mutex_t()
  private var wakeup = pthread_cond_t()
  private var waiting: [(submission: Intake.Submission, answer: Answer)] = []
  private var isClosed = false

  init(_ intake: Intake) {
    self.intake = intake
    pthread_mutex_init(&mutex, nil)
    pthread_cond_init(&wakeup, nil)
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<SubmitQueue>.fromOpaque(argument).takeRetainedValue().work()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(failure == 0, "no thread to submit on: \(String(cString: strerror(failure)))")
    pthread_detach(thread)
  }

  func add(_ submissions: [(Intake.Submission, Answer)]) {
    pthread_mutex_lock(&mutex)
    waiting += submissions.map { (submission: $0.0, answer: $0.1) }
    pthread_cond_signal(&wakeup)
    pthread_mutex_unlock(&mutex)
  }

  /// The thread ends when everything has been answered.
  func close() {
    pthread_mutex_lock(&mutex)
    isClosed = true
    pthread_cond_signal(&wakeup)
    pthread_mutex_unlock(&mutex)
  }

  /// As many as one durable step takes; more wait for the next, so that the first are not kept waiting for the last.
  private static let most = 1024

  private func work() {
    while true {
      pthread_mutex_lock(&mutex)
      while waiting.isEmpty, !isClosed { pthread_cond_wait(&wakeup, &mutex) }
      let batch = Array(waiting.prefix(SubmitQueue.most))
      waiting.removeFirst(batch.count)
      pthread_mutex_unlock(&mutex)
      guard !batch.isEmpty else { return }
      submit(batch)
    }
  }

  private func submit(_ batch: [(submission: Intake.Submission, answer: Answer)]) {
    do throws(SpoolError) {
      if batch.count == 1 {
        try intake.submit(batch[0].submission)
        return batch[0].answer(.success(()))
      }
      let results = try intake.submit(bulk: batch.map(\.submission))
      for (entry, result) in zip(batch, results) { entry.answer(result) }
    } catch {
      for entry in batch { entry.answer(.failure(error)) }
    }
  }
}
