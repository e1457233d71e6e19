/// `submit`: one job from options, or many from JSON lines, durable when the command ends.
internal import ArgumentParser
internal import JobModel
internal import JobSubmission
internal import SpoolHistory
internal import SpoolStore

struct Submit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Submit a job, or many; prints the id alone.",
    discussion: """
      The job is on the disk for good when the command ends, whether a daemon runs or not. With an id of your own, or \
      with --unique, submitting twice makes one job: the second time ends with 73.

        jobspool submit echo --payload '{"n":1}' --tag nightly
        jobspool submit resize --payload @job.json --delay 5m --after 0190f3b2
        seq 3 | jq -c '{type:"echo",payload:.}' | jobspool submit --bulk -
        jobspool submit --bulk pages.jsonl --then '{"type":"bind"}'

      --unique KEY makes the id TYPE- and the first 32 digits of SHA-256 over type, a zero byte and KEY.
      """)

  @Argument(help: "The type: which handler runs it.")
  var type: String?

  @Option(help: ArgumentHelp("The payload: JSON, @FILE, or - for standard input.", valueName: "json|@file|-"))
  var payload: String?

  @Option(help: "The id; by default a new one is made.")
  var id: String?

  @Option(help: ArgumentHelp("Make the id from this key, so that the same key makes one job.", valueName: "key"))
  var unique: String?

  @Option(help: "0 (first) to 9; 5 by default.")
  var priority: Int?

  @Option(help: "Not before this long from now: 90s, 5m, 2h, 1d.")
  var delay: String?

  @Option(help: ArgumentHelp("Not before this time: RFC 3339 with offset.", valueName: "time"))
  var at: String?

  @Option(name: .customLong("expires-at"), help: ArgumentHelp("Bury it if not started by then.", valueName: "time"))
  var expiresAt: String?

  @Option(help: ArgumentHelp("Only after this job, or batch:NAME, is done; may be repeated.", valueName: "id"))
  var after: [String] = []

  @Option(name: .customLong("on-parent-dead"), help: "What when one of those dies: bury (default) or run.")
  var onParentDead: String?

  @Option(help: "A name shared by jobs that belong together; with --bulk for lines without one.")
  var batch: String?

  @Option(help: "The job that submits it; inside a handler that is known.")
  var parent: String?

  @Option(help: "A tag; may be repeated.")
  var tag: [String] = []

  @Option(help: ArgumentHelp("Free data: KEY=VALUE, repeated, or one JSON object.", valueName: "key=value"))
  var meta: [String] = []

  @Option(name: .customLong("max-attempts"), help: "Instead of the handler's.")
  var maxAttempts: Int?

  @Option(help: "Instead of the handler's: 90s, 5m, 2h.")
  var timeout: String?

  @Option(help: "Raise the notices of this kind for it: done, dead, retried …; may be repeated.")
  var notify: [String] = []

  @Option(
    help: ArgumentHelp("Submit every line of a file, or of - , in one commit: each a job as JSON.", valueName: "file|-")
  )
  var bulk: String?

  @Option(
    help: ArgumentHelp(
      "With --bulk: this job too, when all of them are done. They get a batch name, unless they have one.",
      valueName: "json|@file"))
  var then: String?

  @Flag(help: "Wait for the end and print the result; 0 done, 1 dead.")
  var wait = false

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    if bulk != nil {
      let others: [Any?] = [
        type, payload, id, unique, priority, delay, at, expiresAt, maxAttempts, timeout, onParentDead,
      ]
      guard others.allSatisfy({ $0 == nil }), [after, tag, meta, notify].allSatisfy(\.isEmpty), parent == nil else {
        throw ValidationError(
          "--bulk takes everything from its lines; leave out the type and the other options but --batch and --then")
      }
      if let batch, !JobID.isValid(batch) {
        throw ValidationError("--batch \(Console.plain(batch)): expected \(JobID.expected)")
      }
      return
    }
    if then != nil {
      throw ValidationError("--then goes with --bulk; for a single job submit the next with --after ID")
    }
    guard type != nil else { throw ValidationError("say which type: jobspool submit TYPE, or --bulk FILE") }
    if id != nil, unique != nil { throw ValidationError("give --id or --unique, not both") }
    if delay != nil, at != nil { throw ValidationError("give --delay or --at, not both") }
    if let priority, !(0...9).contains(priority) { throw ValidationError("--priority goes from 0 to 9") }
  }

  func run() throws {
    let spool = try options.open()
    let desk = SubmissionDesk(spool, options.configuration(of: spool))
    let (ids, status) = try bulk.map { try submitLines($0, desk) } ?? ([try submitOne(desk)], 0)
    guard wait else {
      if status != 0 { throw Failure.silent(status) }
      return
    }
    let after = SpoolReader(spool, configuration: desk.configuration, now: .current)
    var worst = status
    let bar = WaitingBar(after, count: ids.count)
    try Waiting(after).wait(for: ids, timeout: nil, waiting: bar.show) { id, state in
      bar.clear()
      try EndReport(after, json: options.json).result(of: id, in: state)
      if state == .dead { worst = 1 }
    }
    if worst != 0 { throw Failure.silent(worst) }
  }

  private func printID(_ id: String) {
    guard options.json else { return Console.line(id) }
    Console.json { writer in
      writer.beginObject()
      writer.key("id")
      writer.string(id)
      writer.endObject()
    }
  }

  // MARK: One job

  private func submitOne(_ desk: SubmissionDesk) throws -> String {
    var desk = desk
    let bytes = try document()
    var job: Job
    do throws(JobProblem) { job = try desk.checked(bytes) } catch {
      // Line and column would be those of a text the user never saw.
      throw Failure(error.message, exit: 65)
    }
    let id = job.id ?? SubmissionDesk.newID()
    do throws(SubmissionDesk.Refusal) { job = try desk.admit(job, id: id) } catch { throw error.failure }
    desk.warnUnknown([job.type])
    try desk.submit(job, id: id)
    if !wait { printID(id) }
    return id
  }

  private func document() throws -> [UInt8] {
    let type = type ?? ""
    var writer = JSONWriter(reserving: 512)
    writer.beginObject()
    writer.key("type")
    writer.string(type)
    if let id = id ?? unique.map({ UniqueID.make(type: type, key: $0) }) {
      guard JobID.isValid(id) else { throw Failure("--id \(Console.plain(id)): expected \(JobID.expected)", exit: 65) }
      writer.key("id")
      writer.string(id)
    }
    if let priority {
      writer.key("priority")
      writer.int(priority)
    }
    write("delay", durationValue(delay), &writer)
    write("run_at", at, &writer)
    write("expires_at", expiresAt, &writer)
    if let maxAttempts {
      writer.key("max_attempts")
      writer.int(maxAttempts)
    }
    write("timeout", durationValue(timeout), &writer)
    write("after", after, &writer)
    write("on_parent_dead", onParentDead, &writer)
    write("batch", batch, &writer)
    write("parent", parent ?? environmentParent, &writer)
    write("tags", tag, &writer)
    write("notify", notify, &writer)
    if let meta = try metaText() {
      writer.key("meta")
      writer.raw(meta)
    }
    if let payload = try payloadText() {
      writer.key("payload")
      writer.raw(payload)
    }
    writer.endObject()
    return writer.bytes + [0x0A]
  }

  /// Inside a handler the environment says which job runs.
  private var environmentParent: String? {
    Console.environment("JOBSPOOL_ID").flatMap { JobID.isValid($0) ? $0 : nil }
  }

  private func write(_ key: StaticString, _ text: String?, _ writer: inout JSONWriter) {
    guard let text else { return }
    writer.key(key)
    writer.string(text)
  }

  private func write(_ key: StaticString, _ texts: [String], _ writer: inout JSONWriter) {
    guard !texts.isEmpty else { return }
    writer.key(key)
    writer.beginArray()
    for text in texts { writer.string(text) }
    writer.endArray()
  }

  /// A bare number is seconds, in a file as a number.
  private func durationValue(_ text: String?) -> String? {
    guard let text, DurationText.parse(text) == nil, DurationText.parse(seconds: text) != nil else { return text }
    return "\(text)s"
  }

  private func payloadText() throws -> [UInt8]? {
    guard let payload else { return nil }
    let bytes: [UInt8]
    switch payload.first {
    case "@": bytes = try Input.read(String(payload.dropFirst()))
    case "-" where payload == "-": bytes = try Input.read(nil)
    default: bytes = Array(payload.utf8)
    }
    do throws(JSONReader.Problem) { try JSONReader.check(bytes) } catch {
      let place = bytes.withUnsafeBufferPointer { TextPlace(offset: error.offset, in: $0) }
      let hint = payload.first == "@" || payload == "-" ? "" : " (text needs quotes of its own: '\"text\"')"
      throw Failure(
        "the payload is no JSON: line \(place.line), column \(place.column): \(error.message)\(hint)", exit: 65)
    }
    return bytes.trimmed
  }

  private func metaText() throws -> [UInt8]? {
    guard let first = meta.first else { return nil }
    if meta.count == 1, first.hasPrefix("{") {
      let bytes = Array(first.utf8)
      guard (try? JSONReader.parse(bytes)) != nil else {
        throw Failure("--meta begins with '{' but is no JSON object", exit: 65)
      }
      return bytes
    }
    var writer = JSONWriter()
    writer.beginObject()
    for pair in meta {
      guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
        throw Failure("--meta \(Console.plain(pair)): expected KEY=VALUE", exit: 64)
      }
      writer.key(escaping: String(pair[..<equals]))
      writer.string(pair[pair.index(after: equals)...])
    }
    writer.endObject()
    return writer.bytes
  }

  // MARK: Many

  /// The ids that were accepted, and the exit code for the others.
  private func submitLines(_ source: String, _ desk: SubmissionDesk) throws -> ([String], Int32) {
    var run = BulkSubmit(desk, then: try then.map { try Follower($0, desk) })
    run.read(try Input.read(source == "-" ? nil : source), batch: batch)
    if let hindrance = run.hindrance(in: source) {
      tell(run)
      throw hindrance
    }
    try run.submit()
    do { try run.submitFollower() } catch {
      tell(run)
      if run.exit == 0 {
        let options = run.afterThem
        Console.complain("the lines were submitted, the job of --then was not; it may follow them with \(options)")
      }
      throw error
    }
    tell(run)
    return (run.ids, run.exit)
  }

  private func tell(_ run: BulkSubmit) {
    run.complain()
    guard !wait else { return }
    if options.json { run.printJSON() } else { run.printIDs() }
  }
}

extension [UInt8] {
  /// Without JSON's white space at both ends.
  var trimmed: [UInt8] {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
    guard let start = firstIndex(where: { !isSpace($0) }), let end = lastIndex(where: { !isSpace($0) }) else {
      return []
    }
    return Array(self[start...end])
  }
}
