internal import ArgumentParser
internal import JobModel

@main
struct Jobspool: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "jobspool", version: jobspoolVersion)
}
