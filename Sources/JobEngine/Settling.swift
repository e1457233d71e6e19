/// Settles on their way to the disk, by how far they are. A settle leaves a stage only when its step has succeeded, so a
/// full disk stops the line and loses nothing.
///
///     written?   the record is not in the file yet
///     files      its record is too large for the audit log: the file has to be synced first
///     noted?     waits for its audit line
///     syncing    its line is written; the durable step that covers it is under way or will be the next. If the committer
///                makes it visible too, a file that is not in cur/ any more has come out at the end.
///     untold     durable; the files of its notices are being written
///     durable    waits for its rename
internal import SpoolStore

struct Settling {
  private(set) var fresh: [Settlement] = []
  private var files: [Settlement] = []
  private var filesUnderWay: [Settlement] = []
  private(set) var unnoted: [Settlement] = []
  private var noted: [Settlement] = []
  private var notedUnderWay: [Settlement] = []
  private var movesUnderWay = false
  /// Those taken for visible before the committer told.
  private var early: [Settlement] = []
  /// Durable, and to be told of: the files of their notices come before their renames.
  private var untold: [Settlement] = []
  private var untoldUnderWay: [Settlement] = []
  private var unpublished: [Settlement] = []

  var count: Int {
    fresh.count + files.count + filesUnderWay.count + unnoted.count + noted.count + notedUnderWay.count
      + untold.count + untoldUnderWay.count + unpublished.count
  }

  var isEmpty: Bool { count == 0 }

  mutating func add(_ settlement: Settlement) { fresh.append(settlement) }

  /// Step one for all new settles. One that cannot be written stays for later and holds up no other, unless the disk is
  /// full: that is everybody's matter. Throws the last refusal.
  mutating func write(_ body: (Settlement) throws(SpoolError) -> Void) throws(SpoolError) {
    guard !fresh.isEmpty else { return }
    let (done, left, failure) = Settling.each(of: fresh, body)
    fresh = left
    for settlement in done {
      if settlement.needsFileSync { files.append(settlement) } else { unnoted.append(settlement) }
    }
    if let failure { throw failure }
  }

  /// Step two, likewise.
  mutating func note(_ body: (Settlement) throws(SpoolError) -> Void) throws(SpoolError) {
    guard !unnoted.isEmpty else { return }
    let (done, left, failure) = Settling.each(of: unnoted, body)
    unnoted = left
    noted += done
    if let failure { throw failure }
  }

  private static func each(
    of settlements: [Settlement], _ body: (Settlement) throws(SpoolError) -> Void
  ) -> (done: [Settlement], left: [Settlement], failure: SpoolError?) {
    var done: [Settlement] = []
    var left: [Settlement] = []
    var failure: SpoolError?
    for (index, settlement) in settlements.enumerated() {
      do throws(SpoolError) {
        try body(settlement)
        done.append(settlement)
      } catch {
        failure = error
        left.append(settlement)
        guard error.code != .noSpace else {
          left += settlements[(index + 1)...]
          break
        }
      }
    }
    return (done, left, failure)
  }

  /// Something is to be synced.
  var waitsForCommit: Bool { !files.isEmpty || !noted.isEmpty }

  /// What a durable step started now has to sync besides the log; nil when nothing waits for one.
  mutating func beginCommit() -> [Int32]? {
    guard waitsForCommit else { return nil }
    swap(&files, &filesUnderWay)
    swap(&noted, &notedUnderWay)
    return filesUnderWay.map(\.fileDescriptor)
  }

  /// Those of the step just begun that the committer may make visible itself.
  mutating func beginMoves() -> [String] {
    movesUnderWay = true
    return notedUnderWay.lazy.filter(\.onlyMoves).map(\.id)
  }

  /// One that the committer may have made visible before it told us.
  func isMoving(_ id: String) -> Bool { movesUnderWay && notedUnderWay.contains { $0.id == id && $0.onlyMoves } }

  /// It has.
  mutating func takeMoved(_ id: String) -> Settlement? {
    guard let index = notedUnderWay.firstIndex(where: { $0.id == id && $0.onlyMoves }) else { return nil }
    early.append(notedUnderWay[index])
    return notedUnderWay.remove(at: index)
  }

  /// The step succeeded: what is visible but for `unmoved`, and what may be renamed now, with what could not be before.
  mutating func finishCommit(unmoved: Set<String> = []) -> (visible: [Settlement], durable: [Settlement]) {
    unnoted += filesUnderWay
    filesUnderWay.removeAll()
    var visible: [Settlement] = []
    if movesUnderWay {
      visible.reserveCapacity(notedUnderWay.count)
      for settlement in notedUnderWay {
        if settlement.onlyMoves, unmoved.isEmpty || !unmoved.contains(settlement.id) {
          visible.append(settlement)
        } else {
          unpublished.append(settlement)
        }
      }
    } else {
      unpublished += notedUnderWay
    }
    // Somebody else had taken the file away.
    unpublished += early.filter { unmoved.contains($0.id) }
    early.removeAll()
    notedUnderWay.removeAll()
    movesUnderWay = false
    return (visible, takeUnpublished())
  }

  mutating func takeUnpublished() -> [Settlement] {
    let all = unpublished
    unpublished.removeAll()
    return all
  }

  /// They wait until their notices are on the disk.
  mutating func wait(forNoticesOf settlements: [Settlement]) { untold += settlements }

  /// The notices of all that wait are on their way.
  mutating func beginNotices() { swap(&untold, &untoldUnderWay) }

  /// They are there, or cannot be: what may be renamed now.
  mutating func finishNotices() -> [Settlement] {
    defer { untoldUnderWay.removeAll() }
    return untoldUnderWay
  }

  mutating func putBack(unpublished settlement: Settlement) { unpublished.append(settlement) }
}
