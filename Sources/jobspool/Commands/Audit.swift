/// `audit verify` and `audit tail`.
internal import ArgumentParser
internal import Glibc
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct Audit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Verify the audit log, or show its end.", subcommands: [Verify.self, Tail.self])

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check every line's hash and number; 1 when the log was damaged or changed.",
      discussion: """
        Finds every change to a line that was not carried on to the end of the log. A last line that a crash tore is \
        named, and is no damage. Compare the hash it prints with the one in the journal to be sure of the last line too.

          jobspool audit verify
        """)

    @OptionGroup var options: SpoolOptions

    func run() throws {
      let check = try AuditCheck(options.open())
      if options.json {
        json(check)
      } else {
        for fault in check.faults { Console.line(Console.plain("log/\(fault)")) }
        for (node, head) in check.heads.sorted(by: { $0.key < $1.key }) {
          Console.line("\(Console.plain(node)): last line \(head)")
        }
        for (node, sequence) in check.retired.sorted(by: { $0.key < $1.key }) {
          Console.line("\(Console.plain(node)): begins at line \(sequence); retention removed what came before")
        }
        for (node, sequence) in check.unexplained.sorted(by: { $0.key < $1.key }) {
          Console.line(
            "\(Console.plain(node)): begins at line \(sequence), and no line says that retention removed what came before"
          )
        }
        Console.remark("\(check.lines) lines in \(check.files) files, \(check.damage.count) faults")
      }
      if !check.damage.isEmpty { throw Failure.silent(1) }
    }

    private func json(_ check: AuditCheck) {
      Console.json { writer in
        writer.beginObject()
        writer.key("ok")
        writer.bool(check.damage.isEmpty)
        writer.key("files")
        writer.int(check.files)
        writer.key("lines")
        writer.int(check.lines)
        writer.key("heads")
        writer.beginObject()
        for (node, head) in check.heads.sorted(by: { $0.key < $1.key }) {
          writer.key(escaping: node)
          writer.string(head)
        }
        writer.endObject()
        for (key, starts) in [("retired", check.retired), ("unexplained", check.unexplained)] {
          writer.key(escaping: key)
          writer.beginObject()
          for (node, sequence) in starts.sorted(by: { $0.key < $1.key }) {
            writer.key(escaping: node)
            writer.int(sequence)
          }
          writer.endObject()
        }
        write("faults", check.damage, &writer)
        write("torn", check.torn, &writer)
        writer.endObject()
      }
    }

    private func write(_ key: StaticString, _ faults: [AuditFault], _ writer: inout JSONWriter) {
      writer.key(key)
      writer.beginArray()
      for fault in faults {
        writer.beginObject()
        writer.key("file")
        writer.string(fault.file)
        writer.key("line")
        writer.int(fault.line)
        writer.key("message")
        writer.string(fault.message)
        writer.endObject()
      }
      writer.endArray()
    }
  }

  struct Tail: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the last lines of the audit log.",
      discussion: """
          jobspool audit tail -n 50
          jobspool audit tail --job 0190f3b2-… --json
        """)

    @Option(name: [.short, .long], help: "So many lines.")
    var number = 10

    @Option(help: "Only of this job.")
    var job: String?

    @Flag(name: .shortAndLong, help: "Go on with new lines as they come.")
    var follow = false

    @OptionGroup var options: SpoolOptions

    func run() throws {
      guard number >= 0 else { throw ValidationError("-n takes a count") }
      let reader = try options.reader()
      var tail = AuditTail(reader.spool, job: job)
      for line in try tail.last(number) { show(line) }
      guard follow else { return }
      let wakeups = Wakeups(["log"], of: reader.spool, writes: true)
      while true {
        wakeups.wait(atMost: .seconds(2)) { $0.hasPrefix("audit-") }
        try tail.next { show($0) }
      }
    }

    private func show(_ line: [UInt8]) {
      if options.json { return Console.write(line + [0x0A]) }
      if let text = AuditText(line) { Console.line(text.line) }
    }
  }
}
