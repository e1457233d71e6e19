/// `schedules run`, `enable` and `disable`: the daemon makes the job of a run, so that it knows of overlaps; the switch is
/// the file `ctl/disabled.NAME`, whose presence disables.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct ScheduleRunNow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a schedule's job now, outside its times; prints the job's id.",
    discussion: """
      Refused (65) while one of its jobs waits or runs, unless the schedule says overlap = "queue".

        jobspool schedules run nightly --wait
      """)

  @Argument(help: "The schedule.")
  var name: String

  @Flag(help: "Wait for the end and print the result; 0 done, 1 dead.")
  var wait = false

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    guard reader.hasDaemon else {
      throw Failure(
        "running a schedule needs the daemon, and none runs on \(reader.spool.path): start jobspoold", exit: 69)
    }
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("do")
    writer.string("run-schedule")
    writer.key("jobs")
    writer.beginArray()
    writer.string(name)
    writer.endArray()
    writer.endObject()
    let answer = try Control(reader.spool).ask(writer.bytes, at: .current, timeout: Operations.patience)
    let result = answer["results"]?.array?.first ?? answer
    guard result["ok"]?.bool == true, let id = result["job"]?.string else {
      throw SpoolError(.named(result["code"]?.string ?? ""), result["message"]?.string ?? "the daemon refused")
    }
    guard wait else {
      guard options.json else { return Console.line(id) }
      return Console.json { writer in
        writer.beginObject()
        writer.key("id")
        writer.string(id)
        writer.endObject()
      }
    }
    var isDead = false
    try Waiting(reader).wait(for: [id], timeout: nil) { id, state in
      isDead = state == .dead
      try EndReport(reader, json: options.json).result(of: id, in: state)
    }
    if isDead { throw Failure.silent(1) }
  }
}

struct ScheduleEnable: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enable",
    abstract: "Let a schedule fire again; what it missed while disabled is not made up for.",
    discussion: """
        jobspool schedules enable nightly
      """)

  @Argument(help: "The schedule.")
  var name: String

  @OptionGroup var options: SpoolOptions

  func run() throws { try ScheduleSwitch(options, name).turn(on: true) }
}

struct ScheduleDisable: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disable",
    abstract: "Stop a schedule from firing; a running job goes on, and 'run' still works.",
    discussion: """
        jobspool schedules disable nightly
      """)

  @Argument(help: "The schedule.")
  var name: String

  @OptionGroup var options: SpoolOptions

  func run() throws { try ScheduleSwitch(options, name).turn(on: false) }
}

private struct ScheduleSwitch {
  let options: SpoolOptions
  let name: String

  init(_ options: SpoolOptions, _ name: String) {
    self.options = options
    self.name = name
  }

  func turn(on: Bool) throws {
    let reader = try options.reader()
    let row = try reader.known(name)
    if on, let settings = row.settings, !settings.enabled {
      throw Failure("\(settings.file) says enabled = false; take that line away", exit: 78)
    }
    let control = Control(reader.spool)
    try control.turn("disabled.\(name)", on: !on)
    try waitForDaemon(control, on)
    guard options.json else { return Console.remark("\(name) is \(on ? "enabled" : "disabled")") }
    Console.json { writer in
      writer.beginObject()
      writer.key("schedule")
      writer.string(name)
      writer.key("enabled")
      writer.bool(on)
      writer.endObject()
    }
  }

  private func waitForDaemon(_ control: Control, _ on: Bool) throws {
    let clock = ContinuousClock()
    let deadline = clock.now + Operations.patience
    while clock.now < deadline {
      let reader = SpoolReader(control.spool, configuration: nil, now: .current)
      // Without a daemon, or for a schedule it has not read, the file alone has to do.
      guard let known = reader.status?.schedules[name], known.enabled != on else { return }
      if !on, !control.isOn("disabled.\(name)") {
        throw Failure(
          "the daemon removed ctl/disabled.\(name): only root, the daemon's user and the admin group may disable",
          exit: 77)
      }
      usleep(10_000)
    }
    throw Failure(
      "the daemon has not taken notice within \(DurationText.format(Operations.patience)); see its log", exit: 75)
  }
}
