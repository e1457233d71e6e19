/// The daemon's composition root: reads the arguments, takes the lock, and puts engine, handlers and watcher together.
/// What fails here fails with a sysexits number and a sentence that says what to do.
internal import ArgumentParser
internal import Glibc
internal import JobModel

@main
struct Jobspoold: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobspoold",
    abstract: "Run the jobs of a spool.",
    discussion: """
      Claims the job files that appear in SPOOL/new, runs their handlers and moves them to SPOOL/done or SPOOL/dead. \
      Runs in the foreground until SIGTERM or SIGINT; running jobs then get the time set by 'drain'. SIGHUP reloads the \
      configuration, as does an edit of its files.

      Exit status: 0 stopped in order, 66 no such spool, 75 another daemon has it, 77 not permitted, 78 the \
      configuration or the file system will not do, 74 the disk failed.
      """,
    version: jobspoolVersion)

  @Option(help: "The spool. Default: $JOBSPOOL_DIR, else ./spool, else /var/spool/jobspool.")
  var spool: String?

  @Option(help: "The configuration. Default: SPOOL/jobspool.toml, else /etc/jobspool/jobspool.toml.")
  var config: String?

  @Flag(help: "Do not start jobspool-web, whatever [web] listen says.")
  var noWeb = false

  @Flag(help: "Make the key of sealed fields beside the configuration, unless it is there, and end.")
  var makeKeys = false

  mutating func run() throws {
    do {
      if makeKeys { return try KeyMaking.run(spool: spoolPath(), config: config) }
      let daemon = try Daemon(spool: spoolPath(), config: config, startsWeb: !noWeb)
      try daemon.run()
    } catch let failure as Failure {
      complain(failure.message)
      throw ExitCode(failure.exit)
    }
  }

  private func spoolPath() -> String {
    if let spool { return spool }
    if let set = getenv("JOBSPOOL_DIR") { return String(cString: set) }
    return access("./spool/new", F_OK) == 0 ? "./spool" : "/var/spool/jobspool"
  }
}

/// The daemon cannot run.
struct Failure: Error, CustomStringConvertible {
  var exit: Int32
  var message: String
  var description: String { message }
}

func complain(_ message: String) {
  var text = "jobspoold: \(message)\n"
  text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}
