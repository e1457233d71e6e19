/// A fresh spool in a temporary folder, removed with its last reference, and the shortest ways to look into it. Tests look
/// at the disk itself, not through the code they test.
package import Glibc
package import JobModel
package import SpoolStore

package final class TestSpool: Sendable {
  package let path: String

  package init() throws {
    // In memory, where there is a folder for that: thousands of syncs take minutes on a slow disk and prove nothing here.
    let folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(folder)/jobspool-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Errno.current }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try Spool.create(path)
  }

  deinit { TestSpool.removeAll(path) }

  package func open(_ syscalls: any SpoolSyscalls = RealSyscalls()) throws -> Spool {
    try Spool(path, syscalls: syscalls)
  }

  /// The lock-holder's hands on this spool.
  package func transitions(
    _ syscalls: any SpoolSyscalls = RealSyscalls(), at now: WallTime = JobFactory.now, node: String = "node-a"
  ) throws -> Transitions {
    let spool = try open(syscalls)
    return Transitions(spool, audit: try AuditLog(spool, node: node, now: now))
  }

  // MARK: Files

  /// What a producer does: write to `tmp/`, then rename.
  package func drop(_ id: String, _ json: some StringProtocol, into state: JobState = .new) throws {
    try drop(id, bytes: Array(json.utf8), into: state)
  }

  package func drop(_ id: String, bytes: [UInt8], into state: JobState = .new) throws {
    let staged = "\(path)/tmp/\(id).json"
    try TestSpool.write(bytes, to: staged)
    try move(staged, file(id, state))
  }

  package func file(_ id: String, _ state: JobState) -> String { "\(path)/\(state.rawValue)/\(id).json" }

  package func move(_ from: String, _ to: String) throws {
    guard rename(from, to) == 0 else { throw Errno.current }
  }

  package func bytes(_ id: String, _ state: JobState) -> [UInt8]? { TestSpool.contents(file(id, state)) }

  package func text(_ id: String, _ state: JobState) -> String? {
    bytes(id, state).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Every state that has a file of this id.
  package func states(of id: String) -> [JobState] {
    JobState.allCases.filter { TestSpool.exists(file(id, $0)) }
  }

  package func job(_ id: String, _ state: JobState) throws -> Job {
    guard let bytes = bytes(id, state) else { throw Errno.noEntry }
    return try JobScanner.scan(bytes)
  }

  package func record(of id: String, _ state: JobState) throws -> JobRecord? { try job(id, state).record }

  /// The names in a folder, sorted.
  package func names(in folder: Spool.Folder) -> [String] { TestSpool.names("\(path)/\(folder.rawValue)") }

  // MARK: Audit log

  package var auditFiles: [String] { names(in: .log).filter { $0.hasPrefix("audit-") } }

  package func auditText(_ name: String) -> [UInt8] { TestSpool.contents("\(path)/log/\(name)") ?? [] }

  /// All lines of all files, oldest file first.
  package var auditLines: [[UInt8]] {
    auditFiles.flatMap { auditText($0).split(separator: 0x0A, omittingEmptySubsequences: true).map(Array.init) }
  }

  package func audit() throws -> [JSONValue] {
    try auditLines.map { try JSONReader.parse($0, rawKeys: ["record"]) }
  }

  /// `event` of every line about the job.
  package func events(of id: String) throws -> [String] {
    try audit().filter { $0["job"]?.string == id }.compactMap { $0["event"]?.string }
  }

  /// What is wrong with the chain of lines; empty when all is well.
  package func auditFaults() -> [String] {
    var faults: [String] = []
    var previous = Digest.none
    var number = 0
    for name in auditFiles {
      let text = auditText(name)
      if let last = text.last, last != 0x0A { faults.append("\(name) does not end with a newline") }
      for line in text.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast() {
        guard let value = try? JSONReader.parse(Array(line), rawKeys: ["record"]) else {
          faults.append("\(name): no JSON after line \(number)")
          continue
        }
        number += 1
        if value["seq"]?.int != number { faults.append("line \(number) has seq \(value["seq"]?.int ?? -1)") }
        if value["prev"]?.string != previous { faults.append("line \(number) does not follow the one before") }
        previous = Digest.sha256(Array(line))
      }
    }
    return faults
  }

  // MARK: Plain files

  package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o640) throws {
    let fd = spoolTestCreate(path, mode)
    guard fd >= 0 else { throw Errno.current }
    defer { close(fd) }
    var written = 0
    while written < bytes.count {
      let put = bytes[written...].withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      guard put > 0 else { throw Errno.current }
      written += put
    }
  }

  private static func spoolTestCreate(_ path: String, _ mode: mode_t) -> Int32 {
    unlink(path)
    return creat(path, mode)
  }

  package static func contents(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = fread(&buffer, 1, buffer.count, file)
      if got == 0 { return bytes }
      bytes.append(contentsOf: buffer[..<got])
    }
  }

  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  package static func names(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package static func removeAll(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in names(path) { removeAll("\(path)/\(name)") }
      rmdir(path)
    } else {
      unlink(path)
    }
  }
}

extension TestSpool {
  /// Gives `new/ID.json` a second name, which its producer might still write through.
  package func linkOutside(_ id: String) throws {
    guard link(file(id, .new), "\(path)/handlers/second-name-of-\(id)") == 0 else { throw Errno.current }
  }
}
