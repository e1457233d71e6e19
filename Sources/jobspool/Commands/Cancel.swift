/// `cancel`: to dead/, running or not.
internal import ArgumentParser
internal import JobModel
internal import SpoolStore

struct Cancel: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Cancel jobs that wait, run or are held.",
    discussion: """
      A running job's processes get SIGTERM, after the handler's grace SIGKILL; that takes a daemon (69 without). The \
      jobs go to dead/ as cancelled. ALL means every job that has not ended.

        jobspool cancel 0190f3b2-…
        jobspool ls --tag nightly --state new --json | jq -r '.[].id' | jobspool cancel -
      """)

  @OptionGroup var jobs: JobChoice
  @OptionGroup var options: SpoolOptions

  func run() throws { try VerbRun(options, jobs).perform(.cancel, done: "cancelled", places: [.new, .cur, .hold]) }
}
