/// `restore`: a spool from a backup.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a spool of a backup, here or on another machine.",
    discussion: """
      SRC is one backup, or a folder of them, of which the newest is taken; HOST:FOLDER is read by ssh. The spool must be \
      new, or empty as the package leaves it. It is then as a power cut at the moment of the backup would have left it: \
      what waited waits, what had ended has ended, and what ran is run again. At the end it is checked as 'jobspool fsck' \
      does; 1 when something is wrong. Run it as root to keep the owners of files.

      A configuration that was in /etc/jobspool is put into the spool, where it counts first, or into --config-dir.

        jobspool restore /backup/queue --spool /var/spool/jobspool --config-dir /etc/jobspool
        jobspool restore backup@vault:queue/2026-11-21T140509Z --spool spool
      """)

  @Argument(help: ArgumentHelp("The backup.", valueName: "src"))
  var source: String

  @Option(name: .customLong("config-dir"), help: ArgumentHelp("Where the configuration goes.", valueName: "dir"))
  var configFolder: String?

  @OptionGroup var options: SpoolOptions

  func run() throws {
    guard let target = options.spool else { throw ValidationError("say where: restore SRC --spool DIR") }
    let restore = try RestoreRun(source, rsync: Rsync())
    try RestoreRun.check(target: target)
    let bar = ProgressBar("restoring", silent: options.json)
    try restore.copy(to: target, configFolder: configFolder, bar: bar)
    bar.clear()
    let isElsewhere = restore.manifest.configFolder != nil && configFolder != nil
    let config = options.config ?? (isElsewhere ? configFolder.map { "\($0)/jobspool.toml" } : nil)
    var report = try restore.settle(target, options, config: config)
    try report.fsck.run()
    let problems =
      report.restoration.missing.map { "\($0) is in the log, but no file of it is in the backup" }
      + report.recovery.problems + report.fsck.problems.map { "\($0.path): \($0.message)" }
    if options.json { json(report, restore, problems) } else { text(report, restore, target, problems) }
    if !problems.isEmpty { throw Failure.silent(1) }
  }

  private func text(_ report: RestoreRun.Report, _ restore: RestoreRun, _ target: String, _ problems: [String]) {
    let counts = JobState.allCases.map { "\(report.fsck.counts[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    for problem in problems { Console.line("problem: \(Console.plain(problem))") }
    Console.line("\(target): \(counts), as of \(restore.manifest.endedAt.rfc3339)")
    if report.recovery.crashed > 0 {
      Console.remark("\(report.recovery.crashed) were running and will run again")
    }
    if let folder = restore.manifest.configFolder, configFolder == nil {
      Console.remark(
        "the configuration was in \(folder) and is in the spool now, where it counts first; see --config-dir")
    }
    if access("\(target)/ctl/pause", F_OK) == 0 {
      Console.remark("the queue was paused when the backup was taken, and is; 'jobspool resume' ends that")
    }
    if !restore.manifest.hasSecrets {
      Console.remark(
        "secrets are not in the backup: put secret/ back if handlers use encrypt, or tokens shall stay good")
    }
    Console.remark("start it with 'jobspoold --spool \(target)'")
  }

  private func json(_ report: RestoreRun.Report, _ restore: RestoreRun, _ problems: [String]) {
    Console.json { writer in
      writer.beginObject()
      writer.key("ok")
      writer.bool(problems.isEmpty)
      writer.key("backup")
      writer.string(restore.source)
      writer.key("ended_at")
      writer.time(restore.manifest.endedAt)
      writer.key("jobs")
      writer.beginObject()
      for state in JobState.allCases {
        writer.key(escaping: state.rawValue)
        writer.int(report.fsck.counts[state] ?? 0)
      }
      writer.endObject()
      let counts = [
        ("crashed", report.recovery.crashed), ("completed", report.recovery.completed),
        ("returned", report.recovery.returned), ("taken_up", report.restoration.takenUp),
        ("doubled", report.restoration.doubled),
      ]
      for (key, count) in counts {
        writer.key(escaping: key)
        writer.int(count)
      }
      writer.key("problems")
      writer.beginArray()
      for problem in problems { writer.string(problem) }
      writer.endArray()
      writer.endObject()
    }
  }
}
