/// Who belongs to a batch, and whom a job submitted, without a look at every row: a job's page asks for it each time.
///
/// A list may name rows that are another job's by now. So whoever reads it looks at the row, and when most of what the lists
/// hold is of that kind they are made anew.
internal import JobModel

struct KinLists {
  private var rows: [UInt64: [UInt32]] = [:]
  private var entries = 0
  /// Entries whose job is gone.
  var stale = 0

  static func key(ofBatch name: UnsafeRawBufferPointer) -> UInt64 { TextHash.of(name) }
  static func key(ofParent id: UnsafeRawBufferPointer) -> UInt64 { ~TextHash.of(id) }

  mutating func add(_ row: Int, _ key: UInt64) {
    rows[key, default: []].append(UInt32(row))
    entries += 1
  }

  /// Each once.
  func rows(_ keys: [UInt64]) -> [UInt32] { Array(Set(keys.flatMap { rows[$0] ?? [] })).sorted() }

  var isMostlyStale: Bool { stale > 4096 && stale * 2 > entries }
}

extension HistoryIndex {
  /// The only rows that can match; nil: all of them can.
  func candidates(_ query: HistoryQuery) -> [UInt32]? {
    func keys(_ names: [String], _ key: (UnsafeRawBufferPointer) -> UInt64) -> [UInt64] {
      names.map { name in Array(name.utf8).withUnsafeBytes { key(UnsafeRawBufferPointer(rebasing: $0.prefix(255))) } }
    }
    if !query.parents.isEmpty { return kin.rows(keys(query.parents, KinLists.key(ofParent:))) }
    if !query.batches.isEmpty { return kin.rows(keys(query.batches, KinLists.key(ofBatch:))) }
    return nil
  }

  /// After a row's batch and parent were set.
  func noteKin(_ row: Int) {
    let place = rows[row].pointee
    let names = rows.arena.bytes(place.kin, Int(place.batchLength) + Int(place.parentLength))
    if place.batchLength > 0 {
      kin.add(row, KinLists.key(ofBatch: UnsafeRawBufferPointer(rebasing: names.prefix(Int(place.batchLength)))))
    }
    if place.parentLength > 0 {
      kin.add(row, KinLists.key(ofParent: UnsafeRawBufferPointer(rebasing: names.dropFirst(Int(place.batchLength)))))
    }
  }

  /// Before a row is forgotten.
  func forgetKin(_ row: Int) {
    let place = rows[row].pointee
    kin.stale += (place.batchLength > 0 ? 1 : 0) + (place.parentLength > 0 ? 1 : 0)
    guard kin.isMostlyStale else { return }
    kin = KinLists()
    each(Standing.all) { noteKin($0) }
  }
}
