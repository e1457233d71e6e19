/// Makes many submitters share one durable step. While a batch is on its way to the disk others arrive; they are the next batch. So
/// one client alone waits for its own two syncs and nothing else, and a thousand at once wait for a few.
///
/// An answer is given only when the job is durable and published, or refused.
internal import HTTPTypes
internal import JobModel
internal import NIOConcurrencyHelpers
internal import NIOPosix
internal import SpoolConfig
internal import SpoolStore

final class SubmissionQueue: Sendable {
  private struct Entry {
    var jobs: [Intake.Submission]
    var answer: CheckedContinuation<[Result<Void, SpoolError>], any Error>
  }

  private struct State {
    var waiting: [Entry] = []
    var count = 0
    var isRunning = false
  }

  /// Jobs that may wait for their turn; beyond that a client is told to come back.
  private static let room = 200_000
  /// Jobs of one commit, unless a single client brings more.
  private static let batch = 2048

  private let state = NIOLockedValueBox(State())
  private let threads: NIOThreadPool

  init(threads: NIOThreadPool) { self.threads = threads }

  /// Submits some jobs; what became of each, in order. Throws when nothing could be written at all.
  func submit(_ jobs: [Intake.Submission], to intake: Intake) async throws -> [Result<Void, SpoolError>] {
    guard !jobs.isEmpty else { return [] }
    return try await withCheckedThrowingContinuation { answer in
      let (isFull, starts) = state.withLockedValue { state -> (Bool, Bool) in
        guard state.count + jobs.count <= SubmissionQueue.room || state.count == 0 else { return (true, false) }
        state.waiting.append(Entry(jobs: jobs, answer: answer))
        state.count += jobs.count
        let starts = !state.isRunning
        state.isRunning = true
        return (false, starts)
      }
      guard !isFull else {
        var problem = Problem(.serviceUnavailable, "busy", "too many submissions wait for the disk; try again")
        problem.retryAfter = 1
        return answer.resume(throwing: problem)
      }
      if starts {
        threads.submit { status in
          guard case .active = status else { return self.end() }
          self.run(intake)
        }
      }
    }
  }

  /// One batch after the other, until nobody waits.
  private func run(_ intake: Intake) {
    while let entries = next() {
      let jobs = entries.flatMap(\.jobs)
      do {
        var results: [Result<Void, SpoolError>]
        if jobs.count == 1 {
          do throws(SpoolError) {
            try intake.submit(jobs[0])
            results = [.success(())]
          } catch {
            results = [.failure(error)]
          }
        } else {
          results = try intake.submit(bulk: jobs)
        }
        for entry in entries {
          entry.answer.resume(returning: Array(results.prefix(entry.jobs.count)))
          results.removeFirst(entry.jobs.count)
        }
      } catch {
        for entry in entries { entry.answer.resume(throwing: error) }
      }
    }
  }

  private func next() -> [Entry]? {
    state.withLockedValue { state in
      guard !state.waiting.isEmpty else {
        state.isRunning = false
        return nil
      }
      var taken = 0
      var count = 0
      while taken < state.waiting.count, taken == 0 || count + state.waiting[taken].jobs.count <= SubmissionQueue.batch
      {
        count += state.waiting[taken].jobs.count
        taken += 1
      }
      let entries = Array(state.waiting.prefix(taken))
      state.waiting.removeFirst(taken)
      state.count -= count
      return entries
    }
  }

  /// The program ends.
  private func end() {
    let entries = state.withLockedValue { state -> [Entry] in
      let entries = state.waiting
      state = State()
      return entries
    }
    var problem = Problem(.serviceUnavailable, "stopping", "this program is stopping; try again")
    problem.retryAfter = 1
    for entry in entries { entry.answer.resume(throwing: problem) }
  }
}
