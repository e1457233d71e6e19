/// A line of the audit log in words, for people.
internal import JobModel

struct AuditText {
  private let value: JSONValue
  let event: String
  let type: String?
  let job: String?
  /// The folder the job moved to.
  let state: String?

  /// nil when the line is none.
  init?(_ line: [UInt8]) {
    guard let value = try? JSONReader.parse(line, rawKeys: ["record"], slack: JSONReader.ownLevels),
      let event = value["event"]?.string
    else { return nil }
    self.value = value
    self.event = event
    type = value["type"]?.string
    job = value["job"]?.string
    state = value["to"]?.string
  }

  private func text(_ key: String) -> String? { value[key]?.string }

  /// With date and time, as `audit tail` shows it.
  var line: String { words(when: text("ts") ?? "") }

  /// With the time alone, for somebody who watches.
  var brief: String { words(when: String((text("ts") ?? "").dropFirst(11).prefix(12))) }

  private func words(when: String) -> String {
    var words = [Console.plain(when), Console.paint(Console.plain(event), colour)]
    func add(_ word: String) { words.append(Console.plain(word)) }
    if let job { add(job) }
    if let type { add(type) }
    if let attempt = value["attempt"]?.int { add("attempt \(attempt)") }
    if let state { add("→ \(state)") }
    if let run = value["run_us"]?.int { add("ran \(Age.text(.microseconds(Int64(run))))") }
    if let by = text("by"), by != "daemon" { add("by \(by)") }
    for key in ["reason", "stage", "message", "schedule", "twin_of"] {
      if let text = text(key) { add("\(key): \(text)") }
    }
    if let error { add("error: \(error)") }
    return words.joined(separator: " ")
  }

  /// What went wrong, from the record.
  private var error: String? {
    var error = value["brief"]?["error"]
    if case .raw(let record)? = value["record"] {
      error = (try? JSONReader.parse(record, slack: JSONReader.ownLevels))?["error"]
    }
    return error?["message"]?.string.map { Console.shortened($0, to: 120) }
  }

  private var colour: Console.Colour {
    switch AuditEvent(rawValue: event) {
    case .finished: .green
    case .buried, .rejected, .expired, .alert, .stalled: .red
    case .retried, .cancelled, .refused, .scheduleMissed: .yellow
    case .claimed, .stage: .cyan
    default: .bold
    }
  }
}
