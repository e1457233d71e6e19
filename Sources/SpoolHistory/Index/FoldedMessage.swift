/// What `Rollup.folded` makes of a message, quickly where it is plain ASCII, as nearly all are.
internal import JobModel

enum FoldedMessage {
  static func of(_ message: String) -> String {
    var message = message
    return message.withUTF8 { text in
      guard text.count <= 400, text.allSatisfy({ $0 < 0x80 }) else { return nil }
      return fold(text)
    } ?? Rollup.folded(message)
  }

  private static func fold(_ text: UnsafeBufferPointer<UInt8>) -> String {
    var folded: [UInt8] = []
    folded.reserveCapacity(text.count)
    var start = 0
    while start < text.count {
      var end = start
      while end < text.count, isWord(text[end]) { end += 1 }
      if end == start {
        // A carriage return and a line feed are one character to a Swift string, and two here; both become blanks.
        folded.append(text[start] < 0x20 ? 0x20 : text[start])
        start += 1
      } else {
        word(UnsafeBufferPointer(rebasing: text[start..<end]), &folded)
        start = end
      }
    }
    return String(decoding: folded.prefix(160), as: UTF8.self)
  }

  private static func word(_ word: UnsafeBufferPointer<UInt8>, _ folded: inout [UInt8]) {
    if word.count >= 8, word.contains(where: isDigit), word.allSatisfy({ isHex($0) || $0 == 0x2D }) {
      folded.append(UInt8(ascii: "H"))
      return
    }
    var wasDigit = false
    for byte in word {
      if !isDigit(byte) { folded.append(byte) } else if !wasDigit { folded.append(UInt8(ascii: "N")) }
      wasDigit = isDigit(byte)
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
  private static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 32 >= 97 && byte | 32 <= 102) }
  private static func isWord(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 32 >= 97 && byte | 32 <= 122) || byte == 0x2D
  }
}
