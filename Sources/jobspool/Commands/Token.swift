/// `token create`: a token for the HTTP API.
internal import ArgumentParser
internal import JobModel
internal import JobSecrets

struct Token: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make tokens for the HTTP API.", subcommands: [Create.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token for the HTTP API; it is the last line of output.",
      discussion: """
        Roles: viewer reads everything (redacted); producer submits, and sees the jobs of its own subject; operator also \
        acts on jobs, pauses and runs schedules; admin also deletes and edits. Names of [web.roles] count too.

        Root, the spool's owner and the web program's user may make tokens. A token cannot be taken back before its \
        time is over, except by removing secret/web.key, which ends them all: so keep --ttl short.

          jobspool token create --role producer --subject shop --ttl 30d
          curl -H "Authorization: Bearer $(jobspool token create --role viewer | tail -n 1)" http://127.0.0.1:7733/v1/queue
        """)

    @Option(help: "What it allows: viewer, producer, operator or admin.")
    var role: String

    @Option(help: ArgumentHelp("Who it stands for, in records and the audit log (default: you).", valueName: "name"))
    var subject: String?

    @Option(help: "How long it is good for: 90s, 5m, 2h, 30d.")
    var ttl = "1h"

    @Option(help: "A limit of its own on requests, as in 200/s or 100/15m.")
    var rate: String?

    @OptionGroup var options: SpoolOptions

    func run() throws {
      guard let lifetime = DurationText.parse(ttl) ?? DurationText.parse(seconds: ttl), lifetime >= .seconds(1) else {
        throw ValidationError("--ttl: expected \(DurationText.expected), 1s at least")
      }
      if let rate, Rate(text: rate) == nil { throw ValidationError("--rate: expected \(Rate.expected)") }
      let access = try WebAccess(options)
      let role = try access.checked(role: role)
      let subject = try access.checked(subject: subject)
      let key = try access.key()
      var token = WebToken(
        subject: subject, role: role, issuedAt: .current, lifetime: lifetime, id: WebAccess.tokenID())
      token.rate = rate
      let text = token.signed(with: key)
      guard options.json else {
        Console.remark("role \(role), subject \(subject), good until \(token.expiresAt.rfc3339)")
        return Console.line(text)
      }
      Console.json { writer in
        writer.beginObject()
        writer.key("token")
        writer.string(text)
        writer.key("role")
        writer.string(role)
        writer.key("subject")
        writer.string(subject)
        writer.key("expires_at")
        writer.string(token.expiresAt.rfc3339)
        if let rate {
          writer.key("rate")
          writer.string(rate)
        }
        writer.endObject()
      }
    }
  }
}
