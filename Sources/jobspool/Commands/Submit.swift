/// `submit`: one job from options, or many from JSON lines, durable when the command ends.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import JobSubmission
internal import SpoolConfig
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
    let configuration = options.configuration(of: spool)
    let intake = Intake(spool, minFree: configuration.settings.minFree)
    let reader = SpoolReader(spool, configuration: configuration, now: .current)
    let ids: [String]
    var status: Int32 = 0
    if let bulk {
      let follower = try follower(configuration, spool)
      (ids, status) = try submitLines(bulk, then: follower, intake, reader, configuration)
    } else {
      let bytes = try document()
      var job: Job
      do throws(JobProblem) { job = try checked(bytes, configuration) } catch {
        // Line and column would be those of a text the user never saw.
        throw Failure(error.message, exit: 65)
      }
      if let problem = refusal(of: job.type, configuration, spool) { throw Failure(problem.message, exit: 77) }
      if let refusal = RateGate().refusal(of: job, reader), try !isTaken(job, spool) {
        throw Failure(refusal.message, exit: 75)
      }
      job = try sealed(job, Sealer(configuration), configuration)
      warnUnknown([job.type], configuration)
      let id = job.id ?? newID()
      try intake.submit(Intake.Submission(id: id, bytes: job.bytes))
      ids = [id]
      if !wait { printID(id) }
    }
    guard wait else {
      if status != 0 { throw Failure.silent(status) }
      return
    }
    let after = SpoolReader(spool, configuration: configuration, now: .current)
    var worst = status
    let bar = WaitingBar(after, count: ids.count)
    try Waiting(after).wait(for: ids, timeout: nil, waiting: bar.show) { id, state in
      bar.clear()
      try EndReport(after, json: options.json).result(of: id, in: state)
      if state == .dead { worst = 1 }
    }
    if worst != 0 { throw Failure.silent(worst) }
  }

  /// A duplicate is answered as one, and counts for no rate.
  private func isTaken(_ job: Job, _ spool: Spool) throws -> Bool {
    guard let id = job.id else { return false }
    return try spool.state(of: id) != nil
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

  func newID() -> String { JobID.make(at: .current, random: (spool_random(), spool_random())) }

  // MARK: One job

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

  /// The job as the daemon will read it, or why it will not.
  func checked(_ bytes: [UInt8], _ configuration: Configuration) throws(JobProblem) -> Job {
    try SubmissionCheck.checked(bytes, configuration)
  }

  /// What is written of it: with its secrets sealed, which makes it longer.
  func sealed(_ job: Job, _ sealer: Sealer, _ configuration: Configuration) throws(Failure) -> Job {
    let sealed: Job
    do throws(SecretProblem) { sealed = try sealer.sealed(job) } catch { throw Failure(error.message, exit: 78) }
    let limit = configuration.settings.maxJobBytes
    guard sealed.bytes.count <= limit else {
      throw Failure("sealed, the job has \(sealed.bytes.count) bytes; max_job_bytes allows \(limit)", exit: 65)
    }
    return sealed
  }

  /// What the daemon will say of this user, as far as it can be told here; it decides by the owner of the file.
  func refusal(of type: String, _ configuration: Configuration, _ spool: Spool) -> JobProblem? {
    guard let allow = configuration.handlers[type]?.allow, !allow.isEmpty,
      let owner = try? spool.syscalls.status(spool.descriptor(JobState.cur)).uid
    else { return nil }
    var accounts = Accounts(daemonUID: owner)
    return accounts.maySubmit(geteuid(), allow)
      ? nil : .notAllowed(accounts.name(of: geteuid()), type: type, allow: allow)
  }

  private func warnUnknown(_ types: Set<String>, _ configuration: Configuration) {
    let folder = "\(configuration.folder)/handlers"
    guard access(folder, R_OK | X_OK) == 0 else { return }
    for type in types.sorted() where configuration.handlers[type] == nil && configuration.brokenHandlers[type] == nil {
      let near = Spelling.nearest(to: type, among: configuration.handlers.keys).map { "; did you mean \($0)?" } ?? ""
      Console.complain("there is no handler \(folder)/\(type).toml, so the daemon will reject the job\(near)")
    }
  }

  // MARK: Many

  /// The ids that were accepted, and the exit code for the others.
  private func submitLines(
    _ source: String, then follower: Follower?, _ intake: Intake, _ reader: SpoolReader, _ configuration: Configuration
  ) throws -> ([String], Int32) {
    let bytes = try Input.read(source == "-" ? nil : source)
    var submissions: [Intake.Submission] = []
    var lines: [(number: Int, problem: (message: String, exit: Int32, code: String)?)] = []
    var places: [Int] = []
    var types = Set<String>()
    let sealer = Sealer(configuration)
    var follower = follower
    var gate = RateGate()
    if let follower { types.insert(follower.job.type) }
    let shared = batch ?? (follower == nil ? nil : newID())
    for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
      var text = Array(line).trimmed
      guard !text.isEmpty else { continue }
      do throws(JobProblem) {
        var job = try checked(text, configuration)
        if let shared, job.batch == nil {
          text = text.replacingMember("batch", with: Array("\"\(shared)\"".utf8))
          job = try checked(text, configuration)
        }
        if let name = job.batch { follower?.wait(for: name) }
        types.insert(job.type)
        if let problem = refusal(of: job.type, configuration, intake.spool) {
          lines.append((index + 1, (problem.message, 77, problem.code.rawValue)))
          continue
        }
        let id = job.id ?? newID()
        if let refusal = gate.refusal(of: job, reader), (try? intake.spool.state(of: id)) == .some(nil) {
          lines.append((index + 1, (refusal.message, 75, "rate_limited")))
          continue
        }
        do throws(Failure) { job = try sealed(job, sealer, configuration) } catch {
          lines.append((index + 1, (error.message, error.exit, error.exit == 78 ? "not_sealed" : "too_large")))
          continue
        }
        places.append(lines.count)
        lines.append((index + 1, nil))
        gate.count(job, id: id, reader)
        submissions.append(Intake.Submission(id: id, bytes: job.bytes + [0x0A]))
      } catch {
        lines.append((index + 1, (error.message, 65, error.code.rawValue)))
      }
    }
    warnUnknown(types, configuration)
    if follower != nil, submissions.count < lines.count || lines.isEmpty {
      report(lines, [:])
      throw Failure(
        lines.isEmpty
          ? "\(source): no jobs in it, so --then has nothing to follow; nothing was submitted"
          : "nothing was submitted, because --then follows all lines; mend those above",
        exit: lines.compactMap { $0.problem?.exit }.max() ?? 65)
    }
    let bar = ProgressBar("submitting", total: submissions.count)
    let results = submissions.isEmpty ? [] : try intake.submit(bulk: submissions) { bar.show($0) }
    bar.clear()
    var ids: [Int: String] = [:]
    for (index, result) in results.enumerated() {
      switch result {
      case .success: ids[places[index]] = submissions[index].id
      case .failure(let error): lines[places[index]].problem = (error.description, error.code.exit, error.code.name)
      }
    }
    let exit = lines.compactMap { $0.problem?.exit }.max() ?? 0
    guard let follower else {
      report(lines, ids)
      return (ids.sorted { $0.key < $1.key }.map(\.value), exit)
    }
    guard exit == 0 else {
      report(lines, ids)
      throw Failure(
        "the job of --then was not submitted, because not all lines were; it may follow them later: "
          + follower.batches.map { "--after batch:\($0)" }.joined(separator: " "), exit: exit)
    }
    do {
      ids[lines.count] = try submit(follower, intake, configuration)
      lines.append((0, nil))
    } catch {
      report(lines, ids)
      Console.complain(
        "the lines were submitted, the job of --then was not; it may follow them with "
          + follower.batches.map { "--after batch:\($0)" }.joined(separator: " "))
      throw error
    }
    report(lines, ids)
    return (ids.sorted { $0.key < $1.key }.map(\.value), exit)
  }

  private func report(
    _ lines: [(number: Int, problem: (message: String, exit: Int32, code: String)?)], _ ids: [Int: String]
  ) {
    for line in lines {
      if let problem = line.problem { Console.complain("line \(line.number): \(problem.message)") }
    }
    guard !wait else { return }
    guard options.json else {
      var text: [UInt8] = []
      for index in lines.indices {
        if let id = ids[index] { text += Array(id.utf8) + [0x0A] }
      }
      return Console.write(text)
    }
    Console.json { writer in
      writer.beginArray()
      for (index, line) in lines.enumerated() {
        writer.beginObject()
        if let id = ids[index] {
          writer.key("id")
          writer.string(id)
        }
        if let problem = line.problem {
          writer.key("line")
          writer.int(line.number)
          writer.key("error")
          JobError(code: problem.code, message: problem.message).write(to: &writer)
        }
        writer.endObject()
      }
      writer.endArray()
    }
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
