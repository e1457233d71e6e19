/// `notify-run`: the handler of `jobspool.notify`, started by the daemon once per notice with the job on standard input.
/// Where to and with which secret is read from the configuration now, so neither is in any job file.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolStore

struct NotifyRun: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "notify-run", abstract: "Deliver a notice; started by the daemon.", shouldDisplay: false)

  @Option(help: ArgumentHelp("The spool.", valueName: "dir"))
  var spool: String

  @Option(help: ArgumentHelp("The configuration, when the daemon was given one.", valueName: "file"))
  var config: String?

  func run() throws {
    guard let line = try? JSONReader.parse(try Input.read(nil)), let id = line["id"]?.string,
      let payload = line["payload"], let key = payload["notify"]?.string, let body = NoticeBody(payload: payload)
    else { throw Failure("standard input is not the job of a notice", exit: 65) }
    let configuration = Configuration.load(spool: spool, config: config)
    guard let entry = configuration.settings.notices.first(where: { $0.key == key }) else {
      // An edit in between may be half done; the daemon goes on with the configuration it has.
      guard configuration.settingsErrors.isEmpty else {
        throw report("configuration", "the configuration does not load: \(configuration.settingsErrors[0])", exit: 75)
      }
      throw report("no_entry", "the configuration has no [[notify]] entry \(key) any more", exit: 65)
    }
    let end: NoticeDelivery.End
    if let webhook = entry.webhook {
      end = try NoticeDelivery.post(body, id: id, to: webhook, entry)
    } else {
      end = try NoticeDelivery.run(entry.command, body, folder: configuration.folder)
    }
    switch end {
    case .delivered(let remark): Console.line(remark)
    case .ended(let code): throw Failure.silent(code)
    case .failed(let code, let message, let exit, let retryIn):
      if let retryIn { Control3.say("{\"retry_in\":\(retryIn)}") }
      throw report(code, message, exit: exit)
    }
  }

  /// The error for the job's record, by control line; the exit code decides whether it is tried again.
  private func report(_ code: String, _ message: String, exit: Int32) -> Failure {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("error")
    JobError(code: code, message: message).write(to: &writer)
    writer.endObject()
    Control3.say(String(decoding: writer.bytes, as: UTF8.self))
    return Failure(message, exit: exit)
  }
}

/// Descriptor 3, where a handler is heard; nothing when run by hand without one.
private enum Control3 {
  static func say(_ line: String) {
    guard fcntl(3, F_GETFD) >= 0 else { return }
    var text = line + "\n"
    text.withUTF8 { _ = write(3, $0.baseAddress, $0.count) }
  }
}
