/// The command line: picks the subcommand, and turns whatever goes wrong into one line on standard error and an exit code.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolStore

@main
enum Main {
  static func main() {
    do {
      var command = try Jobspool.parseAsRoot(Main.arranged(Array(CommandLine.arguments.dropFirst())))
      try command.run()
    } catch {
      exit(Failure.report(error))
    }
  }

  /// `jobspool --spool DIR ls` means `jobspool ls --spool DIR`: the parser knows options only behind their subcommand.
  static func arranged(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    var moved: [String] = []
    scan: while let first = rest.first {
      switch first {
      case "--spool", "--config":
        guard rest.count > 2 else { break scan }
        moved += rest.prefix(2)
        rest = rest.dropFirst(2)
      case _ where first == "--json" || first.hasPrefix("--spool=") || first.hasPrefix("--config="):
        guard rest.count > 1 else { break scan }
        moved.append(first)
        rest = rest.dropFirst()
      default: break scan
      }
    }
    guard !moved.isEmpty else { return arguments }
    let end = rest.firstIndex(of: "--") ?? rest.endIndex
    return rest[..<end] + moved + rest[end...]
  }
}

struct Jobspool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobspool",
    abstract: "A job queue that is a directory.",
    discussion: """
      Submitting and reading work with and without a daemon; whatever changes a job asks the daemon, or does it itself \
      while none runs. The spool is --spool DIR, before or behind the subcommand, else $JOBSPOOL_DIR, else ./spool, else /var/spool/jobspool.

        jobspool init spool                  make a spool
        jobspoold --spool spool &            start its daemon
        jobspool submit echo --payload '{"hello":"world"}' --wait

      Exit codes: 0 success, 1 dead or damaged, 64 usage, 65 bad job, 66 no such job or spool, 69 needs the daemon, \
      71 system error, 73 the id exists, 75 try later, 77 denied, 78 configuration.
      """,
    version: "jobspool \(jobspoolVersion)",
    subcommands: [NotifyRun.self],
    groupedSubcommands: [
      CommandGroup(name: "Submit and follow", subcommands: [Submit.self, Wait.self, Show.self, Log.self, Why.self]),
      CommandGroup(
        name: "Look around",
        subcommands: [
          List.self, Top.self, Watch.self, Stats.self, ReportCommand.self, ShapeCommand.self, Handlers.self,
          Schedules.self,
        ]),
      CommandGroup(
        name: "Operate",
        subcommands: [
          Requeue.self, Cancel.self, Hold.self, Release.self, Edit.self, Remove.self, Pause.self, Resume.self,
        ]),
      CommandGroup(
        name: "Administer",
        subcommands: [
          Init.self, Config.self, DoctorCommand.self, FsckCommand.self, Audit.self, Backup.self, Restore.self,
          Token.self,
          Dashboard.self,
        ]),
    ])
}

/// Ends the command with a message and an exit code.
struct Failure: Error {
  var message: String
  var exit: Int32

  init(_ message: String, exit: Int32) {
    self.message = message
    self.exit = exit
  }

  /// The rest was said already.
  static func silent(_ exit: Int32) -> Failure { Failure("", exit: exit) }

  /// Says what went wrong; returns the exit code.
  static func report(_ error: any Error) -> Int32 {
    switch error {
    case let failure as Failure:
      if !failure.message.isEmpty { Console.complain(failure.message) }
      return failure.exit
    case let error as SpoolError:
      let isRefused = error.errno == .access || error.errno == .permission
      Console.complain(error.description + (isRefused ? "; run it as the owner of the spool, or as root" : ""))
      return error.code.exit
    case let problem as JobProblem:
      Console.complain(problem.description)
      return 65
    default:
      // Help, version and completion scripts come as errors too.
      let code = Jobspool.exitCode(for: error)
      let message = Jobspool.fullMessage(for: error)
      guard code.isSuccess else {
        let text = message.hasPrefix("Error: ") ? String(message.dropFirst(7)) : message
        Console.complain(text)
        return code.rawValue
      }
      Console.line(message)
      return 0
    }
  }
}
