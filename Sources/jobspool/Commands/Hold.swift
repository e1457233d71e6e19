/// `hold` and `release`: set waiting jobs aside, and let them go.
internal import ArgumentParser
internal import JobModel
internal import SpoolStore

struct Hold: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Set waiting jobs aside, until they are released.",
    discussion: """
        jobspool hold --type import
        jobspool release ALL
      """)

  @OptionGroup var jobs: JobChoice
  @OptionGroup var options: SpoolOptions

  func run() throws { try VerbRun(options, jobs).perform(.hold, done: "held", places: [.new]) }
}

struct Release: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let held jobs go.",
    discussion: """
        jobspool release 0190f3b2-…
      """)

  @OptionGroup var jobs: JobChoice
  @OptionGroup var options: SpoolOptions

  func run() throws { try VerbRun(options, jobs).perform(.release, done: "released", places: [.hold]) }
}
