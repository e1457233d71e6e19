/// All rows, in chunks that never move, with what each chunk holds at a glance: a question about the newest jobs looks into
/// the few chunks that can have them. Found by id through a hash table of 32-bit numbers.
internal import Glibc

final class RowTable {
  static let bits = 13
  static let chunkSize = 1 << bits

  /// What is in a chunk. The times only ever widen: they may promise too much, never too little.
  struct Summary {
    var oldestUpdate = Int64.max
    var newestUpdate = Int64.min
    var oldestArrival = Int64.max
    var newestArrival = Int64.min
    /// By standing.
    var counts = InlineArray<16, Int32>(repeating: 0)

    func holds(_ mask: UInt16) -> Bool {
      var rest = mask
      while rest != 0 {
        if counts[rest.trailingZeroBitCount] > 0 { return true }
        rest &= rest - 1
      }
      return false
    }
  }

  let arena: TextArena
  private(set) var count = 0
  private(set) var summaries: [Summary] = []
  private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<HistoryRow>>
  private var capacity = 256
  private var slots: UnsafeMutablePointer<UInt32>
  private var mask = 1023
  private var free: [UInt32] = []
  /// Bytes in the arena that no row uses any more.
  private(set) var wasted = 0

  init() {
    arena = TextArena()
    chunks = .allocate(capacity: capacity)
    slots = .allocate(capacity: mask + 1)
    slots.initialize(repeating: 0, count: mask + 1)
  }

  deinit {
    for index in summaries.indices { chunks[index].deallocate() }
    chunks.deallocate()
    slots.deallocate()
  }

  var size: Int { summaries.count * (RowTable.chunkSize * 64 + 200) + (mask + 1) * 4 + arena.size }
  var used: Int { count - free.count }

  @inline(__always)
  subscript(row: Int) -> UnsafeMutablePointer<HistoryRow> {
    chunks[row >> RowTable.bits] + (row & (RowTable.chunkSize - 1))
  }

  func chunk(_ index: Int) -> UnsafeMutableBufferPointer<HistoryRow> {
    UnsafeMutableBufferPointer(
      start: chunks[index], count: min(RowTable.chunkSize, count - index << RowTable.bits))
  }

  func id(_ row: Int) -> UnsafeRawBufferPointer { arena.bytes(self[row].pointee.id, Int(self[row].pointee.idLength)) }

  func find(_ id: UnsafeRawBufferPointer) -> Int? {
    var slot = Int(truncatingIfNeeded: TextHash.of(id)) & mask
    while slots[slot] != 0 {
      let row = Int(slots[slot]) - 1
      if self.id(row).equals(id) { return row }
      slot = (slot + 1) & mask
    }
    return nil
  }

  /// A row for an id that has none; nil when nothing more fits.
  func insert(_ id: UnsafeRawBufferPointer) -> Int? {
    guard id.count <= 255, count < Int(UInt32.max) - 1, let place = arena.add(id) else { return nil }
    let row: Int
    if let recycled = free.popLast() {
      row = Int(recycled)
    } else {
      if count & (RowTable.chunkSize - 1) == 0 { addChunk() }
      row = count
      count += 1
    }
    self[row].initialize(to: HistoryRow())
    self[row].pointee.id = place
    self[row].pointee.idLength = UInt8(id.count)
    if (used + 1) * 4 > (mask + 1) * 3 { rehash((mask + 1) * 2) }
    link(row)
    summaries[row >> RowTable.bits].counts[Int(Standing.gone.rawValue)] += 1
    return row
  }

  /// Forgets the row; its standing must be `gone` by now.
  func remove(_ row: Int) {
    let id = id(row)
    var slot = Int(truncatingIfNeeded: TextHash.of(id)) & mask
    while slots[slot] != UInt32(row + 1) {
      guard slots[slot] != 0 else { return }
      slot = (slot + 1) & mask
    }
    // Close the gap, so that no tombstones gather: whatever follows and may move up does.
    var next = (slot + 1) & mask
    while slots[next] != 0 {
      let home = Int(truncatingIfNeeded: TextHash.of(self.id(Int(slots[next]) - 1))) & mask
      if (next - home) & mask >= (next - slot) & mask {
        slots[slot] = slots[next]
        slot = next
      }
      next = (next + 1) & mask
    }
    slots[slot] = 0
    let gone = self[row].pointee
    wasted += Int(gone.idLength) + Int(gone.metaLength) + Int(gone.batchLength) + Int(gone.parentLength)
    summaries[row >> RowTable.bits].counts[Int(Standing.gone.rawValue)] -= 1
    free.append(UInt32(row))
  }

  /// Keeps the summary in step with a row whose standing or times changed.
  func note(_ row: Int, was: Standing) {
    let index = row >> RowTable.bits
    let now = self[row].pointee
    summaries.withUnsafeMutableBufferPointer { buffer in
      let summary = buffer.baseAddress! + index
      if now.standing != was {
        summary.pointee.counts[Int(was.rawValue)] -= 1
        summary.pointee.counts[Int(now.standing.rawValue)] += 1
      }
      guard now.standing != .gone else { return }
      summary.pointee.oldestUpdate = min(summary.pointee.oldestUpdate, now.updated)
      summary.pointee.newestUpdate = max(summary.pointee.newestUpdate, now.updated)
      summary.pointee.oldestArrival = min(summary.pointee.oldestArrival, now.submitted)
      summary.pointee.newestArrival = max(summary.pointee.newestArrival, now.submitted)
    }
  }

  private func addChunk() {
    if summaries.count == capacity {
      let larger = UnsafeMutablePointer<UnsafeMutablePointer<HistoryRow>>.allocate(capacity: capacity * 2)
      larger.moveInitialize(from: chunks, count: capacity)
      chunks.deallocate()
      chunks = larger
      capacity *= 2
    }
    (chunks + summaries.count).initialize(to: .allocate(capacity: RowTable.chunkSize))
    summaries.append(Summary())
  }

  private func link(_ row: Int) {
    var slot = Int(truncatingIfNeeded: TextHash.of(id(row))) & mask
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = UInt32(row + 1)
  }

  private func rehash(_ size: Int) {
    let old = slots
    let oldSize = mask + 1
    slots = .allocate(capacity: size)
    slots.initialize(repeating: 0, count: size)
    mask = size - 1
    for slot in 0..<oldSize where old[slot] != 0 { link(Int(old[slot]) - 1) }
    old.deallocate()
  }
}
