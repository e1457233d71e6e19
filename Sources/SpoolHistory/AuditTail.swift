/// The end of the audit log, and what is added to it: the newest lines of all nodes, then new ones as they are written.
package import SpoolStore

package struct AuditTail {
  private let spool: Spool
  private let job: String?
  /// How far each file has been shown.
  private var shown: [String: Int] = [:]

  /// - Parameter job: only its lines.
  package init(_ spool: Spool, job: String? = nil) {
    self.spool = spool
    self.job = job
  }

  /// The newest `count` lines, the oldest of them first.
  package mutating func last(_ count: Int) throws(SpoolError) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    for file in try AuditFile.list(spool).reversed() {
      let map = try MappedFile(file.name, in: spool)
      shown[file.name] = AuditTail.whole(map)
      guard lines.count < count else { continue }
      map.linesBackwards { line in
        if concerns(line) { lines.append(Array(line)) }
        return lines.count < count
      }
    }
    return lines.reversed()
  }

  /// Hands out what was added since.
  package mutating func next(_ body: ([UInt8]) -> Void) throws(SpoolError) {
    for file in try AuditFile.list(spool) {
      let seen = shown[file.name] ?? 0
      let map = try MappedFile(file.name, in: spool)
      let whole = AuditTail.whole(map)
      guard whole > seen else { continue }
      let added = UnsafeRawBufferPointer(rebasing: map.bytes[seen..<whole])
      for line in added.split(separator: 0x0A) {
        let line = UnsafeRawBufferPointer(rebasing: line)
        if concerns(line) { body(Array(line)) }
      }
      shown[file.name] = whole
    }
  }

  private func concerns(_ line: UnsafeRawBufferPointer) -> Bool {
    guard let job else { return true }
    return AuditLineHead(line)?.job == job
  }

  /// Bytes up to the last newline.
  private static func whole(_ map: MappedFile) -> Int { map.bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0 }
}
