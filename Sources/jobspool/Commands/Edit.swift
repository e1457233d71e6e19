/// `edit`: another text for a job that waits, is held or is dead.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import JobSecrets
internal import JobSubmission
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct Edit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Change a job that waits, is held or is dead.",
    discussion: """
      Opens what the producer wrote in $VISUAL or $EDITOR; what jobspool added stays as it is. The new text is checked \
      first: 65, and nothing is changed, when it is no job. A dead job stays dead until it is requeued.

        jobspool edit 0190f3b2-…
        jq '.payload.to = "b@example.org"' job.json | jobspool edit 0190f3b2-… --file -
      """)

  @Argument(help: "The job.")
  var id: String

  @Option(help: ArgumentHelp("Take the new text from a file, or from - , instead of an editor.", valueName: "file|-"))
  var file: String?

  @OptionGroup var options: SpoolOptions

  func run() throws {
    guard JobID.isValid(id) else {
      throw Failure("\(Console.plain(id)) is no job id: expected \(JobID.expected)", exit: 64)
    }
    let reader = try options.reader()
    let old = try Operator.text(of: id, in: reader.spool)
    let new: [UInt8]
    var draft: String?
    if let file {
      new = try Input.read(file == "-" ? nil : file)
    } else {
      let path = try writeDraft(old)
      draft = path
      try openEditor(path)
      new = try Input.read(path)
      guard new != old else {
        unlink(path)
        return Console.remark("nothing was changed")
      }
    }
    do {
      let outcome = try Operations(reader: reader).edit(id, try sealed(new, reader))
      if let failure = outcome.failure { throw SpoolError(failure.code, failure.message) }
      if let draft { unlink(draft) }
      report(outcome)
    } catch {
      // Nobody should have to type it again.
      if let draft { Console.complain("your text is kept in \(draft)") }
      throw error
    }
  }

  /// The text with its secrets sealed; what is no job is left for the check that says so.
  private func sealed(_ text: [UInt8], _ reader: SpoolReader) throws -> [UInt8] {
    guard let job = try? JobScanner.scan(text, id: id) else { return text }
    do throws(SecretProblem) {
      return try Sealer(reader.configuration ?? Configuration()).sealed(job).bytes
    } catch {
      throw Failure(error.message, exit: 78)
    }
  }

  private func report(_ outcome: Operations.Outcome) {
    guard options.json else {
      return Console.remark("edited \(id)\(outcome.state == .dead ? "; requeue runs it" : "")")
    }
    Console.json { writer in
      writer.beginObject()
      writer.key("job")
      writer.string(id)
      writer.key("ok")
      writer.bool(true)
      if let state = outcome.state {
        writer.key("state")
        writer.string(state.rawValue)
      }
      writer.endObject()
    }
  }

  // MARK: Editor

  /// A file only this user can read: payloads may be confidential.
  private func writeDraft(_ text: [UInt8]) throws -> String {
    let folder = Console.environment("TMPDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    var template = Array("\(folder)/jobspool-\(id).XXXXXX.json".utf8CString)
    let fd = mkstemps(&template, 5)
    guard fd >= 0 else {
      throw Failure("cannot make a file in \(folder): \(String(cString: strerror(errno)))", exit: 73)
    }
    defer { close(fd) }
    let path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard text.withUnsafeBytes({ write(fd, $0.baseAddress, $0.count) }) == text.count else {
      throw Failure("cannot write \(path): \(String(cString: strerror(errno)))", exit: 74)
    }
    return path
  }

  /// By the shell, because $EDITOR may hold options; the path is handed over as an argument and not part of its text.
  private func openEditor(_ path: String) throws {
    let editor = ["VISUAL", "EDITOR"].lazy.compactMap { Console.environment($0) }.first { !$0.isEmpty } ?? "vi"
    let text: [String] = ["sh", "-c", "exec \(editor) \"$1\"", "sh", path]
    let words: [UnsafeMutablePointer<CChar>?] = text.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    // Not spool_spawn: an editor needs the terminal's session.
    let failure = posix_spawn(&pid, "/bin/sh", nil, nil, words, spool_environment())
    guard failure == 0 else { throw Failure("cannot start an editor: \(String(cString: strerror(failure)))", exit: 71) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    guard spool_status_exited(status) == 0 else {
      unlink(path)
      throw Failure("the editor '\(Console.plain(editor))' did not end well; nothing was changed", exit: 75)
    }
  }
}
