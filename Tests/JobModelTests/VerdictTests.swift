/// What an attempt's end means, as a table.
import JobModel
import Testing

@Suite("Verdicts")
struct VerdictTests {
  private let policy = RetryPolicy(maxAttempts: 3, spacing: .delays([.seconds(7), .seconds(8)]))

  @Test("every exit code finishes, buries or retries")
  func exits() {
    for code in Int32(0)...255 {
      let verdict = Verdict.of(ending: .exited(code), attempt: 1, policy: policy, random: 0.5)
      let expected: Verdict =
        switch code {
        case 0: .finish
        case 64, 65, 66, 77, 78, 100: .bury(.failed)
        default: .retry(after: .seconds(7))
        }
      #expect(verdict == expected, "exit \(code)")
      let last = Verdict.of(ending: .exited(code), attempt: 3, policy: policy, random: 0.5)
      #expect(last == (code == 0 ? .finish : .bury(.failed)), "exit \(code) of the last attempt")
    }
  }

  @Test("every signal retries, until the attempts are used up")
  func signals() {
    for signal in Int32(1)...31 {
      #expect(
        Verdict.of(ending: .signalled(signal), attempt: 2, policy: policy, random: 0.5) == .retry(after: .seconds(8)))
      #expect(Verdict.of(ending: .signalled(signal), attempt: 3, policy: policy, random: 0.5) == .bury(.failed))
    }
  }

  @Test("who stopped it counts for more than how it ended")
  func stopped() {
    for ending in [HandlerEnding.exited(0), .exited(65), .signalled(15), .crashed] {
      #expect(
        Verdict.of(ending: ending, stopReason: .cancelled, attempt: 1, policy: policy, random: 0.5) == .bury(.cancelled)
      )
      for reason in [StopReason.timeout, .stalled] {
        let verdict = Verdict.of(ending: ending, stopReason: reason, attempt: 2, policy: policy, random: 0.5)
        guard case .retry = verdict else {
          Issue.record("\(ending) after \(reason): \(verdict)")
          continue
        }
      }
    }
  }

  @Test("an error spoils an exit of 0, and the handler's word is final")
  func words() {
    let error = JobError(code: "too_much", message: "output")
    #expect(
      Verdict.of(ending: .exited(0), error: error, attempt: 1, policy: policy, random: 0.5)
        == .retry(after: .seconds(7)))
    #expect(
      Verdict.of(ending: .exited(1), permanent: true, attempt: 1, policy: policy, random: 0.5) == .bury(.failed))
    #expect(
      Verdict.of(ending: .exited(1), retryIn: .seconds(99), attempt: 1, policy: policy, random: 0.5)
        == .retry(after: .seconds(99)))
    #expect(
      Verdict.of(ending: .exited(1), retryIn: .seconds(99), attempt: 3, policy: policy, random: 0.5) == .bury(.failed))
  }

  @Test("a crash is tried again at once the first time only")
  func crashes() {
    #expect(Verdict.of(ending: .crashed, attempt: 1, policy: policy, random: 0.5) == .retry(after: .zero))
    #expect(
      Verdict.of(ending: .crashed, attempt: 2, crashes: 1, policy: policy, random: 0.5) == .retry(after: .seconds(8)))
    #expect(Verdict.of(ending: .crashed, attempt: 3, policy: policy, random: 0.5) == .bury(.failed))
  }

  @Test("attempts are named after what ended them")
  func outcomes() {
    let error = JobError(code: "c", message: "m")
    #expect(AttemptOutcome.of(ending: .exited(0), error: nil, stopReason: nil) == .done)
    #expect(AttemptOutcome.of(ending: .exited(0), error: error, stopReason: nil) == .failed)
    #expect(AttemptOutcome.of(ending: .exited(3), error: nil, stopReason: nil) == .failed)
    #expect(AttemptOutcome.of(ending: .signalled(9), error: nil, stopReason: .timeout) == .timeout)
    #expect(AttemptOutcome.of(ending: .exited(0), error: nil, stopReason: .stalled) == .stalled)
    #expect(AttemptOutcome.of(ending: .signalled(9), error: nil, stopReason: .cancelled) == .cancelled)
    #expect(AttemptOutcome.of(ending: .crashed, error: nil, stopReason: nil) == .crashed)
  }
}

@Suite("Retry policies")
struct RetryPolicyTests {
  @Test("double from 15 seconds to an hour by default")
  func doubling() {
    let waits = (1...10).map { RetryPolicy().wait(after: $0, random: 0.5).inSeconds }
    #expect(waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
  }

  @Test("spread by the jitter to both sides, and never beyond")
  func jitter() {
    let policy = RetryPolicy()
    #expect(policy.wait(after: 1, random: 0) == .seconds(12))
    #expect(policy.wait(after: 1, random: 0.999_999).inSeconds < 18.001)
    let wild = RetryPolicy(spacing: .backoff(base: .seconds(1), factor: 100, max: .seconds(3_155_760_000), jitter: 1))
    #expect(wild.wait(after: 1000, random: 0.999_999) > .zero)
    #expect(wild.wait(after: 1000, random: 0) == .zero)
  }

  @Test("given as delays wait just those, one attempt more than there are")
  func delays() {
    let policy = RetryPolicy(delays: [.seconds(5), .seconds(15), .seconds(60)])
    #expect(policy.maxAttempts == 4)
    #expect((1...5).map { policy.wait(after: $0, random: 0).inSeconds } == [5, 15, 60, 60, 60])
  }

  @Test("of a job override the handler's")
  func overrides() throws {
    func policy(_ json: String) throws -> RetryPolicy {
      try JobScanner.scan(Array("{\"type\":\"x\"\(json)}".utf8)).retryPolicy(RetryPolicy(maxAttempts: 9))
    }
    #expect(try policy("").maxAttempts == 9)
    #expect(try policy(",\"max_attempts\":2").maxAttempts == 2)
    #expect(try policy(",\"delays\":[1,2]") == RetryPolicy(delays: [.seconds(1), .seconds(2)]))
    #expect(try policy(",\"delays\":[1,2],\"max_attempts\":9").maxAttempts == 9)
    #expect(try policy(",\"backoff\":{\"base\":\"1s\"}").wait(after: 2, random: 0.5) == .seconds(2))
    #expect(try policy(",\"backoff\":{}").maxAttempts == 9)
  }
}
