/// The query of a URL, strictly read: a parameter that a route does not know is an error that names it, so a misspelled filter
/// is never taken for none.
internal import HTTPTypes

package struct Query: Sendable {
  package struct Item: Sendable, Equatable {
    package var name: String
    package var value: String
  }

  package let items: [Item]

  package init(items: [Item]) { self.items = items }

  /// - Throws: a problem for text that cannot be decoded.
  package init(_ text: String) throws(Problem) {
    var items: [Item] = []
    for pair in text.split(separator: "&", omittingEmptySubsequences: true) {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = Query.decoded(parts[0]), let value = Query.decoded(parts.count > 1 ? parts[1] : "") else {
        throw Problem(.badRequest, "bad_query", "the query is not percent-encoded UTF-8")
      }
      items.append(Item(name: name, value: value))
    }
    self.items = items
  }

  /// All values of a repeatable parameter.
  package func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

  /// The value of a parameter that may be there once.
  package func one(_ name: String) throws(Problem) -> String? {
    let values = all(name)
    guard values.count <= 1 else { throw .parameter(name, "\(name) is there \(values.count) times; give it once") }
    return values.first
  }

  package func integer(_ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
    guard let text = try one(name) else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw .parameter(name, "\(name) goes from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// Refuses what is not among `names`; a name ending in `.` stands for all that begin so.
  package func expect(_ names: [String]) throws(Problem) {
    for item in items {
      let known = names.contains { $0.last == "." ? item.name.hasPrefix($0) && item.name != $0 : item.name == $0 }
      guard known else {
        let known = names.isEmpty ? "none is known here" : "known are \(names.joined(separator: ", "))"
        throw .parameter(String(item.name.prefix(64)), "unknown parameter; \(known)")
      }
    }
  }

  /// Percent-decoding, with `+` for a space as browsers write it.
  package static func decoded(_ text: Substring, plusIsSpace: Bool = true) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+") where plusIsSpace: bytes.append(0x20)
      case UInt8(ascii: "%"):
        guard rest.count >= 2, let high = digit(rest.removeFirst()), let low = digit(rest.removeFirst()) else {
          return nil
        }
        bytes.append(high << 4 | low)
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
