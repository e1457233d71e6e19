internal import CSpoolShims
internal import Glibc
internal import JobModel

/// `log/workers/TYPE.log`: what the workers of a type wrote to standard error while it could not be told for which of
/// their jobs, and remarks of ours about them. Bounded: when it is full, its older half goes.
///
/// A log that cannot be written harms nobody: the first failure is told, the rest is dropped.
final class WorkerLog {
  private let folder: String
  private let path: String
  private let limit: Int
  private let failed: (String) -> Void
  private var file: Int32 = -1
  private var hasFailed = false
  private var atLineStart = true

  /// - Parameters:
  ///   - limit: bytes.
  ///   - failed: told once, when it cannot be written.
  init(folder: String, type: String, limit: Int = Limits.jobLogBytes, failed: @escaping (String) -> Void) {
    self.folder = folder
    path = "\(folder)/\(type).log"
    self.limit = limit
    self.failed = failed
  }

  deinit { if file >= 0 { close(file) } }

  /// What a worker wrote, byte for byte.
  func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard !bytes.isEmpty, open() else { return }
    makeRoom(for: bytes.count)
    // Larger than half of the file: only its end is worth keeping.
    put(UnsafeBufferPointer(rebasing: bytes.suffix(limit / 2)))
    atLineStart = bytes.last == 0x0A
  }

  /// A line of ours.
  func note(_ text: String) {
    guard open() else { return }
    let line = Array("\(atLineStart ? "" : "\n")\(WallTime.now.rfc3339) jobspool: \(text)\n".utf8)
    makeRoom(for: line.count)
    line.withUnsafeBufferPointer { put($0) }
    atLineStart = true
  }

  private func open() -> Bool {
    guard file < 0 else { return true }
    guard !hasFailed else { return false }
    mkdir(folder, 0o750)
    file = Glibc.open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o640)
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0 else { return fail("cannot be opened", errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { return fail("is not a file", 0) }
    return true
  }

  /// Keeps the newer half, from the start of a line, when `count` more bytes would not fit.
  private func makeRoom(for count: Int) {
    var status = stat()
    guard fstat(file, &status) == 0, Int(status.st_size) + count > limit else { return }
    var kept = [UInt8](repeating: 0, count: min(limit / 2, Int(status.st_size)))
    let read = pread(file, &kept, kept.count, status.st_size - off_t(kept.count))
    guard read >= 0, ftruncate(file, 0) == 0 else {
      _ = fail("cannot be shortened", errno)
      return
    }
    let text = kept.prefix(read)
    let start = text.firstIndex(of: 0x0A).map { $0 + 1 } ?? text.endIndex
    kept[start..<text.endIndex].withUnsafeBufferPointer { put($0) }
  }

  private func put(_ bytes: UnsafeBufferPointer<UInt8>) {
    var done = 0
    while done < bytes.count, file >= 0 {
      let count = write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if count > 0 {
        done += count
      } else if errno != EINTR {
        _ = fail("cannot be written", errno)
      }
    }
  }

  private func fail(_ what: String, _ error: Int32) -> Bool {
    if file >= 0 { close(file) }
    file = -1
    hasFailed = true
    failed("\(path) \(what)\(error == 0 ? "" : ": \(String(cString: strerror(error)))")")
    return false
  }
}
