/// `submit --bulk FILE --then JOB`: many jobs, and one more when all of them are done.
///
/// The job that follows is published last, so the daemon never sees its batch without all members; and only when every
/// line was accepted, so it never runs on half of what it was meant for. That batches are waited for is the daemon's part.
internal import JobModel
internal import JobSubmission
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

/// The job that follows a bulk, and the batches it waits for.
struct Follower {
  /// As the user wrote it.
  var text: [UInt8]
  var job: Job
  /// Those of the lines, each once, in their order.
  var batches: [String] = []

  mutating func wait(for batch: String) {
    if !batches.contains(batch) { batches.append(batch) }
  }

  /// The job with `after` naming the batches, besides what it waits for already.
  func document() -> [UInt8] {
    var parents: [String] = []
    for parent in job.after {
      switch parent {
      case .job(let id): parents.append(id)
      case .batch(let name): parents.append("batch:\(name)")
      }
    }
    for name in batches where !parents.contains("batch:\(name)") { parents.append("batch:\(name)") }
    var writer = JSONWriter(reserving: text.count + 256)
    writer.beginArray()
    for parent in parents { writer.string(parent) }
    writer.endArray()
    return text.replacingMember("after", with: writer.bytes) + [0x0A]
  }
}

extension Submit {
  /// `--then` as JSON or @FILE, checked; nil without it.
  func follower(_ configuration: Configuration, _ spool: Spool) throws -> Follower? {
    guard let then else { return nil }
    let text = (then.first == "@" ? try Input.read(String(then.dropFirst())) : Array(then.utf8)).trimmed
    let job: Job
    do throws(JobProblem) { job = try checked(text, configuration) } catch {
      throw Failure("--then: \(error.message); it takes a job such as '{\"type\":\"echo\"}', or @FILE", exit: 65)
    }
    if let problem = refusal(of: job.type, configuration, spool) {
      throw Failure("--then: \(problem.message)", exit: 77)
    }
    // Nothing of the bulk is to be written when this cannot be sealed in the end.
    _ = try sealed(job, Sealer(configuration), configuration)
    return Follower(text: text, job: job)
  }

  /// Submits the follower, which must come after all members of its batches; returns its id.
  func submit(_ follower: Follower, _ intake: Intake, _ configuration: Configuration) throws -> String {
    let job = try sealed(checked(follower.document(), configuration), Sealer(configuration), configuration)
    let id = job.id ?? newID()
    try intake.submit(Intake.Submission(id: id, bytes: job.bytes))
    return id
  }
}

extension [UInt8] {
  /// A JSON object's text with `key` set to `value`: an earlier value of it is replaced in place, else it comes first.
  /// The object has a member already and no duplicate keys, as a scanned job does.
  func replacingMember(_ key: String, with value: [UInt8]) -> [UInt8] {
    guard let range = JSONPointer("/\(key)")?.places(in: self).first else {
      return [UInt8(ascii: "{")] + Array("\"\(key)\":".utf8) + value + [UInt8(ascii: ",")] + self[1...]
    }
    return self[..<range.lowerBound] + value + self[range.upperBound...]
  }
}
