/// `watch`: what happens, as it happens.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Watch: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what happens to jobs, as it happens, until it is interrupted.",
    discussion: """
      One line for each event of the audit log. With --json the lines of the log as they are.

        jobspool watch
        jobspool watch --type mail --state dead
        jobspool watch --json | jq -r 'select(.event == "finished") | .job'
      """)

  @Option(name: .long, help: "Only jobs of this type; may be repeated.")
  var type: [String] = []

  @Option(name: .long, help: "Only moves to this folder (new cur done dead hold); may be repeated.")
  var state: [String] = []

  @Option(help: ArgumentHelp("Begin with so many lines from before.", valueName: "n"))
  var last = 0

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    for state in state where JobState(rawValue: state) == nil {
      let known = JobState.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--state \(Console.plain(state)): expected one of \(known)")
    }
    if last < 0 { throw ValidationError("--last takes a count") }
  }

  func run() throws {
    let reader = try options.reader()
    var tail = AuditTail(reader.spool)
    // Before the first look: what is written from now on wakes us.
    let wakeups = Wakeups(["log"], of: reader.spool, writes: true)
    for line in try tail.last(last) { show(line) }
    if !reader.hasDaemon { Console.remark("no daemon runs; this goes on when one does") }
    while true {
      wakeups.wait(atMost: .seconds(5)) { $0.hasPrefix("audit-") }
      try tail.next { show($0) }
    }
  }

  private func show(_ line: [UInt8]) {
    guard let text = AuditText(line) else { return }
    if !type.isEmpty, !type.contains(text.type ?? "") { return }
    if !state.isEmpty, !state.contains(text.state ?? "") { return }
    if options.json { Console.write(line + [0x0A]) } else { Console.line(text.brief) }
  }
}
