/// Settles on their way to the disk, by how far they are. A settle leaves a stage only when its step has succeeded, so a
/// full disk stops the line and loses nothing.
///
///     written?   the record is not in the file yet
///     files      its record is too large for the audit log: the file has to be synced first
///     noted?     waits for its audit line
///     syncing    its line is written; the durable step that covers it is under way or will be the next
///     durable    waits for its rename
internal import SpoolStore

struct Settling {
  private(set) var fresh: [Settlement] = []
  private var files: [Settlement] = []
  private var filesUnderWay: [Settlement] = []
  private(set) var unnoted: [Settlement] = []
  private var noted: [Settlement] = []
  private var notedUnderWay: [Settlement] = []
  private var unpublished: [Settlement] = []

  var count: Int {
    fresh.count + files.count + filesUnderWay.count + unnoted.count + noted.count + notedUnderWay.count
      + unpublished.count
  }

  var isEmpty: Bool { count == 0 }

  mutating func add(_ settlement: Settlement) { fresh.append(settlement) }

  /// Step one for all new settles.
  mutating func write(_ body: (Settlement) throws(SpoolError) -> Void) throws(SpoolError) {
    while let settlement = fresh.first {
      try body(settlement)
      fresh.removeFirst()
      if settlement.needsFileSync { files.append(settlement) } else { unnoted.append(settlement) }
    }
  }

  /// Step two.
  mutating func note(_ body: (Settlement) throws(SpoolError) -> Void) throws(SpoolError) {
    while let settlement = unnoted.first {
      try body(settlement)
      unnoted.removeFirst()
      noted.append(settlement)
    }
  }

  /// What a durable step started now has to sync besides the log; nil when nothing waits for one.
  mutating func beginCommit() -> [Int32]? {
    guard !files.isEmpty || !noted.isEmpty else { return nil }
    swap(&files, &filesUnderWay)
    swap(&noted, &notedUnderWay)
    return filesUnderWay.map(\.fileDescriptor)
  }

  /// The step succeeded: what may be renamed now, with what could not be before.
  mutating func finishCommit() -> [Settlement] {
    unnoted += filesUnderWay
    filesUnderWay.removeAll()
    unpublished += notedUnderWay
    notedUnderWay.removeAll()
    return takeUnpublished()
  }

  /// The step failed and is to be repeated.
  mutating func abandonCommit() {
    files = filesUnderWay + files
    filesUnderWay.removeAll()
    noted = notedUnderWay + noted
    notedUnderWay.removeAll()
  }

  mutating func takeUnpublished() -> [Settlement] {
    let all = unpublished
    unpublished.removeAll()
    return all
  }

  mutating func putBack(unpublished settlement: Settlement) { unpublished.append(settlement) }
}
