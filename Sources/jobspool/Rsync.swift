/// Runs rsync, which does all copying of backups: to a folder here, to `host:folder` by ssh, or to `host::module`. Files
/// that vanish while they are read are the normal case, because jobs move; any other failure is one.
internal import CSpoolShims
internal import Glibc

struct Rsync {
  let program: String

  init() throws {
    guard let found = ChildProgram.find("rsync") else {
      throw Failure("rsync is not installed, which copies backups: apt-get install rsync", exit: 78)
    }
    program = found
  }

  /// rsync's exit codes that mean "some files were not there any more".
  private static let vanished: Int32 = 24
  private static let partial: Int32 = 23

  struct End {
    var exit: Int32
    var output: String
    var errors: String
    /// Nothing lies at the source.
    var isMissing: Bool { exit == Rsync.partial && errors.contains("No such file or directory") }
  }

  /// Copies.
  ///
  /// - Parameters:
  ///   - files: relative to the source, in place of all that is there; those that are not there are passed over.
  ///   - bar: told how far it is.
  func copy(
    _ arguments: [String], files: [String]? = nil, from source: String, to target: String, bar: ProgressBar? = nil
  ) throws {
    var words = ["--no-inc-recursive", "--info=progress2,flist0,name0"] + arguments
    if files != nil { words += ["--files-from=-", "--from0", "--ignore-missing-args"] }
    words += ["--", source, target]
    let input = files.map { $0.joined(separator: "\0") + "\0" }
    let show = { (line: String) in
      // `  1,234,567  45%  12.3MB/s    0:00:01 (xfr#12, to-chk=34/56)`
      guard let percent = line.split(separator: " ").first(where: { $0.hasSuffix("%") }).flatMap({ Int($0.dropLast()) })
      else { return }
      bar?.show(share: Double(percent) / 100)
    }
    // By ACLs the web program, operators and each submitter read what has ended (-A).
    var end = try run(["rsync", "-aA"] + words, input: input, show)
    // Not every file system, nor every rsync at the other end, has them; the copy is whole without.
    if end.exit != 0, end.exit != Rsync.vanished, end.errors.contains("ACL") || end.errors.contains("_acl") {
      end = try run(["rsync", "-a"] + words, input: input, show)
    }
    guard end.exit == 0 || end.exit == Rsync.vanished else { throw Rsync.failure(end, target) }
  }

  /// The names at a place, with their paths below it. `nil`: there is no such place.
  func list(_ arguments: [String], at place: String) throws -> [String]? {
    let end = try run(["rsync", "--list-only"] + arguments + ["--", place], input: nil) { _ in }
    if end.isMissing { return nil }
    guard end.exit == 0 || end.exit == Rsync.vanished else { throw Rsync.failure(end, place) }
    // `-rw-r-----          1,234 2026/11/21 14:05:09 new/a.json`
    return end.output.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: true)
      return words.count == 5 ? String(words[4]) : nil
    }
  }

  static func failure(_ end: End, _ place: String) -> Failure {
    let said = end.errors.split(separator: "\n").map(String.init).filter { !$0.isEmpty }
    let reason = said.first { !$0.contains("some files/attrs were not transferred") } ?? "rsync ended with \(end.exit)"
    let more = said.count > 2 ? " (and \(said.count - 1) more lines)" : ""
    let remedy = reason.contains("Permission denied") ? "; run it as root, or as the owner of the spool" : ""
    return Failure("\(Console.plain(place)): \(Console.plain(reason))\(more)\(remedy)", exit: remedy.isEmpty ? 71 : 77)
  }

  /// Runs it to its end. Its output is handed out line by line and kept; what it says on standard error too.
  func run(_ words: [String], input: String?, _ line: (String) -> Void) throws -> End {
    signal(SIGPIPE, SIG_IGN)
    let stdin = try input.map(Rsync.file)
    defer { if let stdin { close(stdin) } }
    var output: [Int32] = [-1, -1]
    var errors: [Int32] = [-1, -1]
    guard spool_pipe(&output) == 0, spool_pipe(&errors) == 0 else {
      throw Failure("cannot make a pipe: \(String(cString: strerror(errno)))", exit: 71)
    }
    defer { for fd in [output[0], errors[0]] { close(fd) } }
    var pid: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let failure = arguments.withUnsafeMutableBufferPointer {
      spool_spawn(program, $0.baseAddress, spool_environment(), ".", [stdin ?? -1, output[1], errors[1], -1], &pid)
    }
    for fd in [output[1], errors[1]] { close(fd) }
    guard failure == 0 else {
      throw Failure("cannot start \(program): \(String(cString: strerror(failure)))", exit: 71)
    }
    var kept: [[UInt8]] = [[], []]
    var shown = 0
    var open = [output[0], errors[0]]
    while open.contains(where: { $0 >= 0 }) {
      var waiting = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&waiting, 2, -1) >= 0 || errno == EINTR else { break }
      for index in 0..<2 where open[index] >= 0 && waiting[index].revents != 0 {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(open[index], &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
          open[index] = -1
          continue
        }
        kept[index] += chunk[..<count]
      }
      // A line ends with a return while it is drawn over.
      while let end = kept[0][shown...].firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
        line(String(decoding: kept[0][shown..<end], as: UTF8.self))
        shown = end + 1
      }
    }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    let signal = spool_status_signalled(status)
    return End(
      exit: signal >= 0 ? 128 + signal : spool_status_exited(status), output: String(decoding: kept[0], as: UTF8.self),
      errors: String(decoding: kept[1], as: UTF8.self))
  }

  /// A file without a name that holds the text: unlike a pipe it needs nobody to write while rsync reads.
  private static func file(_ text: String) throws -> Int32 {
    let fd = spool_temporary_file()
    guard fd >= 0 else {
      throw Failure("cannot make a temporary file: \(String(cString: strerror(errno)))", exit: 71)
    }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        close(fd)
        throw Failure("cannot write a temporary file: \(String(cString: strerror(errno)))", exit: 71)
      }
      rest = rest.dropFirst(count)
    }
    lseek(fd, 0, SEEK_SET)
    return fd
  }
}
