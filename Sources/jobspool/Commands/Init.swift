/// `init`: makes a spool that works as it is.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import SpoolStore

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a spool: its folders, a configuration, a first handler.",
    discussion: """
      What is there already stays as it is, so it also mends a spool that misses a folder.

        jobspool init spool && jobspoold --spool spool
      """)

  @Argument(help: ArgumentHelp("The folder.", valueName: "dir"))
  var folder: String?

  @OptionGroup var options: SpoolOptions

  func validate() throws {
    guard (folder == nil) != (options.spool == nil) else { throw ValidationError("say where: jobspool init DIR") }
  }

  private var dir: String { folder ?? options.path }

  func run() throws {
    let isNew = access("\(dir)/new", F_OK) != 0
    try Spool.create(dir)
    try add("jobspool.toml", Init.settings)
    if isNew { try add("handlers/echo.toml", Init.echo) }
    let spool = try Spool(dir)
    try addKey()
    if options.json {
      return Console.json { writer in
        writer.beginObject()
        writer.key("spool")
        writer.string(spool.path)
        writer.endObject()
      }
    }
    Console.line(spool.path)
    Console.remark("start it with 'jobspoold --spool \(dir)', try it with 'jobspool --spool \(dir) submit echo --wait'")
  }

  /// The key of the web program; tokens can then be made and checked from the first moment on.
  private func addKey() throws {
    guard access(WebKey.file(in: dir), F_OK) != 0 else { return }
    do throws(SecretProblem) { _ = try WebKey.prepare(in: dir, owner: geteuid(), group: WebAccess.group) } catch {
      throw Failure(error.message, exit: error.code == .denied ? 77 : 78)
    }
  }

  private func add(_ name: String, _ text: String) throws {
    let path = "\(dir)/\(name)"
    let fd = spool_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard fd >= 0 else {
      if errno == EEXIST { return }
      throw SpoolError(doing: "writing the file", path: path, .current)
    }
    defer { close(fd) }
    do throws(Errno) { try RealSyscalls().write(fd, Array(text.utf8), offset: 0) } catch {
      throw SpoolError(doing: "writing the file", path: path, error)
    }
  }

  private static let settings = """
    # Settings of jobspoold; every one has a default. 'jobspool config check' shows mistakes, an edit counts at once.

    # How many jobs may run at once, whatever their types; each type has a limit of its own in handlers/TYPE.toml.
    #max_jobs = 4

    # The HTTP API and the dashboard.
    [web]
    listen = "127.0.0.1:7733"

    """

  private static let echo = """
    # The smallest handler there is: cat prints the job it reads, and what a handler prints is the job's result.
    # jobspool submit echo --payload '{"hello":"world"}' --wait
    command = ["/bin/cat"]

    """
}
