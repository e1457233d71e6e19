/// The names of all waiting jobs, compactly: the bytes of every id in one buffer, found by a hash table of 32-bit slots.
/// A Swift string and a dictionary entry cost some 150 bytes a name; this costs its length (16 bytes for a UUID) and about
/// twelve.
struct NameTable {
  private var bytes: [UInt8] = []
  private var starts: [UInt32] = []
  /// Bytes of the name; `packed` for a UUID, 0 for a name that was removed.
  private var lengths: [UInt8] = []
  /// Slot + 2 per bucket; 0: never used, 1: used once (a tombstone).
  private var buckets: [UInt32] = Array(repeating: 0, count: 64)
  private var used = 0
  private var free: [UInt32] = []
  private var deadBytes = 0
  private let seed: UInt64

  /// Longer than any id.
  private static let packed: UInt8 = 255

  private(set) var count = 0

  /// - Parameter seed: known to no producer, or chosen ids could make the table slow.
  init(seed: UInt64 = 0) { self.seed = seed }

  /// The slot of the name, or nil.
  func slot(of name: String) -> Int? {
    var name = name
    return name.withUTF8 { slot(of: $0) }
  }

  func slot(of name: UnsafeBufferPointer<UInt8>) -> Int? { NameTable.withKey(name) { find($0, $1) } }

  /// Adds a name that is not there yet; recycled slots are used again.
  mutating func insert(_ name: String) -> Int {
    var name = name
    return name.withUTF8 { text in NameTable.withKey(text) { key, length in add(key, length) } }
  }

  /// The same for a name as `withStored` gave it; nil when it is there already.
  mutating func insert(stored: UnsafeRawBufferPointer, _ length: UInt8) -> Int? {
    stored.withMemoryRebound(to: UInt8.self) { key -> Int? in find(key, length) == nil ? add(key, length) : nil }
  }

  private mutating func add(_ key: UnsafeBufferPointer<UInt8>, _ length: UInt8) -> Int {
    if (used + 1) * 4 > buckets.count * 3 { rehash() }
    let slot: Int
    if let recycled = free.popLast() {
      slot = Int(recycled)
      starts[slot] = UInt32(bytes.count)
      lengths[slot] = length
    } else {
      slot = starts.count
      starts.append(UInt32(bytes.count))
      lengths.append(length)
    }
    bytes.append(contentsOf: key)
    place(slot, hash: hash(key))
    count += 1
    return slot
  }

  /// Takes the name away. Its slot stays reserved until `recycle`, because a heap may still point at it.
  mutating func remove(slot: Int) {
    let code = withKey(of: slot) { key in hash(key) }
    var index = Int(truncatingIfNeeded: code) & (buckets.count - 1)
    while buckets[index] != UInt32(slot + 2) { index = (index + 1) & (buckets.count - 1) }
    buckets[index] = 1
    deadBytes += NameTable.size(lengths[slot])
    lengths[slot] = 0
    count -= 1
    if deadBytes > 1 << 16, deadBytes * 2 > bytes.count { compact() }
  }

  mutating func recycle(_ slot: Int) { free.append(UInt32(slot)) }

  func name(_ slot: Int) -> String {
    let length = lengths[slot]
    return withKey(of: slot) { key in NameTable.name(UnsafeRawBufferPointer(key), length) }
  }

  /// The name that is kept as these bytes.
  static func name(_ stored: UnsafeRawBufferPointer, _ length: UInt8) -> String {
    guard length == packed else { return String(decoding: stored, as: UTF8.self) }
    return PackedUUID(
      high: stored.loadUnaligned(as: UInt64.self), low: stored.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    ).text
  }

  /// The bytes a name is kept as, and its length byte.
  func withStored(_ slot: Int, _ body: (UnsafeBufferPointer<UInt8>, UInt8) -> Void) {
    let length = lengths[slot]
    withKey(of: slot) { key in body(key, length) }
  }

  // MARK: Inside

  /// Bytes a name of this length byte is kept in.
  static func size(_ length: UInt8) -> Int { length == packed ? 16 : Int(length) }

  /// The bytes a name is kept as.
  private static func withKey<Result>(
    _ text: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>, UInt8) -> Result
  ) -> Result {
    guard let uuid = PackedUUID(text) else { return body(text, UInt8(text.count)) }
    return withUnsafeBytes(of: uuid) { (words: UnsafeRawBufferPointer) -> Result in
      words.withMemoryRebound(to: UInt8.self) { key in body(key, NameTable.packed) }
    }
  }

  private func withKey<Result>(of slot: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { buffer in
      let start = Int(starts[slot])
      return body(UnsafeBufferPointer(rebasing: buffer[start..<start + NameTable.size(lengths[slot])]))
    }
  }

  private func find(_ key: UnsafeBufferPointer<UInt8>, _ length: UInt8) -> Int? {
    var index = Int(truncatingIfNeeded: hash(key)) & (buckets.count - 1)
    while buckets[index] != 0 {
      if buckets[index] > 1 {
        let slot = Int(buckets[index]) - 2
        if lengths[slot] == length, withKey(of: slot, { $0.elementsEqual(key) }) { return slot }
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
      place(slot, hash: withKey(of: slot) { key in hash(key) })
    }
  }

  /// Closes the gaps that removed names left.
  private mutating func compact() {
    var packed: [UInt8] = []
    packed.reserveCapacity(bytes.count - deadBytes)
    for slot in starts.indices where lengths[slot] > 0 {
      let start = Int(starts[slot])
      starts[slot] = UInt32(packed.count)
      packed.append(contentsOf: bytes[start..<start + NameTable.size(lengths[slot])])
    }
    bytes = packed
    deadBytes = 0
  }

  private func hash(_ key: UnsafeBufferPointer<UInt8>) -> UInt64 {
    KeyedHash.of(UnsafeRawBufferPointer(key), seed: seed)
  }
}
