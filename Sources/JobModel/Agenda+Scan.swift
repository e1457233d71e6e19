/// A scan of `new/` against the agenda, name by name as it comes, without a list of either.
extension Agenda {
  package enum Sight: Sendable, Equatable {
    /// Waits, as far as is known.
    case known
    /// The file is another than the one the checkpoint knew.
    case changed
    case unknown
  }

  /// From now on `see` marks what is there.
  package mutating func beginScan() { seen ^= Slot.seen }

  /// A name is there.
  ///
  /// - Parameter inode: as the directory has it; only its last 32 bits are compared.
  package mutating func see(_ id: UnsafeBufferPointer<UInt8>, inode: UInt64) -> Sight {
    guard let slot = names.slot(of: id) else { return .unknown }
    slots[slot].marks = slots[slot].marks & ~Slot.seen | seen
    guard slots[slot].marks & Slot.restored != 0 else { return .known }
    return slots[slot].inode == UInt32(truncatingIfNeeded: inode) ? .known : .changed
  }

  /// Of some slots, the names the scan has not seen. What came in meanwhile counts as seen, and so does what was told of
  /// once: whoever stays all the same must not look, by the turn of the mark, as if the next scan had seen it.
  package mutating func takeUnseen(in range: Range<Int>) -> [String] {
    var unseen: [String] = []
    for slot in range.clamped(to: 0..<slots.count) where slots[slot].marks & Slot.seen != seen {
      slots[slot].marks ^= Slot.seen
      switch slots[slot].phase {
      case .free, .removed: break
      case .scheduled, .ready, .judging, .parked, .rated, .blocked: unseen.append(names.name(slot))
      }
    }
    return unseen
  }

  /// A scan that will not be finished. All count as seen by it, so that the next one begins with marks that are alike.
  package mutating func abandonScan() {
    for slot in slots.indices { slots[slot].marks = slots[slot].marks & ~Slot.seen | seen }
  }
}
