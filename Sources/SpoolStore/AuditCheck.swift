/// Checks the audit log: every line is whole JSON, numbered without a gap, and holds the hash of the line before it, over
/// all files of a node. So a change to any line but the last shows, unless every later line was changed with it; the last
/// hash in the journal covers that.
///
/// Safe while the log grows: files are listed first, each is looked at as long as it was then. Files that retention
/// removed are missing at the beginning only; a `purged` line with the last number and hash of each says that they were
/// removed in order, and a beginning that no such line explains is told apart (`unexplained`).
internal import Glibc
internal import JobModel

package struct AuditFault: Sendable, Equatable, CustomStringConvertible {
  package var file: String
  /// From 1.
  package var line: Int
  package var message: String
  /// Bytes without a newline at the end of a file, which a crash leaves: no damage to anything before them.
  package var isTorn = false

  package var description: String { "\(file):\(line): \(message)" }
}

package struct AuditCheck: Sendable {
  /// What a line's number can be; more would take a thousand years.
  static let numbers = 1..<1 << 50

  package private(set) var files = 0
  package private(set) var lines = 0
  package private(set) var faults: [AuditFault] = []
  /// Node → hash of its last line.
  package private(set) var heads: [String: String] = [:]

  /// Node → number of its first line, where that is not 1 and no line says that retention removed what came before.
  package private(set) var unexplained: [String: Int] = [:]
  /// Nodes whose oldest files retention removed, and the number of the first line left.
  package private(set) var retired: [String: Int] = [:]

  /// What is damaged, torn ends left out.
  package var damage: [AuditFault] { faults.filter { !$0.isTorn } }
  package var torn: [AuditFault] { faults.filter(\.isTorn) }

  /// How a node's chain stands.
  private struct Chain {
    var sequence: Int?
    var head: String?
    var previous: (file: String, line: Int)?
    /// The first line, when it is not number 1.
    var first: (sequence: Int, previous: String)?
  }

  /// What lines about removed files say of where the chain went on.
  private struct Removal: Hashable {
    var node: String
    var sequence: Int
    var hash: String
  }

  private var removals: Set<Removal> = []

  /// Looks at all files of all nodes.
  package init(_ spool: Spool) throws(SpoolError) {
    var chains: [String: Chain] = [:]
    let isLive = SpoolLock.isHeld(spool) != false
    let all = try AuditFile.list(spool)
    for file in all {
      guard spool.hasRoot("log/\(file.name)") else { continue }
      let map = try MappedFile(file.name, in: spool)
      files += 1
      let isNewest = all.last { $0.node == file.node } == file
      check(map, file.name, &chains[file.node, default: Chain()], mayGrow: isLive && isNewest)
    }
    for (node, chain) in chains {
      heads[node] = chain.head
      guard let first = chain.first else { continue }
      if removals.contains(Removal(node: node, sequence: first.sequence - 1, hash: first.previous)) {
        retired[node] = first.sequence
      } else {
        unexplained[node] = first.sequence
      }
    }
  }

  private mutating func check(_ map: MappedFile, _ file: String, _ chain: inout Chain, mayGrow: Bool) {
    var number = 0
    var whole = 0
    // Lines that are none at the very end are what a crash left, such as zeros; only a line after them makes it damage.
    var unsure: [AuditFault] = []
    map.lines { line in
      number += 1
      whole += line.count + 1
      guard let fields = AuditCheck.fields(line) else {
        unsure.append(AuditFault(file: file, line: number, message: "no JSON of the kind the log is written in"))
        return true
      }
      faults += unsure
      // After lines that are none, the chain cannot fit; that has been said.
      let isKnown = unsure.isEmpty
      unsure = []
      lines += 1
      noteRemoval(line)
      if chain.sequence == nil, fields.sequence != 1 { chain.first = fields }
      if isKnown { compare(fields, file, number, chain) }
      chain.sequence = fields.sequence
      chain.head = Digest.sha256(line)
      chain.previous = (file, number)
      return true
    }
    for fault in unsure {
      faults.append(
        AuditFault(file: fault.file, line: fault.line, message: "torn by a crash: \(fault.message)", isTorn: true))
    }
    if whole < map.bytes.count, !mayGrow {
      faults.append(
        AuditFault(
          file: file, line: number + 1,
          message: "torn by a crash: \(map.bytes.count - whole) bytes without a newline; "
            + "the next start of the daemon cuts them off", isTorn: true))
    }
  }

  /// A `purged` line without a job is about a file of the log.
  private mutating func noteRemoval(_ line: UnsafeRawBufferPointer) {
    guard let head = AuditLineHead(line), head.event == .purged, head.job == nil,
      let value = try? JSONReader.parse(Array(line)), let file = value["file"]?.string.flatMap(AuditFile.init(name:)),
      let sequence = value["last_seq"]?.int, let hash = value["last_hash"]?.string
    else { return }
    removals.insert(Removal(node: file.node, sequence: sequence, hash: hash))
  }

  private mutating func compare(
    _ fields: (sequence: Int, previous: String), _ file: String, _ line: Int, _ chain: Chain
  ) {
    guard let head = chain.head, let sequence = chain.sequence, let previous = chain.previous else {
      if fields.sequence == 1, fields.previous != Digest.none {
        faults.append(
          AuditFault(file: file, line: line, message: "seq is 1, but prev says that there was a line before"))
      }
      return
    }
    if fields.sequence != sequence + 1 {
      faults.append(
        AuditFault(
          file: file, line: line,
          message: fields.sequence > sequence
            ? "seq is \(fields.sequence) after \(sequence): \(fields.sequence - sequence - 1) lines are missing"
            : "seq is \(fields.sequence) after \(sequence): lines were added or put in another order"))
    } else if fields.previous != head {
      faults.append(
        AuditFault(
          file: previous.file, line: previous.line,
          message: "was changed: its hash is not the one that the line after it (\(file):\(line)) holds"))
    }
  }

  /// Number and `prev` of a line; nil when it is none of ours.
  private static func fields(_ line: UnsafeRawBufferPointer) -> (sequence: Int, previous: String)? {
    let text = Array(line)
    guard (try? JSONReader.check(text)) != nil else { return nil }
    // {"ts":"2026-11-21T01:39:02.512Z","seq":N, … "prev":"64 digits"}
    var at = 39
    guard text.count > at + 76, text[..<39].suffix(7).elementsEqual(",\"seq\":".utf8.suffix(7)) else { return nil }
    var sequence = 0
    while text[at] >= 48, text[at] <= 57, sequence < numbers.upperBound {
      sequence = sequence * 10 + Int(text[at] - 48)
      at += 1
    }
    let end = text.suffix(75)
    guard numbers.contains(sequence), end.starts(with: ",\"prev\":\"".utf8), end.suffix(2).elementsEqual("\"}".utf8)
    else {
      return nil
    }
    return (sequence, String(decoding: end.dropFirst(9).dropLast(2), as: UTF8.self))
  }
}
