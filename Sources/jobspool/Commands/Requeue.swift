/// The verbs of operators, which differ only in what they do and to which jobs they may be done.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Requeue: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run dead or finished jobs again, with their attempts counted anew.",
    discussion: """
      ALL, or a filter without --state, means the dead ones.

        jobspool requeue 0190f3b2-…
        jobspool requeue --type resize --state failed --since 1d
      """)

  @OptionGroup var jobs: JobChoice
  @OptionGroup var options: SpoolOptions

  func run() throws { try VerbRun(options, jobs).perform(.requeue, done: "requeued", places: [.dead]) }
}
