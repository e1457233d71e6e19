/// `doctor`: does this machine have what jobspool needs, and what to do where it has not.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Look over the spool and the machine: permissions, disk, clock, programs, log; with remedies.",
    discussion: """
      One line for each thing looked at: ok, warn or bad, and behind the arrow what to do. 0 when nothing is bad, \
      warnings or not; 1 when something is. Run it as root, or as the owner of the spool, to see everything; it changes \
      nothing. 'jobspool fsck' looks at every job, which this does not.

        jobspool doctor
        jobspool doctor --json
      """)

  @OptionGroup var options: SpoolOptions

  func run() throws {
    var doctor = Doctor(try options.reader())
    doctor.run()
    if options.json { json(doctor) } else { text(doctor) }
    if doctor.worst == .bad { throw Failure.silent(1) }
  }

  private func text(_ doctor: Doctor) {
    for finding in doctor.findings {
      let colour: Console.Colour =
        switch finding.level {
        case .ok: .green
        case .warn: .yellow
        case .bad: .red
        }
      let level = finding.level.rawValue + String(repeating: " ", count: 4 - finding.level.rawValue.count)
      let remedy = finding.remedy.map { " → \(Console.plain($0))" } ?? ""
      Console.line("\(Console.paint(level, colour))  \(finding.check): \(Console.plain(finding.message))\(remedy)")
    }
  }

  private func json(_ doctor: Doctor) {
    Console.json { writer in
      writer.beginObject()
      writer.key("ok")
      writer.bool(doctor.worst != .bad)
      writer.key("checks")
      writer.beginArray()
      for finding in doctor.findings {
        writer.beginObject()
        writer.key("check")
        writer.string(finding.check)
        writer.key("level")
        writer.string(finding.level.rawValue)
        writer.key("message")
        writer.string(finding.message)
        if let remedy = finding.remedy {
          writer.key("remedy")
          writer.string(remedy)
        }
        writer.endObject()
      }
      writer.endArray()
      writer.endObject()
    }
  }
}
