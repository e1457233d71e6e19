/// What the daemon reads besides jobs: configuration, what handlers say, its own log after somebody or a disk changed it,
/// sealed fields, the agenda's checkpoint.
import JobEngine
import JobHandlers
import JobModel
import JobSecrets
import SpoolConfig
import SpoolHistory
import SpoolStore

extension FuzzTarget {
  private static let folder = ScratchFolder()

  /// The text as each of the three kinds of file.
  static let toml = FuzzTarget(
    name: "toml",
    words: [
      "max_jobs = ", "command = [\"true\"]\n", "[pools.p]\nconcurrency = 2\n", "[[notify]]\n", "on = [\"dead\"]\n",
      "rate = {",
      "limit = 1, per = \"1s\"", "backoff = {", "cron = \"* * * * *\"\n", "type = \"t\"\n",
      "timezone = \"Europe/Berlin\"\n", "\"\"\"",
      "'''", "0x7f", "inf", "nan", "1979-05-27T07:32:00Z", "[limits]\nmemory = \"1K\"\n", "retain = {", "env = {",
      "[web]\nlisten = ",
    ]
  ) { bytes in
    let parsed = try? TOMLNode.parse(bytes)
    let path = folder.path
    var said: [String] = []
    for name in ["jobspool.toml", "handlers/t.toml", "schedules/s.toml"] {
      folder.write(bytes, to: name)
      defer { folder.remove(name) }
      let configuration = Configuration.load(spool: path, config: nil, system: "/nonexistent")
      said.append(configuration.problems.first.map { "\($0)" } ?? "fits")
      if parsed == nil { try require(!configuration.problems.isEmpty, "\(name) is no TOML, and nothing is said") }
      for handler in configuration.handlers.values {
        _ = handler.retry.wait(after: 3, random: 0.5)
        _ = WallTime.latest + handler.timeout
      }
      for schedule in configuration.schedules.values {
        _ = schedule.cron.next(after: WallTime(seconds: 1_800_000_000), in: schedule.zone)
      }
    }
    return "\(parsed == nil ? "no" : "ok") \(said)"
  }

  /// A line on descriptor 3, and what a handler wrote to standard output.
  static let control = FuzzTarget(
    name: "control",
    words: [
      "\"progress\":", "\"stage\":", "\"message\":", "\"heartbeat\":1", "\"result\":", "\"retry_in\":", "\"error\":{",
      "\"log\":{",
      "\"code\":", "\"details\":", "\"level\":",
    ]
  ) { bytes in
    if let json = ResultText.make(bytes).json {
      try require((try? JSONReader.check(json)) != nil, "the result is no JSON")
      try require(!json.contains(0x0A), "the result is more than a line")
    }
    let line: ControlLine
    do throws(ControlLine.Problem) { line = try ControlLine(parsing: bytes) } catch { return "no \(error.message)" }
    var record = JobRecord(
      id: "j", state: .done, submittedAt: WallTime(seconds: 0), updatedAt: WallTime(seconds: 0), node: "n")
    record.result = line.result
    record.error = line.error
    record.progress = JobRecord.Progress(
      percent: line.progress.percent, stage: line.progress.stage, message: line.progress.message)
    let json = record.json
    let value = try? JSONReader.parse(json, rawKeys: JobRecord.rawKeys, slack: JSONReader.ownLevels)
    guard let value, let again = try? JobRecord(value) else {
      throw Wrong("its record does not read: \(String(decoding: json, as: UTF8.self))")
    }
    try require(again.result == record.result && again.error == record.error, "its record reads as something else")
    if let percent = line.progress.percent { try require((0...100).contains(percent), "\(percent) %") }
    if let wait = line.retryIn { try require(wait >= .zero && WallTime.latest + wait == .latest, "it waits \(wait)") }
    return "ok \(line.isProgress) \(line.unknown.count) \(line.error?.code == "failed")"
  }

  /// A line of a worker: the quick look and the strict one agree.
  static let worker = FuzzTarget(
    name: "worker",
    words: [
      "{\"id\":\"j\",\"ok\":true}", "\"ok\":false", "\"retry\":false", "\"retry_in\":5",
      "\"error\":{\"code\":\"x\",\"message\":\"y\"}",
      "\"result\":", "\"progress\":50", "\"id\":", "\\u006a",
    ]
  ) { bytes in
    try bytes.withUnsafeBufferPointer { line in
      let head = WorkerLine.Head(line)
      let parsed: WorkerLine
      do throws(ControlLine.Problem) { parsed = try WorkerLine(parsing: line) } catch {
        try require(head?.isWhole != true, "taken for whole at a look, but: \(error.message)")
        return "no \(error.message)"
      }
      if let head, head.isWhole {
        try require(
          head.ok == parsed.ok,
          "at a look ok is \(String(describing: head.ok)), read it is \(String(describing: parsed.ok))")
        try require(
          String(decoding: head.id, as: UTF8.self) == parsed.id, "at a look it is about another job than \(parsed.id)")
        try require(parsed.problem == nil && parsed.content.error == nil, "at a look there is no more in it")
      }
      return "ok \(parsed.problem ?? "") \(head?.isWhole ?? false)"
    }
  }

  /// A payload whose fields are sealed and opened again, and which may hold forged ones.
  static let sealed = FuzzTarget(
    name: "sealed",
    words: ["{\"$sealed\":\"v1\",\"enc\":\"", "\",\"ct\":\"", "\"a\":", "\"b\":", "AAAA", "==", "[", "]"]
  ) { bytes in
    let payload = bytes
    guard (try? JSONReader.check(payload)) != nil else { return "no" }
    let sealed: [UInt8]
    do throws(SecretProblem) { sealed = try secrets.sealed(payload, type: "t") ?? payload } catch {
      return "no \(error.message)"
    }
    try require((try? JSONReader.check(sealed)) != nil, "sealed, it is no JSON")
    let places = pointers.compactMap { $0.below("payload") }
    try require(JSONPointer.unsealed(pointers, in: sealed).isEmpty, "something is left in clear")
    let opened: [UInt8]
    do throws(SecretProblem) { opened = try secrets.opened(sealed, type: "t") ?? sealed } catch {
      try require(JSONPointer.holdsSealed(pointers, in: payload), "it does not open: \(error.message)")
      return "no forged"
    }
    try require(opened == payload, "opened, it is not what was sealed")
    return "ok \(places.compactMap { $0.ranges(in: payload)?.count })"
  }

  private static let pointers = ["/payload/a", "/payload/b/0", "/payload/a/c", "/payload/d/e"].compactMap(
    JSONPointer.init)
  private static let secrets = Secrets(DataKey.generate(), ["t": pointers])

  /// Bytes taken for a checkpoint; what is taken up is picked in some order, at times that exist.
  static let checkpoint = FuzzTarget(
    name: "checkpoint", words: ["\u{1}\u{5}", "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "\u{10}", "\u{70}"]
  ) { bytes in
    var agenda = Agenda(maxJobs: 1000, seed: 1)
    agenda.configure("t", concurrency: 1000, broken: nil)
    let now = WallTime(seconds: 1_800_000_000)
    let taken = bytes.withUnsafeBytes { agenda.restore($0, types: ["t", nil, "u"], now: now) { _, _ in } }
    if let taken { try require(taken <= bytes.count, "\(taken) bytes of \(bytes.count)") }
    let known = agenda.count
    _ = agenda.nextDue().map { ($0 - now, $0.rfc3339) }
    var picked = 0
    while let pick = agenda.next(now: .latest) {
      picked += 1
      _ = (now - pick.readySince, pick.firstSeen.rfc3339)
      agenda.ended(pick.type)
      try require(picked <= known, "more is picked than there was")
    }
    return "\(taken == nil ? "no" : "ok") \(min(known, 9)) \(min(picked, 9))"
  }
}
