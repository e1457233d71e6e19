/// `log/rollup-NODE-YYYY-MM-DD.json`: the numbers of a day that is over. Derived from that day's audit file, and made again
/// from it when missing or damaged, as long as retention has left it there; after that the only memory of the day's numbers.
internal import Glibc
package import JobModel

package struct RollupFile: Sendable, Equatable {
  package var node: String
  package var day: String

  package init(node: String, day: String) {
    self.node = node
    self.day = day
  }

  package init(_ file: AuditFile) { self.init(node: file.node, day: file.day) }

  package init?(name: String) {
    guard name.hasPrefix("rollup-"), name.hasSuffix(".json") else { return nil }
    let middle = name.dropFirst(7).dropLast(5)
    guard middle.utf8.count > 11, middle.dropLast(10).last == "-" else { return nil }
    day = String(middle.suffix(10))
    node = String(middle.dropLast(11))
  }

  package var name: String { "rollup-\(node)-\(day).json" }

  /// All of them, oldest first; by node within a day.
  package static func list(_ spool: Spool) throws(SpoolError) -> [RollupFile] {
    var files: [RollupFile] = []
    try Scan.names(of: .log, in: spool) { name in
      if let file = RollupFile(name: name) { files.append(file) }
    }
    return files.sorted { ($0.day, $0.node) < ($1.day, $1.node) }
  }

  /// nil when it is not there or damaged.
  package func read(_ spool: Spool) -> Rollup? { spool.readRoot("log/\(name)", limit: 64 << 20).flatMap { Rollup($0) } }

  /// Replaces it whole, durably: one day nothing else will know these numbers.
  package func write(_ rollup: Rollup, in spool: Spool) throws(SpoolError) {
    try spool.replaceLogFile(name, with: rollup.json(node: node, day: day) + [0x0A], durably: true)
  }

  /// Days that are over by `today` and have no rollup, oldest first.
  package static func missing(_ spool: Spool, before today: String) throws(SpoolError) -> [RollupFile] {
    let there = Set(try list(spool).map(\.name))
    return try AuditFile.list(spool).filter { $0.day < today }.map(RollupFile.init).filter { file in
      !there.contains(file.name) || file.read(spool) == nil
    }
  }
}

extension Spool {
  /// Writes a derived file of `log/` in one step.
  package func replaceLogFile(_ name: String, with bytes: [UInt8], durably: Bool) throws(SpoolError) {
    let log = descriptor(Folder.log)
    do throws(Errno) {
      let fd = try syscalls.open(log, ".\(name)", flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o640)
      defer { syscalls.close(fd) }
      try syscalls.write(fd, bytes, offset: 0)
      if durably { try syscalls.syncData(fd) }
      try syscalls.rename(log, ".\(name)", to: log, name, replacing: true)
    } catch {
      throw SpoolError(doing: "writing", path: "\(path)/log/\(name)", error)
    }
  }
}
