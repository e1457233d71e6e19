/// The agenda as bytes and back, so that a start opens no file it knows. What waits for other jobs, has to be judged or has
/// an end of its own to be watched is left out: their files are opened.
///
///     length of the id 1 (255: a UUID in 16 bytes) · marks 1: priority, and which of the keys follow · type 2 · inode 4
///     place in line 8 · first seen 8 · [serial 8] [rate 8] [proof 32] · id
extension Agenda {
  private static let hasSerial: UInt8 = 0x10
  private static let hasRate: UInt8 = 0x20
  private static let hasProof: UInt8 = 0x40
  private static let fixedLength = 24
  private static let proofLength = 32

  /// One more than the last slot in use.
  package var slotLimit: Int { slots.count }

  /// Appends the entries of these slots. Returns how many there were.
  ///
  /// - Parameter proof: the SHA-256 of a record that is known to be ours, by id; nil: none is known at all.
  package func write(
    _ range: Range<Int>, to bytes: inout [UInt8], proof: ((String) -> [UInt8]?)? = nil
  ) -> Int {
    var written = 0
    for number in range.clamped(to: 0..<slots.count) {
      let slot = slots[number]
      guard slot.phase == .ready || slot.phase == .scheduled || slot.phase == .parked || slot.phase == .rated,
        slot.marks & Slot.mustBeLookedAt == 0
      else { continue }
      let keys = self.keys[UInt32(number)] ?? .none
      let proof = proof.flatMap { $0(names.name(number)) }
      names.withStored(number) { id, length in
        bytes.append(length)
        bytes.append(
          slot.priority | (keys.serial == nil ? 0 : Agenda.hasSerial) | (keys.rate == nil ? 0 : Agenda.hasRate)
            | (proof == nil ? 0 : Agenda.hasProof))
        withUnsafeBytes(of: slot.type) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: slot.inode) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: slot.line) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: slot.firstSeen) { bytes.append(contentsOf: $0) }
        if let serial = keys.serial { withUnsafeBytes(of: serial) { bytes.append(contentsOf: $0) } }
        if let rate = keys.rate { withUnsafeBytes(of: rate) { bytes.append(contentsOf: $0) } }
        if let proof { bytes.append(contentsOf: proof) }
        bytes.append(contentsOf: id)
      }
      written += 1
    }
    return written
  }

  /// Takes up entries that were written so. Returns how many bytes of whole entries there were; nil: these are none.
  ///
  /// - Parameters:
  ///   - types: by their number then; those that are not here now, or have other limits, are nil and passed over.
  ///   - isStale: entries of jobs that have been moved since are passed over too; nil: there are none.
  ///   - proof: told of entries that have one.
  package mutating func restore(
    _ bytes: UnsafeRawBufferPointer, types: [String?], now: WallTime, isStale: ((String) -> Bool)? = nil,
    proof: (String, UnsafeRawBufferPointer) -> Void
  ) -> Int? {
    let numbers = types.map { $0.map { number(of: $0) } }
    var at = 0
    while bytes.count - at >= Agenda.fixedLength {
      let length = bytes[at]
      let marks = bytes[at + 1]
      let type = Int(bytes.loadUnaligned(fromByteOffset: at + 2, as: UInt16.self))
      guard length > 0, Int(length) <= Limits.idLength || length == 255, type < types.count, marks & 15 <= 9 else {
        return nil
      }
      var place = at + Agenda.fixedLength
      var size = Agenda.fixedLength + NameTable.size(length)
      for (mark, extra) in [(Agenda.hasSerial, 8), (Agenda.hasRate, 8), (Agenda.hasProof, Agenda.proofLength)]
      where marks & mark != 0 { size += extra }
      guard bytes.count - at >= size else { break }
      defer { at += size }
      guard let number = numbers[type] else { continue }
      var keys = Keys.none
      if marks & Agenda.hasSerial != 0 {
        keys.serial = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
        place += 8
      }
      if marks & Agenda.hasRate != 0 {
        keys.rate = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
        place += 8
      }
      let proven = place
      if marks & Agenda.hasProof != 0 { place += Agenda.proofLength }
      let id = UnsafeRawBufferPointer(rebasing: bytes[place..<at + size])
      if let isStale, isStale(NameTable.name(id, length)) { continue }
      // Looked at in this life: that is newer.
      guard let slot = addSlot(id, length) else { continue }
      if keys != .none { self.keys[UInt32(slot)] = keys }
      let line = bytes.loadUnaligned(fromByteOffset: at + 8, as: Int64.self)
      enter(
        slot,
        Slot(
          line: line, due: line, firstSeen: bytes.loadUnaligned(fromByteOffset: at + 16, as: Int64.self),
          inode: bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self), type: UInt16(number),
          marks: marks & 15 | seen | Slot.restored,
          phase: line > now.microseconds ? .scheduled : .ready))
      if marks & Agenda.hasProof != 0 {
        proof(
          names.name(slot), UnsafeRawBufferPointer(rebasing: bytes[proven..<proven + Agenda.proofLength]))
      }
    }
    return at
  }
}
