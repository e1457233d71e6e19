/// References inside a schema document. They may lead to any of its schemas, the one they stand in included, as long as
/// each turn goes into a part of the payload: a circle that stays at one value would never end, and is refused.
internal import JobModel

extension SchemaLoader {
  mutating func followReferences() throws(SchemaProblem) {
    for (schema, target) in references { rules[schema].reference = try find(target, from: pointers[schema]) }
  }

  private func find(_ target: String, from pointer: String) throws(SchemaProblem) -> Int {
    let place = SchemaPlace(schema: 0, pointer: pointer, keyword: "$ref")
    var fragment = target
    if let identifier, target.hasPrefix(identifier) { fragment = String(target.dropFirst(identifier.count)) }
    guard fragment.hasPrefix("#") || fragment.isEmpty, let name = SchemaLoader.unescape(fragment.dropFirst()) else {
      throw place.problem("\"\(target)\" leads out of this file; only references such as \"#/$defs/name\" are followed")
    }
    if name.isEmpty { return 0 }
    guard name.hasPrefix("/") else {
      guard let schema = anchors[Text(name)] else { throw place.problem("no schema here has \"$anchor\": \"\(name)\"") }
      return schema
    }
    guard let parsed = JSONPointer(name), let schema = numbers[Text(parsed.text)] else {
      throw place.problem("there is no schema at \"\(target)\" in this file")
    }
    return schema
  }

  /// Takes the percent escapes out of a URI's fragment; nil when they are broken.
  private static func unescape(_ fragment: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(fragment.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, digits.allSatisfy(FormatScan.isHex),
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  /// Walks, without recursion, along what looks at the same value; meeting a schema again on the way is a circle.
  func refuseCircles() throws(SchemaProblem) {
    enum Mark { case new, onTheWay, done }
    var marks = Array(repeating: Mark.new, count: rules.count)
    for start in rules.indices where marks[start] == .new {
      var way = [(schema: start, left: rules[start].inPlace[...])]
      marks[start] = .onTheWay
      while let (schema, left) = way.last {
        guard let next = left.first else {
          marks[schema] = .done
          way.removeLast()
          continue
        }
        way[way.count - 1].left = left.dropFirst()
        switch marks[next] {
        case .done: continue
        case .onTheWay:
          throw SchemaProblem(
            pointer: pointers[schema], keyword: rules[schema].reference == next ? "$ref" : nil,
            message: "leads back to \(pointers[next].isEmpty ? "the root" : pointers[next]) without going into the "
              + "value: checking would never end")
        case .new:
          marks[next] = .onTheWay
          way.append((next, rules[next].inPlace[...]))
        }
      }
    }
  }
}
