/// `rm`: remove for good.
internal import ArgumentParser
internal import JobModel
internal import SpoolStore

struct Remove: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm",
    abstract: "Remove finished or held jobs for good, with their logs.",
    discussion: """
      ALL, or a filter without --state, means done and dead. What happened stays in the audit log.

        jobspool rm 0190f3b2-…
        jobspool rm --state done --until 2026-01-01
      """)

  @OptionGroup var jobs: JobChoice
  @OptionGroup var options: SpoolOptions

  func run() throws { try VerbRun(options, jobs).perform(.purge, done: "removed", places: [.done, .dead]) }
}
