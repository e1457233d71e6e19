/// A TOML document as a tree of values that know where they stand. Parsing is toml++'s, behind `CTomlShim`; this file
/// only copies what it found, in the order of the document.
private import CTomlShim

/// One value and its place; lines and columns count from 1, columns in code points.
package struct TOMLNode: Sendable, Equatable {
  package indirect enum Value: Sendable, Equatable {
    /// In the order of the document.
    case table([TOMLEntry])
    case array([TOMLNode])
    case text(String)
    case integer(Int64)
    case number(Double)
    case flag(Bool)
    /// A date, a time or both: nothing here takes one.
    case date
  }

  package var value: Value
  package var line: Int
  package var column: Int
}

/// One `key = value`, or a `[header]` and what is below it.
package struct TOMLEntry: Sendable, Equatable {
  package var key: String
  package var line: Int
  package var column: Int
  package var node: TOMLNode
}

/// Why a text is not TOML. The parser stops at the first fault; everything after it is unknown.
package struct TOMLFault: Error, Sendable, Equatable {
  package var line: Int
  package var column: Int
  package var message: String
}

extension TOMLNode {
  /// The root table of `text`.
  ///
  /// - Throws: the first place where it is not TOML 1.0, or is deeper than 32 brackets or 16 dots.
  package static func parse(_ text: [UInt8]) throws(TOMLFault) -> TOMLNode {
    let document = text.withUnsafeBytes { bytes in
      ctoml_parse(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    defer { ctoml_free(document) }
    guard let nodes = document.nodes else {
      throw TOMLFault(
        line: Int(document.error_line), column: Int(document.error_column),
        message: document.error.map { readable(String(cString: $0)) } ?? "not TOML")
    }
    var rest = UnsafeBufferPointer(start: nodes, count: document.count)[...]
    return next(&rest)
  }

  /// Takes one node and all below it; the shim's array holds each node's children right after it.
  private static func next(_ rest: inout Slice<UnsafeBufferPointer<ctoml_node>>) -> TOMLNode {
    let flat = rest.removeFirst()
    let value: Value
    switch Int(flat.kind) {
    case CTOML_TABLE:
      var entries: [TOMLEntry] = []
      for _ in 0..<flat.children {
        // The key belongs to the child, which stands next.
        let head = rest[rest.startIndex]
        entries.append(
          TOMLEntry(
            key: text(head.key, head.key_length), line: Int(head.key_line), column: Int(head.key_column),
            node: next(&rest)))
      }
      entries.sort { ($0.line, $0.column) < ($1.line, $1.column) }
      value = .table(entries)
    case CTOML_ARRAY: value = .array((0..<flat.children).map { _ in next(&rest) })
    case CTOML_STRING: value = .text(text(flat.text, flat.text_length))
    case CTOML_INTEGER: value = .integer(flat.integer)
    case CTOML_FLOAT: value = .number(flat.number)
    case CTOML_BOOLEAN: value = .flag(flat.integer != 0)
    default: value = .date
    }
    return TOMLNode(value: value, line: Int(flat.line), column: Int(flat.column))
  }

  private static func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
    String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
  }

  /// toml++ begins most messages with `Error while parsing key-value pair: `, which tells no user anything.
  private static func readable(_ message: String) -> String {
    guard message.hasPrefix("Error while parsing "), let colon = message.firstRange(of: ": ") else { return message }
    return String(message[colon.upperBound...])
  }
}
