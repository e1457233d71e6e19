internal import Glibc

/// What a worker writes to its standard output, cut into lines. One that arrives whole is not copied.
final class WorkerOutput {
  /// Bytes that a line may have.
  let limit: Int
  /// The beginning of a line whose end has not come yet.
  private var held: [UInt8] = []
  /// What comes is not understood any more: it is read, so that the process does not hang in a write, and dropped.
  private var isDeaf = false

  init(limit: Int) { self.limit = limit }

  /// - Parameters:
  ///   - take: gets each line, without its newline.
  ///   - tooLong: gets the beginning of a line that is longer than `limit`. Nothing after it can be trusted.
  func hear(
    _ bytes: UnsafeBufferPointer<UInt8>, take: (UnsafeBufferPointer<UInt8>) -> Void,
    tooLong: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    var rest = bytes
    while !isDeaf, let base = rest.baseAddress, let found = memchr(base, 0x0A, rest.count) {
      let length = UnsafeRawPointer(found) - UnsafeRawPointer(base)
      let piece = UnsafeBufferPointer(rebasing: rest[..<length])
      if held.isEmpty {
        take(piece)
      } else {
        guard held.count + length <= limit else { return giveUp(tooLong) }
        held.append(contentsOf: piece)
        let line = held
        held.removeAll(keepingCapacity: held.capacity <= 1 << 20)
        line.withUnsafeBufferPointer(take)
      }
      rest = UnsafeBufferPointer(rebasing: rest[(length + 1)...])
    }
    guard !isDeaf, !rest.isEmpty else { return }
    held.append(contentsOf: rest)
    if held.count > limit { giveUp(tooLong) }
  }

  private func giveUp(_ tooLong: (UnsafeBufferPointer<UInt8>) -> Void) {
    let beginning = held
    deafen()
    beginning.withUnsafeBufferPointer(tooLong)
  }

  func deafen() {
    isDeaf = true
    held = []
  }

  /// What came after the last newline; empty when there is nothing, and from then on.
  func takeRest() -> [UInt8] {
    defer { held = [] }
    return held
  }
}
