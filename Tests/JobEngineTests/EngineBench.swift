/// An engine on a real spool whose time and handlers belong to the test: nothing waits for a clock, and a job ends when the
/// test says so.
import Glibc
import JobModel
import Logging
import SpoolStore
import SpoolTestSupport

@testable import JobEngine

/// Wall time that stands still.
final class ManualClock {
  var now: WallTime
  init(_ text: String) { now = ManualClock.time(text) }

  func set(_ text: String) { now = ManualClock.time(text) }

  static func time(_ text: String) -> WallTime {
    guard let time = WallTime(rfc3339: text) else { preconditionFailure("no time: \(text)") }
    return time
  }
}

/// Starts nothing and remembers what it was to start.
final class ScriptedRunner: JobRunner {
  private(set) var running: [(request: AttemptRequest, report: (AttemptEvent) -> Void)] = []
  /// Every id that was started, in order.
  private(set) var started: [String] = []
  func start(_ request: AttemptRequest, report: @escaping (AttemptEvent) -> Void) throws(StartProblem) {
    started.append(request.id)
    running.append((request, report))
  }

  func stop(_ id: String, reason: StopReason) {}
  func hurry() {}

  func end(_ id: String, exit code: Int32 = 0) { report(id, .ended(AttemptEnd(ending: .exited(code)))) }

  /// The last word about a run.
  func report(_ id: String, _ event: AttemptEvent) {
    guard let index = running.firstIndex(where: { $0.request.id == id }) else {
      preconditionFailure("\(id) does not run")
    }
    running.remove(at: index).report(event)
  }
}

final class EngineBench {
  let spool: TestSpool
  let clock: ManualClock
  let runner = ScriptedRunner()
  let loop: EventLoop
  let engine: Engine
  var settings: EngineSettings

  /// A daemon begins on the spool; the one before it, if any, has just been killed.
  ///
  /// - Parameter change: of the settings it begins with.
  init(
    _ spool: TestSpool, _ clock: ManualClock, _ schedules: [ScheduleSettings] = [],
    syscalls: any SpoolSyscalls = RealSyscalls(), _ change: (inout EngineSettings) -> Void = { _ in }
  ) throws {
    self.spool = spool
    self.clock = clock
    loop = try EventLoop()
    let opened = try spool.open(syscalls)
    var handler = HandlerSettings(type: "t", file: "t.toml", command: ["true"])
    handler.concurrency = 10
    handler.retry.maxAttempts = 1
    var daemon = DaemonSettings()
    daemon.maxJobs = 10
    daemon.minFree = .bytes(0)
    settings = EngineSettings(
      daemon: daemon, handlers: ["t": handler],
      schedules: Dictionary(uniqueKeysWithValues: schedules.map { ($0.name, $0) }))
    change(&settings)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let effects = Effects(now: { clock.now }, random: { 0.5 }, logger: logger)
    let audit = try AuditLog(opened, node: "n", now: clock.now)
    engine = Engine(
      spool: opened, transitions: Transitions(opened, audit: audit), settings: settings, node: "n", token: "t",
      runner: runner, loop: loop, effects: effects)
    // What a turn has time for is not left to the machine either.
    engine.turnLength = .seconds(3600)
    try engine.start(reload: { [settings] in settings }, stopped: {})
    try turn()
  }

  func turn() throws {
    for _ in 0..<3 { try loop.runOnce(timeout: .zero) }
  }

  /// Turns until it is so; false when that never comes.
  func turn(until condition: () -> Bool) throws -> Bool {
    let deadline = EventLoop.now + .seconds(120)
    while !condition() {
      if EventLoop.now > deadline { return false }
      try loop.runOnce(timeout: .milliseconds(20))
    }
    return true
  }

  func at(_ time: String) throws {
    clock.set(time)
    try turn()
  }

  func end(_ id: String, exit code: Int32 = 0) throws -> Bool {
    runner.end(id, exit: code)
    return try turn { !self.spool.states(of: id).contains(.cur) }
  }

  /// A file in `ctl/` came or went.
  func control(_ name: String, _ text: String?) throws {
    let path = "\(spool.path)/ctl/\(name)"
    if let text { try TestSpool.write(Array(text.utf8), to: path) } else { unlink(path) }
    engine.arrived(name, in: "ctl")
    try turn()
  }

  /// The events about schedules: event, id, and of `keys` what the line has.
  func lines(_ keys: String...) throws -> [String] {
    try spool.auditLines.compactMap { line in
      let value = try JSONReader.parse(line)
      guard let event = value["event"]?.string, event.hasPrefix("schedule_") else { return nil }
      let more = keys.compactMap { key in value[key].map { "\(key)=\($0.string ?? $0.int.map(String.init) ?? "yes")" } }
      return ([event.dropFirst(9) + " " + (value["job"]?.string ?? "-")] + more).joined(separator: " ")
    }
  }

  var alerts: [String: StatusFile.Alert] { engine.status.alerts }
}

func schedule(
  _ name: String, _ cron: String, _ change: (inout ScheduleSettings) -> Void = { _ in }
) throws -> ScheduleSettings {
  var settings = ScheduleSettings(name: name, file: "\(name).toml", cron: try CronExpression(cron), type: "t")
  change(&settings)
  return settings
}
