/// `fsck`: are the spool's promises kept?
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct FsckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fsck",
    abstract: "Check the spool: names, records, audit log; 0 when all is well.",
    discussion: """
      May run beside a working daemon. --repair needs the daemon stopped; it sweeps stale staging, completes ends that \
      are durable, and removes a second copy of a job that is done. 1 when something is wrong.

        jobspool fsck
      """)

  @Flag(help: "Put right what needs no guess.")
  var repair = false

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    var fsck = Fsck(reader.spool, now: reader.now)
    let bar = ProgressBar("checking")
    fsck.progress = { done, total in
      bar.total = total
      bar.show(done)
    }
    try fsck.run()
    bar.clear()
    var repairs: [String] = []
    if repair {
      let found = fsck.findings
      repairs = try Operations(reader: reader).act { transitions, now, by throws(SpoolError) in
        try FsckRepair(transitions: transitions, now: now, by: by).run(found)
      }
      if !repairs.isEmpty { try fsck.run() }
      bar.clear()
    }
    if options.json { json(fsck, repairs) } else { text(fsck, repairs) }
    if !fsck.problems.isEmpty { throw Failure.silent(1) }
  }

  private func text(_ fsck: Fsck, _ repairs: [String]) {
    for repair in repairs { Console.line("repaired: \(Console.plain(repair))") }
    for finding in fsck.findings {
      let severity = finding.severity == .problem ? Console.paint("problem", .red) : Console.paint("note", .faint)
      Console.line("\(severity): \(Console.plain(finding.path)): \(Console.plain(finding.message))")
    }
    let counts = JobState.allCases.map { "\(fsck.counts[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    let count = fsck.problems.count
    Console.remark("\(counts); \(count == 0 ? "no problems" : count == 1 ? "1 problem" : "\(count) problems")")
  }

  private func json(_ fsck: Fsck, _ repairs: [String]) {
    Console.json { writer in
      writer.beginObject()
      writer.key("ok")
      writer.bool(fsck.problems.isEmpty)
      writer.key("jobs")
      writer.beginObject()
      for state in JobState.allCases {
        writer.key(escaping: state.rawValue)
        writer.int(fsck.counts[state] ?? 0)
      }
      writer.endObject()
      writer.key("findings")
      writer.beginArray()
      for finding in fsck.findings {
        writer.beginObject()
        writer.key("severity")
        writer.string(finding.severity.rawValue)
        writer.key("code")
        writer.string(finding.code.rawValue)
        writer.key("path")
        writer.string(finding.path)
        if let job = finding.job {
          writer.key("job")
          writer.string(job)
        }
        writer.key("message")
        writer.string(finding.message)
        writer.endObject()
      }
      writer.endArray()
      writer.key("repaired")
      writer.beginArray()
      for repair in repairs { writer.string(repair) }
      writer.endArray()
      writer.endObject()
    }
  }
}
