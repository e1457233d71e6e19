/// The newest news, in order and bounded: what listeners still have to be sent, and what those who were cut off can go on from. A
/// listener has a place in it and no queue of its own, so many slow ones cost no more memory than one.
internal import NIOCore

struct EventRing {
  enum Found {
    case batch(EventBatch)
    /// There is nothing new.
    case nothing
    /// It was dropped to make room.
    case gone
  }

  /// Where to go on: a place, and where lines before do not count by their place, the number after which they do.
  struct Resumption {
    var position: UInt64
    var after: UInt32?
  }

  private(set) var batches: [EventBatch] = []
  /// The number of the next entry.
  private(set) var next: UInt64 = 0
  /// Lines of the log up to this number may be missing.
  private(set) var floor: UInt32 = 0
  private var size = 0
  private var entries = 0
  private let mostBytes: Int
  private let mostEntries: Int

  init(mostBytes: Int = 12 << 20, mostEntries: Int = 16_384) {
    (self.mostBytes, self.mostEntries) = (mostBytes, mostEntries)
  }

  mutating func begin(after line: UInt32) { floor = line }

  mutating func append(_ entries: [EventBatch.Entry], _ frames: ByteBuffer) {
    let batch = EventBatch(first: next, entries: entries, frames: frames)
    batches.append(batch)
    next = batch.next
    size += batch.size
    self.entries += entries.count
    var surplus = 0
    while surplus < batches.count - 1, size > mostBytes || self.entries > mostEntries {
      let oldest = batches[surplus]
      size -= oldest.size
      self.entries -= oldest.entries.count
      for entry in oldest.entries where entry.isKept { floor = max(floor, entry.sequence) }
      surplus += 1
    }
    batches.removeFirst(surplus)
  }

  /// Forgets everything; places stay good.
  mutating func clear() {
    batches.removeAll()
    (size, entries) = (0, 0)
  }

  /// The batch with the entry of this number.
  func find(_ position: UInt64) -> Found {
    guard position < next else { return .nothing }
    // Nearly everybody is at the end.
    for batch in batches.reversed() where batch.first <= position { return .batch(batch) }
    return .gone
  }

  /// Where what came after the line begins; nil when that is not known any more.
  func resumption(after line: UInt32) -> Resumption? {
    guard line >= floor else { return nil }
    // By place rather than number: an end whose file was not to be seen at first comes later than its number says.
    for batch in batches.reversed() {
      if let place = batch.entries.lastIndex(where: { $0.isKept && $0.sequence == line }) {
        return Resumption(position: batch.first + UInt64(place) + 1)
      }
    }
    return Resumption(position: batches.first?.first ?? next, after: line)
  }
}
