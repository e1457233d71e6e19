/// `dashboard`: the link that logs a browser in.
internal import ArgumentParser
internal import JobModel
internal import JobSecrets
internal import SpoolConfig

struct Dashboard: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a link that logs a browser into the dashboard, once, within 10 minutes.",
    discussion: """
      The code in the link stands behind its #, so it reaches no server's log and no proxy's. Root, the spool's owner and \
      the web program's user may make one.

        jobspool dashboard
        jobspool dashboard --role viewer --url https://queue.example.org
        ssh server jobspool dashboard        (with: ssh -L 7733:127.0.0.1:7733 server)
      """)

  @Option(help: "What the browser may do: viewer, producer, operator or admin.")
  var role = "admin"

  @Option(help: ArgumentHelp("Who it stands for in the audit log (default: you).", valueName: "name"))
  var subject: String?

  @Option(help: "Where the dashboard is reached, when a proxy stands before it (default: [web] listen).")
  var url: String?

  @OptionGroup var options: SpoolOptions

  /// How long the code is good for.
  static let lifetime = Duration.seconds(600)

  func run() throws {
    let access = try WebAccess(options)
    let role = try access.checked(role: role)
    let subject = try access.checked(subject: subject)
    let base = try url.map(Dashboard.checked) ?? address(access)
    let key = try access.key()
    var token = WebToken(
      subject: subject, role: role, issuedAt: .current, lifetime: Dashboard.lifetime, id: WebAccess.tokenID())
    token.use = .login
    let link = "\(base)/#login=\(token.signed(with: key))"
    guard options.json else {
      Console.remark("role \(role), subject \(subject); good once, until \(token.expiresAt.rfc3339)")
      return Console.line(link)
    }
    Console.json { writer in
      writer.beginObject()
      writer.key("url")
      writer.string(link)
      writer.key("role")
      writer.string(role)
      writer.key("subject")
      writer.string(subject)
      writer.key("expires_at")
      writer.string(token.expiresAt.rfc3339)
      writer.endObject()
    }
  }

  private static func checked(url: String) throws -> String {
    guard url.hasPrefix("http://") || url.hasPrefix("https://"), !url.contains(where: { "#? ".contains($0) }) else {
      throw ValidationError("--url: expected an address such as https://queue.example.org, without ? and #")
    }
    return url.last == "/" ? String(url.dropLast()) : url
  }

  /// `http://HOST:PORT` of `[web] listen`; where that is every address of the machine, its name.
  private func address(_ access: WebAccess) throws -> String {
    let file = access.configuration.file ?? "\(access.configuration.folder)/jobspool.toml"
    guard let listen = access.configuration.settings.web.listen, let colon = listen.lastIndex(of: ":") else {
      throw Failure(
        "no dashboard is switched on: write listen = \"127.0.0.1:7733\" below [web] in \(file), or give --url", exit: 78
      )
    }
    let port = listen[listen.index(after: colon)...]
    guard port != "0" else {
      throw Failure("\(file) lets the system choose the port ([web] listen = \"\(listen)\"): give --url", exit: 78)
    }
    let host = listen[..<colon]
    return "http://\(["0.0.0.0", "[::]"].contains(host) ? Operations.hostName : String(host)):\(port)"
  }
}
