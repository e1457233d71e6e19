/// Texts that occur again and again, each kept once and named by a small number: types, lists of tags, submitters, errors.
/// 0 stands for none.
final class TextTable {
  private let arena = TextArena()
  private var places: [UInt32] = [0]
  private var lengths: [UInt32] = [0]
  private var slots: [UInt32] = Array(repeating: 0, count: 64)

  /// One more than the largest number given out.
  var count: Int { places.count }
  var size: Int { arena.size + places.capacity * 8 + slots.capacity * 4 }

  func intern(_ text: UnsafeRawBufferPointer) -> UInt32 {
    let hash = TextHash.of(text)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] != 0 {
      if bytes(slots[slot]).equals(text) { return slots[slot] }
      slot = (slot + 1) & (slots.count - 1)
    }
    // What does not fit any more is not told apart from nothing.
    guard let place = arena.add(text) else { return 0 }
    let number = UInt32(places.count)
    places.append(place)
    lengths.append(UInt32(text.count))
    slots[slot] = number
    if places.count * 2 > slots.count { grow() }
    return number
  }

  func intern(_ text: String) -> UInt32 {
    var text = text
    return text.withUTF8 { intern(UnsafeRawBufferPointer($0)) }
  }

  /// 0 when it was never seen.
  func find(_ text: String) -> UInt32 {
    var text = text
    return text.withUTF8 { text in
      let text = UnsafeRawBufferPointer(text)
      var slot = Int(truncatingIfNeeded: TextHash.of(text)) & (slots.count - 1)
      while slots[slot] != 0 {
        if bytes(slots[slot]).equals(text) { return slots[slot] }
        slot = (slot + 1) & (slots.count - 1)
      }
      return 0
    }
  }

  func bytes(_ number: UInt32) -> UnsafeRawBufferPointer {
    arena.bytes(places[Int(number)], Int(lengths[Int(number)]))
  }

  func string(_ number: UInt32) -> String { String(decoding: bytes(number), as: UTF8.self) }

  private func grow() {
    slots = Array(repeating: 0, count: slots.count * 2)
    for number in 1..<places.count {
      var slot = Int(truncatingIfNeeded: TextHash.of(bytes(UInt32(number)))) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(number)
    }
  }
}
