import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

/// A folder, a loop and a runner for tests with tiny shell handlers. Each has its own token, so that suites running
/// beside each other do not end each other's processes.
final class HandlerBench {
  let folder: String
  let loop: EventLoop
  let runner: HandlerRunner
  let token: String
  private(set) var events: [String: [AttemptEvent]] = [:]
  private var counter = 0

  init(ownsProcess: Bool = false, otherChildren: @escaping () -> [Int32] = { [] }) throws {
    var template = Array("/tmp/jobspool-handlers-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw EventLoop.Failure("mkdtemp", errno: errno) }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    mkdir("\(folder)/logs", 0o755)
    mkdir("\(folder)/log", 0o755)
    token = "test-\(UInt64.random(in: 1...UInt64.max))"
    loop = try EventLoop()
    runner = try HandlerRunner(loop: loop, ownsProcess: ownsProcess, otherChildren: otherChildren, remark: { _ in })
  }

  deinit {
    var isClosed = false
    runner.hurry()
    runner.close { isClosed = true }
    let deadline = EventLoop.now + .seconds(30)
    while !isClosed, EventLoop.now < deadline { try? loop.runOnce(timeout: .seconds(1)) }
    if !isClosed { Issue.record("workers do not end") }
    remove(folder)
  }

  private func remove(_ path: String) {
    if let directory = opendir(path) {
      while let item = readdir(directory) {
        let name = withUnsafePointer(to: &item.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { remove("\(path)/\(name)") }
      }
      closedir(directory)
      rmdir(path)
    } else {
      unlink(path)
    }
  }

  /// Settings of a handler that is a shell script.
  func shell(_ script: String) -> HandlerSettings {
    HandlerSettings(type: "test", file: "\(folder)/test.toml", command: ["/bin/sh", "-c", script])
  }

  func request(
    _ settings: HandlerSettings, id: String? = nil, input: [UInt8] = Array("{}\n".utf8),
    timeout: Duration = .seconds(60), stalledAfter: Duration? = nil
  ) -> AttemptRequest {
    counter += 1
    let id = id ?? "job-\(counter)"
    return AttemptRequest(
      id: id, attempt: 2, maxAttempts: 5, handler: settings, input: input, jobPath: "\(folder)/cur/\(id).json",
      spoolPath: folder, node: "node-1", logPath: "\(folder)/logs/\(id).log", timeout: timeout,
      stalledAfter: stalledAfter, token: token)
  }

  /// Starts without waiting.
  func start(_ request: AttemptRequest, onEvent: @escaping (AttemptEvent) -> Void = { _ in }) throws {
    events[request.id] = []
    try runner.start(request) { [weak self] event in
      self?.events[request.id, default: []].append(event)
      onEvent(event)
    }
    #expect(self.ends(request.id).isEmpty, "nothing may end before start has returned")
  }

  /// Runs the loop until `condition`, at most half a minute.
  func wait(until condition: () -> Bool) throws {
    let deadline = EventLoop.now + .seconds(30)
    while !condition() {
      guard EventLoop.now < deadline else {
        Issue.record("waited in vain")
        return
      }
      try loop.runOnce(timeout: .seconds(1))
    }
  }

  func ends(_ id: String) -> [AttemptEnd] {
    (events[id] ?? []).compactMap { event in
      guard case .ended(let end) = event else { return nil }
      return end
    }
  }

  /// Runs one attempt to its end and makes sure there is exactly one.
  func run(_ request: AttemptRequest, onEvent: @escaping (AttemptEvent) -> Void = { _ in }) throws -> AttemptEnd {
    try start(request, onEvent: onEvent)
    try wait { !self.ends(request.id).isEmpty }
    try loop.runOnce(timeout: .zero)
    let ends = self.ends(request.id)
    #expect(ends.count == 1)
    return try #require(ends.first)
  }

  func run(_ script: String) throws -> AttemptEnd { try run(request(shell(script))) }

  func read(_ path: String) -> String {
    ProcessTable.read(path, limit: 8 << 20).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  func log(_ id: String) -> String { read("\(folder)/logs/\(id).log") }

  func write(_ text: String, to name: String, mode: mode_t = 0o644) -> String {
    let path = "\(folder)/\(name)"
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    var bytes = Array(text.utf8)
    #expect(Glibc.write(file, &bytes, bytes.count) == bytes.count)
    Glibc.close(file)
    return path
  }

  /// Living processes that bear this bench's token.
  func survivors() -> [pid_t] {
    ProcessTable.all().filter {
      ProcessTable.environment(of: $0, holds: [Array("JOBSPOOL_TOKEN=\(token)".utf8)])
    }
  }
}

extension AttemptEnd {
  var text: String? { result.map { String(decoding: $0, as: UTF8.self) } }
}
