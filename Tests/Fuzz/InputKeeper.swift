/// The input being tried, in a file mapped into memory: it is there after any end of the process.
import Glibc

struct InputKeeper {
  private let map: UnsafeMutableRawPointer

  init(_ path: String) {
    let fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard fd >= 0, ftruncate(fd, off_t(Main.largest + 8)) == 0,
      let map = mmap(nil, Main.largest + 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), map != MAP_FAILED
    else { Main.fail("cannot keep inputs in \(path)") }
    self.map = map
  }

  func put(_ bytes: [UInt8]) {
    map.storeBytes(of: UInt64(bytes.count), as: UInt64.self)
    (map + 8).copyMemory(from: bytes, byteCount: bytes.count)
  }
}
