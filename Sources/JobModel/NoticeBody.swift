/// What is sent for a notice, in each form. Made when it is sent, from the payload of the job that carries it.
package struct NoticeBody: Sendable {
  package let occasion: Notice.Occasion
  package let message: String
  /// The payload's members, without the name of the entry.
  private let members: [JSONValue.Member]
  private let at: String

  /// nil: not the payload of a notice.
  package init?(payload: JSONValue) {
    guard let all = payload.members, let occasion = payload["occasion"]?.string.flatMap(Notice.Occasion.init),
      let message = payload["message"]?.string, let at = payload["at"]?.string
    else { return nil }
    self.occasion = occasion
    self.message = message
    self.at = at
    members = all.filter { $0.key != "notify" && $0.key != "at" }
  }

  package func json(_ format: NoticeSettings.Format) -> [UInt8] {
    var writer = JSONWriter(reserving: 1024)
    writer.beginObject()
    switch format {
    case .standard:
      writer.key("type")
      writer.string(occasion.eventType)
      writer.key("timestamp")
      writer.string(at)
      writer.key("data")
      writer.value(.object(members))
    case .slack:
      // https://api.slack.com/reference/surfaces/formatting#escaping: without it "<!channel>" would wake everybody.
      writer.key("text")
      writer.string("\(title): \(NoticeBody.slackEscaped(message))")
    case .discord:
      writer.key("content")
      writer.string(String("\(title): \(message)".prefix(1900)))
      writer.key("allowed_mentions")
      writer.beginObject()
      writer.key("parse")
      writer.beginArray()
      writer.endArray()
      writer.endObject()
    }
    writer.endObject()
    return writer.bytes
  }

  /// A few words that lead the message: also the subject of a mail.
  package var title: String {
    let node = members.first { $0.key == "node" }?.value.string ?? ""
    return "jobspool\(node.isEmpty ? "" : " \(node)")"
  }

  /// What a command finds in its environment, besides what every handler has.
  package var environment: [(name: String, value: String)] {
    let job = members.first { $0.key == "job" }?.value
    var all: [(String, String)] = [
      ("OCCASION", occasion.rawValue), ("AT", at), ("MESSAGE", message), ("SUBJECT", "\(title): \(message)"),
    ]
    for (name, value) in [
      ("JOB", job?["id"]?.string), ("TYPE", job?["type"]?.string), ("OUTCOME", job?["outcome"]?.string),
      ("ATTEMPT", job?["attempt"]?.int.map { "\($0)" }), ("ERROR", job?["error"]?["message"]?.string),
      ("CODE", members.first { $0.key == "code" }?.value.string ?? job?["error"]?["code"]?.string),
    ] {
      if let value { all.append((name, value)) }
    }
    // The subject becomes a mail's header: a line break in it would begin another one.
    return all.map { name, value in
      ("JOBSPOOL_NOTICE_\(name)", String(value.map { $0.isNewline || $0 == "\0" ? " " : $0 }))
    }
  }

  private static func slackEscaped(_ text: String) -> String {
    var escaped = ""
    for character in text {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      default: escaped.append(character)
      }
    }
    return escaped
  }
}
