/// Numbers that a file's owner or a file system chooses, and that no arithmetic may trip over.
import Glibc
import JobModel
import SpoolTestSupport
import Testing

@testable import SpoolStore

@Suite("Numbers from outside")
struct FarTests {
  /// tmpfs and btrfs keep any time, ext4 and xfs the nearest they can; on the latter this shows less.
  private static let memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"

  @Test(
    "a file dated by its owner to the end of time is as old as can be said",
    arguments: [Int.min, -1, 1 << 40, 1 << 62, Int.max])
  func dated(_ second: Int) throws {
    var template = Array("\(FarTests.memory)/jobspool-far-XXXXXX".utf8CString)
    #expect(mkdtemp(&template) != nil)
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      unlink("\(folder)/file")
      rmdir(folder)
    }
    try TestSpool.write([], to: "\(folder)/file")
    let times = [timespec(tv_sec: second, tv_nsec: 999_999_999), timespec(tv_sec: second, tv_nsec: 999_999_999)]
    guard utimensat(AT_FDCWD, "\(folder)/file", times, 0) == 0 else { throw Errno.current }
    let status = try RealSyscalls().status(AT_FDCWD, "\(folder)/file")
    let age = WallTime(seconds: 1_800_000_000) - WallTime(microseconds: status.modified)
    #expect((age < .zero) == (second > 1_800_000_000))
    #expect(WallTime(microseconds: status.modified).rfc3339.utf8.count == 24)
  }

  @Test("a file system of endless size has much room")
  func endless() {
    #expect(FreeSpace.product(UInt.max, 4096) == .max && FreeSpace.product(UInt.max, 1) == .max)
    #expect(FreeSpace.product(UInt(3), 4096) == 12_288)
  }
}
