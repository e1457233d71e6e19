/// Runs another program to its end, with bytes on its standard input and, if wanted, its output caught.
internal import CSpoolShims
internal import Glibc
internal import JobModel

enum ChildProgram {
  struct End {
    /// The exit code; 128 and the signal's number for one that was killed, as in a shell.
    var exit: Int32
    var output = ""
    var errors = ""
  }

  /// The path of a program: as it stands when it holds a slash, else by PATH. nil: there is none that may be executed.
  static func find(_ name: String) -> String? {
    if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
    guard !name.isEmpty else { return nil }
    let path = Console.environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin"
    return path.split(separator: ":").lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  /// - Parameters:
  ///   - extra: what it reads on descriptor 3; nil: it gets ours.
  ///   - captures: its output and errors are returned; else they are ours.
  static func run(
    _ program: String, _ words: [String], input: [UInt8], extra: [UInt8]?, captures: Bool
  ) throws -> End {
    signal(SIGPIPE, SIG_IGN)
    let stdin = try makePipe()
    let control = try extra.map { _ in try makePipe() }
    let output = try captures ? makePipe() : nil
    let errors = try captures ? makePipe() : nil
    let inherited: Int32 = fcntl(3, F_GETFD) >= 0 ? 3 : -1
    let files: [Int32] = [stdin.read, output?.write ?? 1, errors?.write ?? 2, control?.read ?? inherited]
    var pid: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let failure = arguments.withUnsafeMutableBufferPointer {
      spool_spawn(program, $0.baseAddress, spool_environment(), ".", files, &pid)
    }
    let given: [Int32?] = [stdin.read, output?.write, errors?.write, control?.read]
    for end in given.compactMap(\.self) { close(end) }
    guard failure == 0 else {
      throw Failure("cannot start \(program): \(String(cString: strerror(failure)))", exit: 75)
    }
    // The settings first: curl reads them before the body.
    if let control, let extra { put(extra, to: control.write) }
    put(input, to: stdin.write)
    var end = End(exit: 0)
    if let output { end.output = text(output.read) }
    // What is said on it is a line or two, which a pipe holds.
    if let errors { end.errors = text(errors.read) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    let signal = spool_status_signalled(status)
    end.exit = signal >= 0 ? 128 + signal : spool_status_exited(status)
    return end
  }

  private static func makePipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Failure("cannot make a pipe: \(String(cString: strerror(errno)))", exit: 75) }
    // Ours to keep: spool_spawn closes all but what the child is given.
    return (ends[0], ends[1])
  }

  /// Writes and closes. A program need not read what it is told.
  private static func put(_ bytes: [UInt8], to fd: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        break
      }
      rest = rest.dropFirst(count)
    }
    close(fd)
  }

  private static func text(_ fd: Int32) -> String {
    defer { close(fd) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(fd, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      if bytes.count < 1 << 16 { bytes += chunk[..<count] }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    return String(text.reversed().drop { $0.isWhitespace }.reversed())
  }
}
