/// Where the values lie that a JSON pointer names, as ranges of a document's bytes: nothing is decoded or built, so
/// whatever stands around them stays as it is.
///
/// A payload may hold a key twice, and halves of surrogate pairs. Where one value is asked for, the last of equal keys
/// counts, as in most parsers; where something is hidden or sealed, all of them do. A key that is no text equals none.
extension JSONPointer {
  /// What a hidden value is replaced with.
  package static let mask: [UInt8] = Array("\"•••\"".utf8)

  /// The range of the value; nil when there is none, or the text is no JSON. Of equal keys the last one counts.
  package func locate(in json: [UInt8]) -> Range<Int>? {
    places(in: json, lastOnly: true)?.last
  }

  /// The ranges of all values it names, several where keys occur twice, in the order of the text; nil when the text is
  /// no JSON.
  package func ranges(in json: [UInt8]) -> [Range<Int>]? {
    places(in: json, lastOnly: false)
  }

  /// What follows a first token: `/payload/a` below `payload` is `/a`, for those who hold the payload alone. nil when it
  /// begins otherwise.
  package func below(_ first: String) -> JSONPointer? {
    guard let token = tokens.first, JSONPointer.isSame(token, first) else { return nil }
    return JSONPointer(tokens: Array(tokens.dropFirst()))
  }

  /// The text with every value that one of the pointers names masked, and byte for byte the same otherwise. A text that is
  /// no JSON is masked whole, because nobody knows what is in it.
  package static func redact(_ json: [UInt8], _ pointers: [JSONPointer]) -> [UInt8] {
    var ranges: [Range<Int>] = []
    for pointer in pointers {
      guard let found = pointer.ranges(in: json) else { return mask }
      ranges += found
    }
    return replace(ranges, in: json) { _ in mask }
  }

  /// Puts other bytes in place of each range. Of two that overlap the outer one counts.
  package static func replace<Failure: Error>(
    _ ranges: [Range<Int>], in json: [UInt8], with other: (ArraySlice<UInt8>) throws(Failure) -> [UInt8]
  ) throws(Failure) -> [UInt8] {
    guard !ranges.isEmpty else { return json }
    var result: [UInt8] = []
    result.reserveCapacity(json.count)
    var at = 0
    let ordered = ranges.sorted { ($0.lowerBound, $1.upperBound) < ($1.lowerBound, $0.upperBound) }
    for range in ordered where range.lowerBound >= at {
      result += json[at..<range.lowerBound]
      result += try other(json[range])
      at = range.upperBound
    }
    return result + json[at...]
  }

  private func places(in json: [UInt8], lastOnly: Bool) -> [Range<Int>]? {
    json.withUnsafeBufferPointer { buffer in
      var reader = JSONReader(buffer)
      let whole: Range<Int>
      do throws(JSONReader.Problem) {
        try reader.begin()
        whole = try reader.skip()
        try reader.end()
      } catch {
        return nil
      }
      let text = CheckedJSON(bytes: buffer)
      var found = [whole.lowerBound]
      for token in tokens {
        var inner: [Int] = []
        for start in found { text.children(of: start, named: token, into: &inner) }
        found = lastOnly ? Array(inner.suffix(1)) : inner
      }
      return found.map { $0..<text.end(of: $0) }
    }
  }
}

/// Steps through JSON text that was checked before, so that it need not look for mistakes.
private struct CheckedJSON {
  let bytes: UnsafeBufferPointer<UInt8>

  /// Adds where the members or elements begin that a token of a pointer names.
  func children(of start: Int, named token: String, into found: inout [Int]) {
    switch bytes[start] {
    case UInt8(ascii: "{"):
      var at = afterSpace(start + 1)
      while bytes[at] != UInt8(ascii: "}") {
        let key = at..<end(of: at)
        at = afterSpace(afterSpace(key.upperBound) + 1)
        if isKey(key, token) { found.append(at) }
        at = afterElement(at)
      }
    case UInt8(ascii: "["):
      // RFC 6901 section 4: no sign and no zeros before.
      guard let index = Int(token), index >= 0, String(index) == token else { return }
      var count = 0
      var at = afterSpace(start + 1)
      while bytes[at] != UInt8(ascii: "]") {
        if count == index {
          found.append(at)
          return
        }
        count += 1
        at = afterElement(at)
      }
    default: return
    }
  }

  /// The end of the value that begins here.
  func end(of start: Int) -> Int {
    switch bytes[start] {
    case UInt8(ascii: "\""): return endOfString(start)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      var depth = 0
      var at = start
      while true {
        switch bytes[at] {
        case UInt8(ascii: "\""):
          at = endOfString(at)
          continue
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          depth -= 1
          if depth == 0 { return at + 1 }
        default: break
        }
        at += 1
      }
    default:
      var at = start
      while at < bytes.count {
        switch bytes[at] {
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), 0x20, 0x0A, 0x0D, 0x09: return at
        default: at += 1
        }
      }
      return at
    }
  }

  private func endOfString(_ start: Int) -> Int {
    var at = start + 1
    while bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
    return at + 1
  }

  private func afterSpace(_ start: Int) -> Int {
    var at = start
    while at < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[at]) { at += 1 }
    return at
  }

  /// The next key or element, or the closing bracket.
  private func afterElement(_ start: Int) -> Int {
    let at = afterSpace(end(of: start))
    return bytes[at] == UInt8(ascii: ",") ? afterSpace(at + 1) : at
  }

  private func isKey(_ range: Range<Int>, _ token: String) -> Bool {
    let inner = range.dropFirst().dropLast()
    if !bytes[inner].contains(UInt8(ascii: "\\")) { return bytes[inner].elementsEqual(token.utf8) }
    var reader = JSONReader(UnsafeBufferPointer(rebasing: bytes[range]))
    guard let key = try? reader.string() else { return false }
    return JSONPointer.isSame(key, token)
  }
}
