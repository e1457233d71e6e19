/// Delivers a notice: by curl to a webhook, or to a program. What an answer means is decided here, in `verdict`.
internal import Glibc
internal import JobModel
internal import SpoolStore

enum NoticeDelivery {
  enum End: Equatable {
    case delivered(String)
    /// The command's own exit code, which says what becomes of the notice as with any handler.
    case ended(Int32)
    case failed(code: String, message: String, exit: Int32, retryIn: Int?)
  }

  /// Seconds for all of a request; the handler's timeout is longer.
  private static let patience = 30

  // MARK: Webhooks

  /// POSTs it. Address and headers reach curl by a pipe: the address of a webhook often is its secret, and arguments can
  /// be seen by everybody on the machine.
  static func post(_ notice: NoticeBody, id: String, to url: String, _ entry: NoticeSettings) throws -> End {
    let body = notice.json(entry.format)
    var headers = ["Content-Type: application/json", "User-Agent: jobspool/\(jobspoolVersion)"]
    if entry.format == .standard {
      // Seconds, as Standard Webhooks has it; the moment of this attempt, or a receiver would take a late one for a replay.
      let now = WallTime.current.microseconds / 1_000_000
      headers += ["webhook-id: \(id)", "webhook-timestamp: \(now)"]
      if let secret = entry.secret,
        let signature = Digest.webhookSignature(id: id, timestamp: now, body: body, secret: secret)
      {
        headers.append("webhook-signature: \(signature)")
      }
    }
    var settings = "url = \(quoted(url))\n"
    for header in headers { settings += "header = \(quoted(header))\n" }
    guard let curl = ChildProgram.find("curl") else {
      return .failed(code: "no_curl", message: "curl is not in PATH; install it", exit: 75, retryIn: nil)
    }
    let child = try ChildProgram.run(
      curl,
      [
        "curl", "-q", "--config", "/dev/fd/3", "--data-binary", "@-", "--silent", "--show-error", "--globoff",
        "--proto", "=http,https", "--connect-timeout", "10", "--max-time", "\(patience)", "--output", "/dev/null",
        "--dump-header", "-",
      ], input: body, extra: Array(settings.utf8), captures: true)
    guard child.exit == 0 else {
      let said = child.errors.isEmpty ? "curl ended with \(child.exit)" : child.errors
      return .failed(code: "unreachable", message: said, exit: 75, retryIn: nil)
    }
    return verdict(headers: child.output)
  }

  /// What an answer means: 2xx is delivered; 410 ends the entry; of the other 4xx only 408, 425 and 429 may become
  /// something else by waiting; everything else is tried again.
  static func verdict(headers: String) -> End {
    var status = 0
    var retryAfter: Int?
    for line in headers.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("HTTP/") {
        // Of several answers (100 Continue, a proxy's) the last counts.
        status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        retryAfter = nil
      } else if line.lowercased().hasPrefix("retry-after:") {
        // The other form, a date, is rare, and the usual wait does as well.
        retryAfter = Int(line.dropFirst(12).filter { !$0.isWhitespace }).map { min(max($0, 1), 86_400) }
      }
    }
    let message = "the receiver answered \(status)"
    switch status {
    case 200..<300: return .delivered(message)
    case 410: return .failed(code: "gone", message: "\(message) Gone", exit: 65, retryIn: nil)
    case 408, 425, 429: return .failed(code: "http_\(status)", message: message, exit: 75, retryIn: retryAfter)
    case 400..<500: return .failed(code: "http_\(status)", message: message, exit: 65, retryIn: nil)
    default: return .failed(code: "http_\(status)", message: message, exit: 75, retryIn: retryAfter)
    }
  }

  /// A value of curl's configuration file (curl(1), --config).
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for character in text {
      if character == "\"" || character == "\\" { quoted.append("\\") }
      quoted.append(character)
    }
    return quoted + "\""
  }

  // MARK: Commands

  /// Runs the command with the notice as one line of JSON on its standard input and in its environment.
  static func run(_ command: [String], _ notice: NoticeBody, folder: String) throws -> End {
    let name = command.first ?? ""
    let place = name.hasPrefix("/") || !name.contains("/") ? name : "\(folder)/\(name)"
    guard let program = ChildProgram.find(place) else {
      return .failed(
        code: "no_program", message: "\(place) is missing or may not be executed", exit: 75, retryIn: nil)
    }
    for (name, value) in notice.environment { setenv(name, value, 1) }
    let child = try ChildProgram.run(
      program, command, input: notice.json(.standard) + [0x0A], extra: nil, captures: false)
    return .ended(child.exit)
  }
}
