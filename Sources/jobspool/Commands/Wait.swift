/// `wait`: until jobs have ended.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Wait: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Wait until jobs have ended; 0 when all are done, 1 when one is dead.",
    discussion: """
      Prints each id and where it ended, in the order in which they end.

        jobspool wait 0190f3b2-… && echo done
        jobspool submit --bulk jobs.jsonl | jobspool wait -
      """)

  @Argument(help: "Ids, or - for one per line of standard input.")
  var ids: [String]

  @Option(help: "Give up after this long (75): 90s, 5m, 2h.")
  var timeout: String?

  @OptionGroup var options: SpoolOptions

  func run() throws {
    var limit: Duration?
    if let timeout {
      guard let duration = DurationText.parse(timeout) ?? DurationText.parse(seconds: timeout) else {
        throw ValidationError("--timeout: expected \(DurationText.expected)")
      }
      limit = duration
    }
    let reader = try options.reader()
    let ids = try JobChoice.ids(ids)
    var isDead = false
    let bar = WaitingBar(reader, count: ids.count)
    try Waiting(reader).wait(for: ids, timeout: limit, waiting: bar.show) { id, state in
      bar.clear()
      if state == .dead { isDead = true }
      try EndReport(reader, json: options.json).line(of: id, in: state)
    }
    if isDead { throw Failure.silent(1) }
  }
}

/// What is said of a job that has ended.
struct EndReport {
  let reader: SpoolReader
  let json: Bool

  init(_ reader: SpoolReader, json: Bool) {
    self.reader = reader
    self.json = json
  }

  /// The result, or with JSON the end with everything about it.
  func result(of id: String, in state: JobState) throws {
    let file = try reader.file(id)
    guard let record = file?.record else {
      // A producer in a system spool may test for the name, which is all it needs.
      if json { object(id, state, nil, nil) }
      return
    }
    let result = file.flatMap(shownResult)
    if json { return object(id, state, record, result) }
    if state == .dead {
      let error = record.error.map { ": \($0.message)" } ?? ""
      Console.complain("\(id) is dead (\(record.outcome?.rawValue ?? "unknown"))\(Console.plain(error))")
    }
    if let result { Console.write(result + [0x0A]) } else if state == .done { Console.line("null") }
  }

  /// Id and state, or with JSON the same object as `result`.
  func line(of id: String, in state: JobState) throws {
    guard json else { return Console.line("\(id) \(state.rawValue)") }
    let file = try reader.file(id)
    object(id, state, file?.record, file.flatMap(shownResult))
  }

  private func shownResult(_ file: JobFile) -> [UInt8]? {
    guard file.record?.result != nil else { return nil }
    let shown = reader.redaction(of: file.job?.type ?? "").apply(to: file.bytes)
    return JSONPointer("/jobspool/result")?.places(in: shown).first.map { Array(shown[$0]) }
  }

  private func object(_ id: String, _ state: JobState, _ record: JobRecord?, _ result: [UInt8]?) {
    Console.json { writer in
      writer.beginObject()
      writer.key("id")
      writer.string(id)
      writer.key("state")
      writer.string(state.rawValue)
      if let outcome = record?.outcome {
        writer.key("outcome")
        writer.string(outcome.rawValue)
      }
      if let result {
        writer.key("result")
        writer.raw(result)
      }
      if let error = record?.error {
        writer.key("error")
        error.write(to: &writer)
      }
      writer.endObject()
    }
  }
}
