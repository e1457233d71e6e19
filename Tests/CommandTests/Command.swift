/// Runs the built `jobspool` as a process over a spool of its own, without any daemon.
import CSpoolShims
import Glibc
import JobModel
import SpoolStore
import SpoolTestSupport

struct Answer {
  var code: Int32
  var out: String
  var err: String

  var lines: [String] { out.split(separator: "\n").map(String.init) }
  var json: JSONValue? { try? JSONReader.parse(Array(out.utf8)) }
}

final class Command {
  let test: TestSpool
  private let scratch: String

  init() throws {
    test = try TestSpool()
    scratch = "\(test.path)/secret"
  }

  struct NotStarted: Error { var code: Int32 }

  /// `jobspool` with these arguments, in the folder above the spool, with `$JOBSPOOL_DIR` naming it.
  func run(
    _ arguments: String..., input: String? = nil, environment: [String] = []
  ) throws -> Answer { try run(all: arguments, input: input, environment: environment) }

  func run(
    all arguments: [String], input: String? = nil, environment: [String]? = [], folder: String? = nil
  ) throws -> Answer {
    let words = [Command.program] + arguments
    let settings =
      environment.map { ["PATH=/usr/bin:/bin", "JOBSPOOL_DIR=\(test.path)"] + $0 } ?? ["PATH=/usr/bin:/bin"]
    try TestSpool.write(Array((input ?? "").utf8), to: "\(scratch)/in")
    let input = open("\(scratch)/in", O_RDONLY | O_CLOEXEC)
    let output = try Command.create("\(scratch)/out")
    let errors = try Command.create("\(scratch)/err")
    defer { for fd in [input, output, errors] { close(fd) } }
    var pid: pid_t = 0
    let fds = [input, output, errors, -1]
    let failure = Command.withPointers(words) { words in
      Command.withPointers(settings) { settings in
        spool_spawn(Command.program, words, settings, folder ?? test.path, fds, &pid)
      }
    }
    guard failure == 0 else { throw NotStarted(code: failure) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { guard errno == EINTR else { throw NotStarted(code: errno) } }
    func text(_ name: String) -> String {
      String(decoding: TestSpool.contents("\(scratch)/\(name)") ?? [], as: UTF8.self)
    }
    return Answer(code: spool_status_exited(status), out: text("out"), err: text("err"))
  }

  func handler(_ type: String, _ text: String = "command = [\"/bin/cat\"]") throws {
    try TestSpool.write(Array("\(text)\n".utf8), to: "\(test.path)/handlers/\(type).toml")
  }

  /// `jobspool` as built beside the test bundle.
  static let program: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, 4095)
    let own = String(decoding: buffer[..<max(length, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let slash = own.lastIndex(of: "/") else { return "jobspool" }
    return own[...slash] + "jobspool"
  }()

  private static func create(_ path: String) throws -> Int32 {
    unlink(path)
    let fd = creat(path, 0o600)
    guard fd >= 0 else { throw Errno.current }
    return fd
  }

  private static func withPointers(
    _ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
  ) -> Int32 {
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in buffer.baseAddress.map(body) ?? EINVAL }
  }
}

extension String {
  func holds(_ words: String) -> Bool { words.isEmpty || indices.contains { self[$0...].hasPrefix(words) } }
}
