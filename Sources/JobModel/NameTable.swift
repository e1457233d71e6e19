/// The names of all waiting jobs, compactly: the bytes of every id in one buffer, found by a hash table of 32-bit slots.
/// A Swift string and a dictionary entry cost some 150 bytes a name; this costs its length and about twelve.
struct NameTable {
  private var bytes: [UInt8] = []
  private var starts: [UInt32] = []
  private var lengths: [UInt8] = []
  /// Slot + 2 per bucket; 0: never used, 1: used once (a tombstone).
  private var buckets: [UInt32] = Array(repeating: 0, count: 64)
  private var used = 0
  private var free: [UInt32] = []
  private var deadBytes = 0

  private(set) var count = 0

  /// The slot of the name, or nil.
  func slot(of name: String) -> Int? {
    var name = name
    return name.withUTF8 { find($0) }
  }

  /// Adds a name that is not there yet; recycled slots are used again.
  mutating func insert(_ name: String) -> Int {
    if (used + 1) * 4 > buckets.count * 3 { rehash() }
    var name = name
    return name.withUTF8 { text in
      let slot: Int
      if let recycled = free.popLast() {
        slot = Int(recycled)
        starts[slot] = UInt32(bytes.count)
        lengths[slot] = UInt8(text.count)
      } else {
        slot = starts.count
        starts.append(UInt32(bytes.count))
        lengths.append(UInt8(text.count))
      }
      bytes.append(contentsOf: text)
      place(slot, hash: NameTable.hash(text))
      count += 1
      return slot
    }
  }

  /// Takes the name away. Its slot stays reserved until `recycle`, because a heap may still point at it.
  mutating func remove(slot: Int) {
    let hash = withName(slot) { NameTable.hash($0) }
    var index = Int(truncatingIfNeeded: hash) & (buckets.count - 1)
    while buckets[index] != UInt32(slot + 2) { index = (index + 1) & (buckets.count - 1) }
    buckets[index] = 1
    deadBytes += Int(lengths[slot])
    lengths[slot] = 0
    count -= 1
    if deadBytes > 1 << 16, deadBytes * 2 > bytes.count { compact() }
  }

  mutating func recycle(_ slot: Int) { free.append(UInt32(slot)) }

  func name(_ slot: Int) -> String { withName(slot) { String(decoding: $0, as: UTF8.self) } }

  private func withName<Result>(_ slot: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { buffer in
      body(UnsafeBufferPointer(rebasing: buffer[Int(starts[slot])..<Int(starts[slot]) + Int(lengths[slot])]))
    }
  }

  private func find(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
    var index = Int(truncatingIfNeeded: NameTable.hash(text)) & (buckets.count - 1)
    while buckets[index] != 0 {
      if buckets[index] > 1 {
        let slot = Int(buckets[index]) - 2
        if Int(lengths[slot]) == text.count, withName(slot, { $0.elementsEqual(text) }) { return slot }
      }
      index = (index + 1) & (buckets.count - 1)
    }
    return nil
  }

  private mutating func place(_ slot: Int, hash: UInt64) {
    var index = Int(truncatingIfNeeded: hash) & (buckets.count - 1)
    while buckets[index] > 1 { index = (index + 1) & (buckets.count - 1) }
    if buckets[index] == 0 { used += 1 }
    buckets[index] = UInt32(slot + 2)
  }

  private mutating func rehash() {
    var size = 64
    while size < (count + 1) * 2 { size *= 2 }
    let old = buckets
    buckets = Array(repeating: 0, count: size)
    used = 0
    for bucket in old where bucket > 1 {
      let slot = Int(bucket) - 2
      place(slot, hash: withName(slot) { NameTable.hash($0) })
    }
  }

  /// Closes the gaps that removed names left.
  private mutating func compact() {
    var packed: [UInt8] = []
    packed.reserveCapacity(bytes.count - deadBytes)
    for slot in starts.indices where lengths[slot] > 0 {
      let start = Int(starts[slot])
      starts[slot] = UInt32(packed.count)
      packed.append(contentsOf: bytes[start..<start + Int(lengths[slot])])
    }
    bytes = packed
    deadBytes = 0
  }

  /// FNV-1a, then mixed: ids come from producers, but a slow table is all that a chosen collision would buy.
  private static func hash(_ text: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash ^= hash >> 32
    return hash &* 0x9E37_79B9_7F4A_7C15 ^ hash >> 29
  }
}
