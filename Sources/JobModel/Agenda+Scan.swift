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

  /// Of some slots, the names the scan has not seen. What came in meanwhile counts as seen.
  package func unseen(in range: Range<Int>) -> [String] {
    range.clamped(to: 0..<slots.count).compactMap { slot in
      switch slots[slot].phase {
      case .free, .removed: nil
      case .scheduled, .ready, .judging, .parked, .rated, .blocked:
        slots[slot].marks & Slot.seen == seen ? nil : names.name(slot)
      }
    }
  }
}
