/// `schedules/NAME.toml`: each key and its range. The expression and the zone are read here, so that whoever has the
/// settings can compute with them: one that could never fire, or a zone the system does not have, does not load.
internal import JobModel

struct ScheduleFile {
  /// A firing's id is `NAME.YYYYMMDDTHHMMSSZ` and must fit an id's 128 bytes.
  static let nameLength = Limits.idLength - ".YYYYMMDDTHHMMSSZ".utf8.count

  let name: String
  let file: String

  /// nil when anything is wrong.
  func settings(_ root: TOMLNode, log: ProblemLog) -> ScheduleSettings? {
    KeyWalk(keys: .schedule, log: log).visit(root)
    let reader = ConfigReader(root, keys: .schedule, log: log)
    if reader["cron"] == nil { reader.refuse("cron", "is missing: when it fires, such as \"0 3 * * *\" or \"@daily\"") }
    if reader["type"] == nil { reader.refuse("type", "is missing: the type of job it makes") }
    // Without an expression the rest is read all the same, so that all mistakes are told at once.
    guard let cron = cron(reader) ?? (try? CronExpression("@daily")) else { return nil }
    var settings = ScheduleSettings(name: name, file: file, cron: cron, type: type(reader) ?? "")
    readZone(reader, into: &settings)
    if let payload = reader["payload"] { settings.payload = json(payload, reader) }
    settings.description = reader.value("description", "a text") { $0.plainText } ?? settings.description
    settings.enabled = reader.flag("enabled") ?? settings.enabled
    settings.overlap = reader.choice("overlap") ?? settings.overlap
    settings.catchUp = reader.choice("catch_up") ?? settings.catchUp
    settings.jitter = reader.duration("jitter", in: .zero...Duration.days(1))
    return log.hasErrors ? nil : settings
  }

  private func type(_ reader: ConfigReader) -> String? {
    reader.value("type", "a job type (\(JobType.expected)) that does not begin with jobspool.") { node in
      node.plainText.flatMap { JobType.isValid($0) && !JobType.isReserved($0) ? $0 : nil }
    }
  }

  private func cron(_ reader: ConfigReader) -> CronExpression? {
    guard let text = reader.text("cron") else { return nil }
    do throws(CronProblem) { return try CronExpression(text) } catch {
      reader.refuse("cron", "\(quoted(text)): \(error)")
      return nil
    }
  }

  private func readZone(_ reader: ConfigReader, into settings: inout ScheduleSettings) {
    guard let name = reader.text("timezone") else { return }
    do throws(TimeZoneProblem) {
      settings.zone = try TimeZoneFile.load(name)
      settings.timezone = name
    } catch {
      reader.refuse("timezone", error.message)
    }
  }

  private func json(_ entry: TOMLEntry, _ reader: ConfigReader) -> [UInt8] {
    var payload = PayloadJSON(reader: reader)
    payload.append(entry.node)
    return payload.writer.bytes
  }
}

/// A TOML value as JSON text: tables in the order of the file, numbers as they read. What JSON has no form for (dates,
/// `inf`, `nan`) is refused with a hint.
private struct PayloadJSON {
  let reader: ConfigReader
  var writer = JSONWriter()

  mutating func append(_ node: TOMLNode) {
    switch node.value {
    case .table(let entries):
      writer.beginObject()
      for entry in entries {
        writer.key(escaping: entry.key)
        append(entry.node)
      }
      writer.endObject()
    case .array(let items):
      writer.beginArray()
      for item in items { append(item) }
      writer.endArray()
    case .text(let text): writer.string(text)
    case .integer(let number): writer.int(number)
    case .number(let number):
      if !number.isFinite { reader.refuse("payload", node, "JSON has no \(number); leave it out or quote it") }
      writer.raw("\(number)".utf8)
    case .flag(let flag): writer.bool(flag)
    case .date:
      reader.refuse("payload", node, "JSON has no dates; put it in quotes")
      writer.null()
    }
  }
}
