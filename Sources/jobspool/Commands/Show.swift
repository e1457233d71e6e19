/// `show`: one job in full.
internal import ArgumentParser
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a job in full: state, attempts, result, error.",
    discussion: """
      With --json the job's file as it is; while the daemon has not added its record ("jobspool") yet, with one that \
      says where it is. Values that its handler's `redact` or `encrypt` names are masked.

        jobspool show 0190f3b2-…
        jobspool show 0190f3b2-… --json | jq .jobspool.result
      """)

  @Argument(help: "The job.")
  var id: String

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    guard let file = try reader.file(id) else {
      throw SpoolError(.noSuchJob, "no job \(Console.plain(id)) in \(reader.spool.path)")
    }
    if case .failure(let problem) = file.content, problem.code == .unreadable {
      throw SpoolError(.denied, problem.message)
    }
    guard let job = file.job else { return refused(file) }
    let row = try reader.row(file, Parents(reader))
    let record = current(file, row, reader)
    // A record that is there and says what is so stays as it is, keys of a later version included.
    let isCurrent = file.state != .cur && job.record?.state == file.state
    let whole = reader.redaction(of: job.type).apply(to: isCurrent ? file.bytes : job.completed(with: record))
    if options.json {
      Console.write(whole.last == 0x0A ? whole : whole + [0x0A])
    } else {
      Console.write(Array(View(reader, file, job, row, record, whole).text.utf8))
    }
  }

  /// The file's record, or for a job that has none yet, or that runs again, one that says what is so now.
  private func current(_ file: JobFile, _ row: JobRow, _ reader: SpoolReader) -> JobRecord {
    let node = reader.status?.node ?? file.record?.node ?? ""
    var record =
      file.record
      ?? JobRecord(id: file.id, state: file.state, submittedAt: row.submittedAt, updatedAt: row.updatedAt, node: node)
    record.state = file.state
    if file.state == .cur {
      record.attempt = row.attempt
      record.progress = row.progress
      record.error = nil
    }
    return record
  }

  /// A file that is no job (yet).
  private func refused(_ file: JobFile) {
    guard case .failure(let problem) = file.content else { return }
    if options.json {
      return Console.json { writer in
        writer.beginObject()
        writer.key("jobspool")
        writer.beginObject()
        writer.key("id")
        writer.string(file.id)
        writer.key("state")
        writer.string(file.state.rawValue)
        writer.key("error")
        problem.error.write(to: &writer)
        writer.endObject()
        writer.endObject()
      }
    }
    Console.line(
      "\(file.id) is in \(file.state.rawValue) and does not read as a job: \(Console.plain(problem.description))")
  }
}

/// The view for a person.
private struct View {
  let reader: SpoolReader
  let file: JobFile
  let job: Job
  let row: JobRow
  let record: JobRecord
  /// The whole text, masked: what is shown of payload, meta and result comes from here.
  let whole: [UInt8]

  init(_ reader: SpoolReader, _ file: JobFile, _ job: Job, _ row: JobRow, _ record: JobRecord, _ whole: [UInt8]) {
    self.reader = reader
    self.file = file
    self.job = job
    self.row = row
    self.record = record
    self.whole = whole
  }

  var text: String {
    var table = Table()
    func add(_ name: String, _ text: String?, _ colour: Console.Colour? = nil) {
      if let text { table.add([(name, .faint), (Console.plain(text), colour)]) }
    }
    let now = reader.now
    func time(_ time: WallTime?) -> String? { time.map { "\($0.rfc3339)  (\(ago($0, now)))" } }
    add("id", row.id)
    add("type", row.type)
    let (state, colour) = StateText.of(row)
    add("state", state, colour)
    let submitter =
      row.submittedBy.map { " by \($0.subject.map { "\($0) through " } ?? "")\($0.user) (uid \($0.uid))" } ?? ""
    add("submitted", time(row.submittedAt).map { $0 + submitter })
    if row.state == .new { add("due", time(row.due)) }
    if row.state == .cur { add("started", time(row.startedAt)) }
    add("finished", time(row.finishedAt))
    if let ran = row.duration(now: now), row.state != .new { add("ran", Age.text(ran)) }
    if row.priority != 5 { add("priority", "\(row.priority)") }
    add("batch", row.batch)
    add("parent", row.parent)
    let after = row.after.map {
      if case .batch(let name) = $0 { "batch:\(name)" } else if case .job(let id) = $0 { id } else { "" }
    }
    if !after.isEmpty { add("after", after.joined(separator: " ")) }
    if !row.tags.isEmpty { add("tags", row.tags.joined(separator: ", ")) }
    if let progress = record.progress { add("progress", describe(progress)) }
    if let error = record.error { add("error", "\(error.code): \(error.message)", .red) }
    if file.state == .dead, reader.spool.hasRoot("dead/\(row.id).bad") {
      add("file", "what was dropped is in dead/\(row.id).bad")
    }
    if reader.spool.hasRoot("log/jobs/\(row.id).log") { add("log", "jobspool log \(row.id)") }
    return table.text + attempts + section("meta", "/meta") + section("payload", "/payload")
      + section("result", "/jobspool/result") + section("details", "/jobspool/error/details")
  }

  private func ago(_ time: WallTime, _ now: WallTime) -> String {
    time > now ? "in \(Age.text(time - now))" : "\(time.age(now)) ago"
  }

  private func describe(_ progress: JobRecord.Progress) -> String {
    [progress.percent.map { "\(Int($0)) %" }, progress.stage, progress.message].compactMap { $0 }.joined(
      separator: ", ")
  }

  private var attempts: String {
    guard !record.attempts.isEmpty else { return "" }
    var table = Table(["ATTEMPT", "STARTED", "RAN", "OUTCOME", "EXIT", "ERROR"], indent: "  ")
    for attempt in record.attempts {
      let exit = attempt.exit.map { "\($0)" } ?? attempt.signal.map { "signal \($0)" } ?? "-"
      table.add([
        ("\(attempt.n)", nil), (attempt.startedAt.rfc3339, nil), (Age.text(attempt.endedAt - attempt.startedAt), nil),
        (attempt.outcome.rawValue, attempt.outcome == .done ? .green : .red), (exit, nil),
        (Console.shortened(Console.plain(attempt.error?.message ?? ""), to: 80), nil),
      ])
    }
    return "\n" + table.text
  }

  private func section(_ name: String, _ pointer: String) -> String {
    guard let place = JSONPointer(pointer)?.places(in: whole).first else { return "" }
    return "\n" + Console.paint(name, .faint) + "\n" + PrettyJSON.text(Array(whole[place]), indent: "  ") + "\n"
  }
}
