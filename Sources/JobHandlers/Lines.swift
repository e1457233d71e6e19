/// Cuts a stream of bytes into lines of bounded length. A line that is longer is dropped as a whole and told once.
struct Lines {
  enum Line {
    /// Without its newline.
    case whole([UInt8])
    case tooLong
  }

  let limit: Int
  private var held: [UInt8] = []
  private var skipping = false

  init(limit: Int) { self.limit = limit }

  mutating func feed(_ bytes: UnsafeBufferPointer<UInt8>, _ body: (Line) -> Void) {
    var rest = bytes[...]
    while let newline = rest.firstIndex(of: 0x0A) {
      take(rest[..<newline])
      end(body)
      rest = rest[(newline + 1)...]
    }
    take(rest)
  }

  /// The stream has ended: what was not closed by a newline counts as a line.
  mutating func finish(_ body: (Line) -> Void) {
    if !held.isEmpty || skipping { end(body) }
  }

  private mutating func take(_ piece: Slice<UnsafeBufferPointer<UInt8>>) {
    guard !skipping else { return }
    if held.count + piece.count > limit {
      skipping = true
      held = []
    } else {
      held.append(contentsOf: piece)
    }
  }

  private mutating func end(_ body: (Line) -> Void) {
    let line = skipping ? Line.tooLong : .whole(held)
    skipping = false
    held.removeAll(keepingCapacity: true)
    body(line)
  }
}
