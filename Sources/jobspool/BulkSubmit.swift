internal import JobModel
internal import JobSubmission
internal import SpoolStore

/// `submit --bulk`: every line a job, and all that are taken in one commit.
struct BulkSubmit {
  /// A line that is not empty, and what became of it; the job of `--then` is the last.
  private struct Line {
    var number: Int
    var id: String?
    var refusal: SubmissionDesk.Refusal?
  }

  private var desk: SubmissionDesk
  private var follower: Follower?
  private var lines: [Line] = []
  private var submissions: [Intake.Submission] = []
  /// Where in `lines` each of the submissions stands.
  private var places: [Int] = []
  private var types = Set<String>()

  init(_ desk: SubmissionDesk, then follower: Follower?) {
    self.desk = desk
    self.follower = follower
    if let follower { types.insert(follower.job.type) }
  }

  /// The ids that were accepted, in the order of their lines.
  var ids: [String] { lines.compactMap(\.id) }

  /// 0 when all of them were.
  var exit: Int32 { lines.compactMap { $0.refusal?.exit }.max() ?? 0 }

  // MARK: Reading

  /// - Parameter batch: for the lines that name none.
  mutating func read(_ bytes: [UInt8], batch: String?) {
    let batch = batch ?? (follower == nil ? nil : SubmissionDesk.newID())
    for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
      let text = Array(line).trimmed
      guard !text.isEmpty else { continue }
      var entry = Line(number: index + 1)
      do throws(SubmissionDesk.Refusal) {
        submissions.append(try read(line: text, batch: batch))
        places.append(lines.count)
      } catch {
        entry.refusal = error
      }
      lines.append(entry)
    }
    desk.warnUnknown(types)
  }

  private mutating func read(line: [UInt8], batch: String?) throws(SubmissionDesk.Refusal) -> Intake.Submission {
    var job: Job
    do throws(JobProblem) {
      job = try desk.checked(line)
      if let batch, job.batch == nil {
        job = try desk.checked(line.replacingMember("batch", with: Array("\"\(batch)\"".utf8)))
      }
    } catch {
      throw SubmissionDesk.Refusal(message: error.message, exit: 65, code: error.code.rawValue)
    }
    if let name = job.batch { follower?.wait(for: name) }
    types.insert(job.type)
    let id = job.id ?? SubmissionDesk.newID()
    return Intake.Submission(id: id, bytes: try desk.admit(job, id: id).bytes + [0x0A])
  }

  // MARK: Submitting

  /// Why nothing is to be submitted, if so: a job that follows all lines must not run on half of them.
  func hindrance(in source: String) -> Failure? {
    guard follower != nil else { return nil }
    if lines.isEmpty {
      return Failure("\(source): no jobs in it, so --then has nothing to follow; nothing was submitted", exit: 65)
    }
    guard exit != 0 else { return nil }
    return Failure("nothing was submitted, because --then follows all lines; mend those above", exit: exit)
  }

  /// Throws when none was accepted because of the spool itself.
  mutating func submit() throws {
    let bar = ProgressBar("submitting", total: submissions.count)
    let results = try desk.submit(bulk: submissions) { bar.show($0) }
    bar.clear()
    for (index, result) in results.enumerated() {
      switch result {
      case .success: lines[places[index]].id = submissions[index].id
      case .failure(let error): lines[places[index]].refusal = SubmissionDesk.Refusal(error)
      }
    }
  }

  /// It comes last, so that the daemon never sees a batch of its without all members.
  mutating func submitFollower() throws {
    guard let follower else { return }
    guard exit == 0 else {
      throw Failure(
        "the job of --then was not submitted, because not all lines were; it may follow them later: \(afterThem)",
        exit: exit)
    }
    lines.append(Line(number: 0, id: try follower.submit(desk)))
  }

  /// The options by which a job follows the lines.
  var afterThem: String { (follower?.batches ?? []).map { "--after batch:\($0)" }.joined(separator: " ") }

  // MARK: Telling

  func complain() {
    for line in lines { if let refusal = line.refusal { Console.complain("line \(line.number): \(refusal.message)") } }
  }

  func printIDs() { Console.write(ids.flatMap { Array($0.utf8) + [0x0A] }) }

  func printJSON() {
    Console.json { writer in
      writer.beginArray()
      for line in lines {
        writer.beginObject()
        if let id = line.id {
          writer.key("id")
          writer.string(id)
        }
        if let refusal = line.refusal {
          writer.key("line")
          writer.int(line.number)
          writer.key("error")
          JobError(code: refusal.code, message: refusal.message).write(to: &writer)
        }
        writer.endObject()
      }
      writer.endArray()
    }
  }
}
