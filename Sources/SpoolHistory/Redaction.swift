/// What a handler's `redact` and `encrypt` hide from people: the values at its pointers are masked, byte for byte otherwise as they
/// were. The type of a handler file that does not load hides its whole payload, because what it would hide is unknown.
package import JobModel
internal import SpoolConfig

package struct Redaction: Sendable {
  package var pointers: [JSONPointer]

  package init(_ pointers: [JSONPointer]) { self.pointers = pointers }

  package static let mask: [UInt8] = Array("\"•••\"".utf8)

  /// The text with every hidden value masked.
  package func apply(to bytes: [UInt8]) -> [UInt8] {
    guard !pointers.isEmpty else { return bytes }
    var ranges: [Range<Int>] = []
    for pointer in pointers { ranges += pointer.places(in: bytes) }
    // Of two that overlap the outer one begins first, and covers the other.
    ranges.sort { ($0.lowerBound, $1.upperBound) < ($1.lowerBound, $0.upperBound) }
    var masked: [UInt8] = []
    masked.reserveCapacity(bytes.count)
    var at = 0
    for range in ranges where range.lowerBound >= at {
      masked += bytes[at..<range.lowerBound]
      masked += Redaction.mask
      at = range.upperBound
    }
    return masked + bytes[at...]
  }

  /// The same for the value of `meta` by itself.
  func apply(toMeta meta: [UInt8]) -> [UInt8] {
    let key = Array("{\"meta\":".utf8)
    return Array(apply(to: key + meta + [UInt8(ascii: "}")]).dropFirst(key.count).dropLast())
  }
}

extension SpoolReader {
  package func redaction(of type: String) -> Redaction {
    if configuration?.brokenHandlers[type] != nil { return Redaction([JSONPointer("/payload")].compactMap { $0 }) }
    guard let handler = handler(type) else { return Redaction([]) }
    return Redaction((handler.redact + handler.encrypt).compactMap { JSONPointer($0) })
  }
}

extension JSONPointer {
  /// Where the values it points to lie in a JSON text; several when keys occur twice, which payloads may do. None when
  /// there is no such value, or the text is no JSON.
  package func places(in bytes: [UInt8]) -> [Range<Int>] {
    var found: [Range<Int>] = []
    bytes.withUnsafeBufferPointer { buffer in
      var reader = JSONReader(buffer)
      guard (try? reader.begin()) != nil else { return }
      try? Self.walk(&reader, tokens[...], &found)
    }
    return found
  }

  private static func walk(
    _ reader: inout JSONReader, _ tokens: ArraySlice<String>, _ found: inout [Range<Int>]
  ) throws(JSONReader.Problem) {
    guard let token = tokens.first else {
      found.append(try reader.skip())
      return
    }
    var inner: [Range<Int>] = []
    switch reader.next {
    case UInt8(ascii: "{"):
      // Keys are compared as bytes first: a key with a lone surrogate cannot be decoded, and is none we look for.
      let whole = reader
      let outer = try reader.skip()
      var members = whole
      try? members.object { reader, key, _ throws(JSONReader.Problem) in
        if key == token {
          try walk(&reader, tokens.dropFirst(), &inner)
        } else {
          _ = try reader.skip()
        }
      }
      // A member that could not be looked into hides all of them.
      if members.at != outer.upperBound { inner = [outer] }
    case UInt8(ascii: "["):
      var elements = reader
      let outer = try reader.skip()
      var index = 0
      try? elements.array { reader throws(JSONReader.Problem) in
        if String(index) == token {
          try walk(&reader, tokens.dropFirst(), &inner)
        } else {
          _ = try reader.skip()
        }
        index += 1
      }
      if elements.at != outer.upperBound { inner = [outer] }
    default: _ = try reader.skip()
    }
    found += inner
  }
}
