/// `pause` and `resume`: files in `ctl/` whose presence pauses, so they hold across restarts. With a daemon the command
/// returns once that has taken notice; the daemon also decides whether the file counts, and writes the audit line.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Pause: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Start no more jobs, of one type or at all; running ones go on.",
    discussion: """
        jobspool pause            everything
        jobspool pause resize     one type
      """)

  @Argument(help: "The type; without one, everything.")
  var type: String?

  @OptionGroup var options: SpoolOptions

  func run() throws { try Switch(options, type).turn(on: true) }
}

struct Resume: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let paused jobs start again.",
    discussion: """
        jobspool resume
        jobspool resume resize
      """)

  @Argument(help: "The type; without one, the pause of everything ends, and types stay as they are.")
  var type: String?

  @OptionGroup var options: SpoolOptions

  func run() throws { try Switch(options, type).turn(on: false) }
}

private struct Switch {
  let options: SpoolOptions
  let type: String?

  init(_ options: SpoolOptions, _ type: String?) {
    self.options = options
    self.type = type
  }

  func turn(on: Bool) throws {
    if let type, !JobType.isValid(type) {
      throw ValidationError("\(Console.plain(type)) is no job type: expected \(JobType.expected)")
    }
    let reader = try options.reader()
    if let type, on, let known = reader.configuration, known.handlers[type] == nil, known.brokenHandlers[type] == nil {
      Console.complain("there is no handler for the type \(type); paused all the same")
    }
    let name = type.map { "pause.\($0)" } ?? "pause"
    let control = Control(reader.spool)
    try control.turn(name, on: on)
    try waitForDaemon(control, name, on)
    guard options.json else { return Console.remark("\(type ?? "the queue") is \(on ? "paused" : "no longer paused")") }
    Console.json { writer in
      writer.beginObject()
      writer.key("paused")
      writer.bool(on)
      if let type {
        writer.key("type")
        writer.string(type)
      }
      writer.endObject()
    }
  }

  private func waitForDaemon(_ control: Control, _ name: String, _ on: Bool) throws {
    let clock = ContinuousClock()
    let deadline = clock.now + Operations.patience
    while clock.now < deadline {
      let reader = SpoolReader(control.spool, configuration: nil, now: .current)
      // Without a daemon, or one whose view may not be read, the file alone has to do.
      guard let status = reader.status else { return }
      if let type {
        // A type that the daemon has no jobs and no handler of is not in its view; the file is all there is to see.
        guard let known = status.types[type] else { return }
        if known.paused == on { return }
      } else if status.paused == on {
        return
      }
      if on, !control.isOn(name) {
        throw Failure(
          "the daemon removed ctl/\(name): only root, the daemon's user and the admin group may pause", exit: 77)
      }
      usleep(10_000)
    }
    throw Failure(
      "the daemon has not taken notice within \(DurationText.format(Operations.patience)); see its log", exit: 75)
  }
}
