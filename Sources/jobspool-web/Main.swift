/// The web program's composition root: reads the arguments, opens the spool and runs the server until it is told to end. It takes
/// no lock, runs no handler, and holds nothing that its crash could lose.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolConfig
internal import SpoolStore
internal import WebAPI

@main
struct JobspoolWeb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobspool-web",
    abstract: "Serve the HTTP API and the dashboard of a spool.",
    discussion: """
      Reads and submits by itself, and passes an operator's requests to the daemon. jobspoold starts it when [web] listen \
      is set; it may as well run by itself.

      Exit status: 0 stopped in order, 64 usage, 66 no such spool, 71 the address cannot be listened on, 77 not \
      permitted, 78 the configuration will not do.
      """,
    version: jobspoolVersion)

  @Option(help: "The spool. Default: $JOBSPOOL_DIR, else ./spool, else /var/spool/jobspool.")
  var spool: String?

  @Option(help: "The configuration. Default: SPOOL/jobspool.toml, else /etc/jobspool/jobspool.toml.")
  var config: String?

  @Option(help: "Where to listen: HOST:PORT or unix:/path. Default: [web] listen.")
  var listen: String?

  @Option(help: .hidden)
  var lifeline: Int32?

  func run() async throws {
    if let lifeline { Lifeline.watch(lifeline) }
    var logger = Logger(label: "jobspool-web") { _ in StderrLog() }
    logger.logLevel = .info
    umask(0o027)
    raiseDescriptorLimit()
    let opened: Spool
    do throws(SpoolError) { opened = try Spool(spoolPath) } catch { throw fail(error.description, error.code.exit) }
    let settings = Configuration.load(spool: opened.path, config: config).settings
    guard let text = listen ?? settings.web.listen else {
      throw fail("[web] listen is not set; set it, or give --listen 127.0.0.1:7733", 78)
    }
    guard let address = WebServer.Address(text) else {
      throw fail("\(text) is no address; expected HOST:PORT, [IPv6]:PORT or unix:/path", 64)
    }
    do {
      try await WebServer.serve(opened, config: config, address: address, logger: logger) {
        tellManager("READY=1\nSTATUS=serving on \(text)")
      }
    } catch {
      throw fail("cannot serve on \(text): \(error)", 71)
    }
    logger.notice("stopped")
  }

  private var spoolPath: String {
    if let spool { return spool }
    if let set = getenv("JOBSPOOL_DIR") { return String(cString: set) }
    return access("./spool/new", F_OK) == 0 ? "./spool" : "/var/spool/jobspool"
  }

  /// Every client is a descriptor, and the soft limit a shell gives is no more than the connections that are taken.
  private func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// What systemd wants to know (sd_notify(3)): clients that come by its proxy wait until it listens.
  private func tellManager(_ text: String) {
    guard let path = getenv("NOTIFY_SOCKET") else { return }
    var text = text
    text.withUTF8 { _ = spool_send_datagram(path, $0.baseAddress, $0.count) }
  }

  private func fail(_ message: String, _ exit: Int32) -> ExitCode {
    var text = "jobspool-web: \(message)\n"
    text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    return ExitCode(exit)
  }
}
