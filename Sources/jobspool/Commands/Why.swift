/// `why`: the one reason why a job is not running.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Why: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say why a job is not running: the job, limit or pause in its way.",
    discussion: """
        jobspool why 0190f3b2-…
        it waits for the job 0190f3b1-…, which is in cur
      """)

  @Argument(help: "The job.")
  var id: String

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reason = try options.reader().why(id)
    guard options.json else { return Console.line(Console.plain(reason.text)) }
    Console.json { reason.write(to: &$0, id: id) }
  }
}
