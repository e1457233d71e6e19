/// One verb on the chosen jobs, and what is said about it: nothing when all went well and no person looks, every failure,
/// and the exit code of the worst.
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct VerbRun {
  let options: SpoolOptions
  let jobs: JobChoice

  init(_ options: SpoolOptions, _ jobs: JobChoice) {
    self.options = options
    self.jobs = jobs
  }

  func perform(_ verb: OperatorVerb, done: String, places: [JobState]) throws {
    let reader = try options.reader()
    let ids = try jobs.resolve(reader, places: places)
    let outcomes = try Operations(reader: reader).perform(verb, ids)
    if options.json { json(outcomes) }
    var exit: Int32 = 0
    for outcome in outcomes {
      guard let failure = outcome.failure else { continue }
      // The first one's: a script that acts on one job gets that job's code.
      if exit == 0 { exit = failure.code.exit }
      Console.complain(Console.plain(failure.message))
    }
    let count = outcomes.count { $0.failure == nil }
    if !options.json { Console.remark("\(count) \(done)") }
    if exit != 0 { throw Failure.silent(exit) }
  }

  private func json(_ outcomes: [Operations.Outcome]) {
    Console.json { writer in
      writer.beginArray()
      for outcome in outcomes {
        writer.beginObject()
        writer.key("job")
        writer.string(outcome.job)
        writer.key("ok")
        writer.bool(outcome.failure == nil)
        if let failure = outcome.failure {
          writer.key("code")
          writer.string(failure.code.name)
          writer.key("message")
          writer.string(failure.message)
        } else if let state = outcome.state {
          writer.key("state")
          writer.string(state.rawValue)
        }
        writer.endObject()
      }
      writer.endArray()
    }
  }
}
