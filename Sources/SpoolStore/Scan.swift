/// Lists a folder: names only, in large reads, without opening or touching any file. The order is the directory's own.
internal import CSpoolShims
internal import Glibc
package import JobModel

package enum Scan {
  /// Calls `body` with every entry of the folder except `.` and `..`.
  ///
  /// The descriptor is opened anew, so that several scans do not share a position. Throws what the system says.
  package static func names(
    of folder: Spool.Folder, in spool: Spool, _ body: (String) -> Void
  ) throws(SpoolError) {
    try names(of: folder.rawValue, under: spool.root, shown: "\(spool.path)/\(folder.rawValue)", spool: spool, body)
  }

  /// The same for a folder below another, such as `log/jobs`.
  package static func names(
    of name: String, under directory: Int32, shown path: String, spool: Spool, _ body: (String) -> Void
  ) throws(SpoolError) {
    let fd: Int32
    do throws(Errno) {
      fd = try spool.syscalls.open(directory, name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
    } catch {
      throw SpoolError(doing: "listing the folder", path: path, error)
    }
    defer { spool.syscalls.close(fd) }
    let size = 1 << 18
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      let got = spool_getdents(fd, buffer, size)
      if got == 0 { return }
      guard got > 0 else { throw SpoolError(doing: "listing the folder", path: path, .current) }
      var offset = 0
      while offset < got {
        // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
        let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        let start = (buffer + offset + 19).assumingMemoryBound(to: CChar.self)
        if start[0] != 46 || (start[1] != 0 && (start[1] != 46 || start[2] != 0)) { body(String(cString: start)) }
        offset += length
      }
    }
  }

  /// The ids in a state's folder.
  package static func ids(in state: JobState, of spool: Spool) throws(SpoolError) -> [String] {
    var ids: [String] = []
    let folder = Spool.Folder(rawValue: state.rawValue) ?? .new
    try names(of: folder, in: spool) { name in
      if let id = JobID.fromFileName(name) { ids.append(id) }
    }
    return ids
  }
}
