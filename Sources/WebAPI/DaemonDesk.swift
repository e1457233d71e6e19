/// Asking the daemon for what only it may do: a request in `ctl/`, with whom it is for. The wait for its answer has threads of its
/// own, so that a daemon that takes its time holds up no reader.
internal import HTTPTypes
internal import JobModel
internal import NIOPosix
internal import SpoolStore

struct DaemonDesk: Sendable {
  private let spool: Spool
  private let threads: NIOThreadPool
  private static let patience = Duration.seconds(10)
  /// Jobs in one request: an answer then comes well within `patience`.
  private static let requestSize = 500

  init(_ spool: Spool, threads: NIOThreadPool) {
    self.spool = spool
    self.threads = threads
  }

  /// What became of one job.
  struct Outcome: Sendable {
    var job: String
    /// nil: gone, or failed.
    var state: JobState?
    var failure: Problem?
  }

  func perform(_ verb: OperatorVerb, _ ids: [String], for subject: String) async throws -> [Outcome] {
    var outcomes: [Outcome] = []
    var rest = ids[...]
    while !rest.isEmpty {
      let some = rest.prefix(DaemonDesk.requestSize)
      rest = rest.dropFirst(some.count)
      outcomes += try await ask(verb.rawValue, about: Array(some), for: subject)
    }
    return outcomes
  }

  /// Asks for something to be done with what bears these names.
  func ask(
    _ verb: String, _ key: StaticString = "jobs", about names: [String], for subject: String
  ) async throws -> [Outcome] {
    try await ask(verb, for: subject) { writer in
      writer.key(key)
      writer.beginArray()
      for name in names { writer.string(name) }
      writer.endArray()
    }
  }

  /// Sends `{"do": …, "subject": …, …}` and reads what became of each job.
  ///
  /// Throws a problem when the daemon is down, or refuses the request as a whole.
  func ask(_ verb: String, for subject: String, _ write: (inout JSONWriter) -> Void) async throws -> [Outcome] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("do")
    writer.string(verb)
    writer.key("subject")
    writer.string(subject)
    write(&writer)
    writer.endObject()
    let request = writer.bytes
    let spool = spool
    let answer = try await threads.runIfActive { () throws -> JSONValue in
      guard SpoolLock.holder(spool)?.program == "jobspoold" else { throw Problem.noDaemon }
      return try Control(spool).ask(request, at: .current, timeout: DaemonDesk.patience)
    }
    guard answer["ok"]?.bool == true else { throw DaemonDesk.problem(answer) }
    return (answer["results"]?.array ?? []).map { result in
      var outcome = Outcome(job: result["job"]?.string ?? "")
      if result["ok"]?.bool == true {
        outcome.state = result["state"]?.string.flatMap(JobState.init(rawValue:))
      } else {
        outcome.failure = DaemonDesk.problem(result)
      }
      return outcome
    }
  }

  private static func problem(_ answer: JSONValue) -> Problem {
    let message = answer["message"]?.string ?? "the daemon refused"
    let error = SpoolError(.named(answer["code"]?.string ?? ""), message)
    return Problem(error) ?? Problem(.conflict, answer["code"]?.string ?? "refused", message)
  }
}

extension Problem {
  static var noDaemon: Problem {
    var problem = Problem(
      .serviceUnavailable, "needs_daemon", "no daemon runs on the spool, and only it may do this; start jobspoold")
    problem.retryAfter = 5
    return problem
  }
}
