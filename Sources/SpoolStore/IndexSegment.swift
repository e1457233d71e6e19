/// One file of the audit log's index: for a stretch of one audit file, the hash of each job's id, and of each batch's name,
/// with the place of the line, sorted by hash. It says where to look, never what is there: whoever asks reads the line.
///
/// Derived from the log and from nothing else, so it may be removed at any time. It counts only while the log bears it out:
/// the last line it covers must be in its place. After a power cut the log may have been cut back and grown again.
///
///     magic 8 · seed 8 · from 8 · to 8 · count 8 · SHA-256 of the last line, as text, 64
///     count × 8: hash (28 bits) and offset in the audit file (36 bits), ascending
final class IndexSegment {
  static let magic: UInt64 = 0x3158_4449_4C4F_5053
  static let headerSize = 104
  static let offsetBits: UInt64 = 36
  static let offsetMask: UInt64 = (1 << offsetBits) - 1
  /// Where it lies, in `log/`.
  static let folder = "index"

  let name: String
  let audit: String
  let seed: UInt64
  let from: Int
  let to: Int
  let count: Int
  let lastHash: [UInt8]
  private let map: MappedFile

  /// nil: no segment, or not a whole one.
  init?(_ name: String, in spool: Spool) {
    guard let (audit, from, to) = IndexSegment.range(of: name),
      let map = try? MappedFile("\(IndexSegment.folder)/\(name)", in: spool), map.bytes.count >= IndexSegment.headerSize
    else { return nil }
    func word(_ index: Int) -> UInt64 { map.bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) }
    guard word(0) == IndexSegment.magic, word(2) == UInt64(from), word(3) == UInt64(to),
      word(4) == UInt64((map.bytes.count - IndexSegment.headerSize) / 8),
      (map.bytes.count - IndexSegment.headerSize) % 8 == 0
    else { return nil }
    self.name = name
    self.audit = audit
    self.from = from
    self.to = to
    seed = word(1)
    count = Int(word(4))
    lastHash = Array(map.bytes[40..<IndexSegment.headerSize])
    self.map = map
  }

  /// `AUDITFILE.FROM-TO`.
  static func name(_ audit: String, _ from: Int, _ to: Int) -> String { "\(audit).\(from)-\(to)" }

  static func range(of name: String) -> (audit: String, from: Int, to: Int)? {
    let suffix = ".jsonl."
    guard let split = name.utf8.indices.last(where: { name.utf8[$0...].starts(with: suffix.utf8) }) else { return nil }
    let audit = String(name[..<split]) + ".jsonl"
    let numbers = name[split...].dropFirst(suffix.utf8.count).split(separator: "-", omittingEmptySubsequences: false)
    guard numbers.count == 2, let from = Int(numbers[0]), let to = Int(numbers[1]), from >= 0, to > from,
      AuditFile(name: audit) != nil
    else { return nil }
    return (audit, from, to)
  }

  static func entry(_ hash: UInt64, _ offset: Int) -> UInt64 {
    (hash >> offsetBits) << offsetBits | UInt64(offset) & offsetMask
  }

  subscript(_ index: Int) -> UInt64 {
    map.bytes.loadUnaligned(fromByteOffset: IndexSegment.headerSize + index * 8, as: UInt64.self)
  }

  /// Places of lines that may be about what has this hash, last first.
  func offsets(of hash: UInt64) -> [Int] {
    let wanted = hash >> IndexSegment.offsetBits
    var low = 0
    var high = count
    // Hashes are evenly spread, so the first guess is nearly right: few pages are touched.
    var guess = Int(Double(wanted) / Double(UInt64(1) << (64 - IndexSegment.offsetBits)) * Double(count))
    var step = 64
    while low < high {
      let middle = min(max(guess, low), high - 1)
      if self[middle] >> IndexSegment.offsetBits < wanted {
        low = middle + 1
        guess = low + step
      } else {
        high = middle
        guess = high - step
      }
      if guess <= low || guess >= high { guess = low + (high - low) / 2 } else { step *= 4 }
    }
    var found: [Int] = []
    while low < count, self[low] >> IndexSegment.offsetBits == wanted {
      found.append(Int(self[low] & IndexSegment.offsetMask))
      low += 1
    }
    return found.reversed()
  }

  func release() { map.release() }

  /// Whether the audit file still has the line it ended with.
  func isBorneOut(by log: MappedFile) -> Bool {
    log.hasLine(endingAt: to, hash: String(decoding: lastHash, as: UTF8.self))
  }
}
