// A temporary folder with directories to watch, a watcher over them, and what the tests do to files there.

import CSpoolShims
import Glibc
import SpoolWatch
import Testing

final class WatchFolder {
  let root: String

  init(_ directories: String...) throws {
    var template = Array("/tmp/spoolwatch-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw WatchProblem("mkdtemp: \(errno)") }
    root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    for directory in directories + ["tmp"] { mkdir(path(directory), 0o755) }
  }

  deinit { run("/bin/rm", "-rf", root) }

  func path(_ relative: String) -> String { root + "/" + relative }

  /// Writes `tmp/NAME` and moves it to `directory/NAME`, as a producer does.
  func drop(_ name: String, into directory: String = "new") {
    write("tmp/" + name)
    rename(path("tmp/" + name), path(directory + "/" + name))
  }

  func write(_ relative: String) {
    let descriptor = open(path(relative), O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    #expect(descriptor >= 0)
    #expect(Glibc.write(descriptor, "{}", 2) == 2)
    close(descriptor)
  }

  /// A watcher of these directories whose watches stand.
  func watcher(_ directories: String..., removals: Bool = false) throws -> Watcher {
    let watcher = Watcher(directories.map { path($0) }, removals: removals, program: program)
    try watcher.start()
    #expect(watcher.next(timeout: patience) == [.lookAgain])
    return watcher
  }
}

/// Long enough for any machine; only a failing test waits for it.
let patience = Duration.seconds(20)

/// jobspool-watch as built beside the test bundle.
let program: String = {
  var buffer = [CChar](repeating: 0, count: 4096)
  let length = readlink("/proc/self/exe", &buffer, 4095)
  let own = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
  let beside = folder + "/jobspool-watch"
  if access(beside, X_OK) == 0 { return beside }
  // A test runner that loads the bundle instead of being it names the bundle among its arguments.
  for argument in CommandLine.arguments where argument.contains(".xctest") {
    let candidate = argument.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    if access(candidate + "/jobspool-watch", X_OK) == 0 { return candidate + "/jobspool-watch" }
  }
  return beside
}()

extension Watcher {
  /// Reads until `enough` says so of everything read so far; records a failure when that never comes.
  func collect(until enough: ([WatchEvent]) -> Bool, at location: SourceLocation = #_sourceLocation) -> [WatchEvent] {
    var all: [WatchEvent] = []
    while !enough(all) {
      let more = next(timeout: patience)
      if more.isEmpty {
        Issue.record("nothing more came after \(all.suffix(5))", sourceLocation: location)
        break
      }
      all += more
    }
    return all
  }
}

/// A child of the test with its output, both streams in one pipe.
final class Child {
  private(set) var output: Int32 = -1
  private var process: Int32 = -1
  private(set) var pid: pid_t = 0

  init(_ arguments: [String]) throws {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    let error = spool_watch_start(arguments[0], pointers, &output, &process, &pid)
    guard error == 0 else { throw WatchProblem("\(arguments[0]): \(error)") }
  }

  /// Everything it prints until `enough` or the end of its output.
  func read(until enough: (String) -> Bool = { _ in false }) -> String {
    var bytes: [UInt8] = []
    while !enough(String(decoding: bytes, as: UTF8.self)) {
      var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 20_000) == 1 else {
        Issue.record("no output and no end of it")
        break
      }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = Glibc.read(output, &buffer, buffer.count)
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func closeOutput() {
    close(output)
    output = -1
  }

  /// Waits for the end that is due by itself; the exit code, minus the signal when killed.
  func exit() -> Int32 {
    var waiting = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
    if poll(&waiting, 1, 20_000) != 1 { Issue.record("process \(pid) does not end") }
    var code: Int32 = 0
    _ = spool_watch_finish(process, &code)
    process = -1
    return code
  }

  deinit {
    if output >= 0 { close(output) }
    var code: Int32 = 0
    if process >= 0 { _ = spool_watch_finish(process, &code) }
  }
}

func run(_ arguments: String...) {
  guard let child = try? Child(arguments) else { return }
  _ = child.read()
  _ = child.exit()
}

func contents(of path: String) -> String {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return "" }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: 1 << 16)
  return String(decoding: bytes[..<max(0, read(descriptor, &bytes, bytes.count))], as: UTF8.self)
}

func names(in path: String) -> [String] {
  guard let stream = opendir(path) else { return [] }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names.sorted()
}
