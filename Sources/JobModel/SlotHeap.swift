/// A binary heap of slot numbers. swift-collections' Heap would need the key beside each number: 16 bytes instead of 4.
enum SlotHeap {
  static func push(
    _ slot: Int, onto heap: inout [UInt32], _ slots: [Agenda.Slot], _ isBefore: (Agenda.Slot, Agenda.Slot) -> Bool
  ) {
    heap.append(UInt32(slot))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard isBefore(slots[Int(heap[child])], slots[Int(heap[parent])]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// Takes the first away.
  static func pop(
    from heap: inout [UInt32], _ slots: [Agenda.Slot], _ isBefore: (Agenda.Slot, Agenda.Slot) -> Bool
  ) {
    guard let last = heap.popLast(), !heap.isEmpty else { return }
    heap[0] = last
    var parent = 0
    while true {
      var smallest = parent
      for child in 2 * parent + 1...2 * parent + 2 where child < heap.count {
        if isBefore(slots[Int(heap[child])], slots[Int(heap[smallest])]) { smallest = child }
      }
      guard smallest != parent else { return }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }
}
