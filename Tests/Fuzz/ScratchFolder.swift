/// A spool in memory where there is one, for readers that read files; it goes with the process.
import Glibc
import SpoolStore

final class ScratchFolder: @unchecked Sendable {
  let path: String
  private var opened: Spool?

  init() {
    var template = Array((access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp").utf8CString.dropLast())
    template += "/spoolfuzz-XXXXXX".utf8CString
    guard mkdtemp(&template) != nil else { Main.fail("cannot make a folder") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    do { try Spool.create(path) } catch { Main.fail("cannot make a spool: \(error)") }
    for name in ["handlers", "schedules"] { mkdir("\(path)/\(name)", 0o700) }
    print("scratch \(path)")
    // Whoever cleans up has to know it whatever happens.
    fflush(nil)
  }

  func spool() throws -> Spool {
    if let opened { return opened }
    let spool = try Spool(path)
    opened = spool
    return spool
  }

  func write(_ bytes: [UInt8], to name: String) {
    let fd = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard fd >= 0, bytes.isEmpty || Glibc.write(fd, bytes, bytes.count) == bytes.count else {
      Main.fail("cannot write \(name)")
    }
    close(fd)
  }

  func remove(_ name: String) { unlink("\(path)/\(name)") }

  /// Everything in `log/` but folders.
  func emptyLog() {
    guard let listing = opendir("\(path)/log") else { return }
    defer { closedir(listing) }
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      remove("log/\(name)")
    }
  }
}
