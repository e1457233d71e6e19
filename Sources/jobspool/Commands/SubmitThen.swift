/// `submit --bulk FILE --then JOB`: many jobs, and one more when all of them are done.
///
/// The job that follows is published last, so the daemon never sees its batch without all members; and only when every
/// line was accepted, so it never runs on half of what it was meant for. That batches are waited for is the daemon's part.
internal import JobModel
internal import SpoolHistory

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

  /// - Parameter text: the job as JSON, or @FILE.
  init(_ text: String, _ desk: SubmissionDesk) throws {
    self.text = (text.first == "@" ? try Input.read(String(text.dropFirst())) : Array(text.utf8)).trimmed
    do throws(JobProblem) { job = try desk.checked(self.text) } catch {
      throw Failure("--then: \(error.message); it takes a job such as '{\"type\":\"echo\"}', or @FILE", exit: 65)
    }
    do throws(SubmissionDesk.Refusal) { try desk.checkPermission(for: job.type) } catch {
      throw Failure("--then: \(error.message)", exit: error.exit)
    }
    // Nothing of the bulk is to be written when this cannot be sealed in the end.
    do throws(SubmissionDesk.Refusal) { _ = try desk.sealed(job) } catch { throw error.failure }
  }

  /// Must come after all members of its batches. Returns its id.
  func submit(_ desk: SubmissionDesk) throws -> String {
    let complete = try desk.checked(document())
    let id = complete.id ?? SubmissionDesk.newID()
    let sealed: Job
    do throws(SubmissionDesk.Refusal) { sealed = try desk.sealed(complete) } catch { throw error.failure }
    try desk.submit(sealed, id: id)
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
