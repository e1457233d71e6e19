/// A JSON value as JSON Schema sees it: numbers by value, strings by code points, members without order. What RFC 8259
/// leaves open would let a payload mean one thing here and another to its handler, so keys that occur twice and halves
/// of surrogate pairs are errors.
internal import JobModel

enum Instance: Sendable, Hashable {
  case null
  case bool(Bool)
  case number(ExactNumber)
  case string(Text)
  case array(Elements)
  case object(Members)

  struct Elements: Sendable, Hashable {
    let values: [Instance]
    let weight: Int
  }

  struct Members: Sendable {
    struct Member: Sendable {
      let name: Text
      let value: Instance
    }
    /// In the order of the text.
    let list: [Member]
    let places: [Text: Int]
    let weight: Int

    subscript(name: Text) -> Instance? { places[name].map { list[$0].value } }
  }

  /// About how much work it is to compare it: 1 for a small value, more for what is long or holds others.
  var weight: Int {
    switch self {
    case .null, .bool: 1
    case .number(let number): 1 + number.text.utf8.count / 16
    case .string(let text): text.weight
    case .array(let elements): elements.weight
    case .object(let members): members.weight
    }
  }
}

/// A string that equals another by code points. Swift's own strings equal each other in any composition of their letters.
struct Text: Sendable, Hashable {
  let string: String

  init(_ string: String) { self.string = string }

  static func == (left: Text, right: Text) -> Bool { left.string.utf8.elementsEqual(right.string.utf8) }

  func hash(into hasher: inout Hasher) {
    var string = string
    string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(string.utf8.count)
  }

  var weight: Int { 1 + string.utf8.count / 16 }
}

extension Instance.Members: Hashable {
  static func == (left: Self, right: Self) -> Bool {
    left.list.count == right.list.count && left.list.allSatisfy { right[$0.name] == $0.value }
  }

  func hash(into hasher: inout Hasher) {
    var sum = 0
    for member in list {
      var own = Hasher()
      own.combine(member.name)
      own.combine(member.value)
      sum ^= own.finalize()
    }
    hasher.combine(sum)
  }
}

extension Instance {
  /// Reads the one value that fills the text.
  static func parse(_ json: UnsafeBufferPointer<UInt8>) throws(JSONReader.Problem) -> Instance {
    var reader = JSONReader(json)
    try reader.begin()
    let instance = try Instance(&reader)
    try reader.end()
    return instance
  }

  private init(_ reader: inout JSONReader) throws(JSONReader.Problem) {
    switch reader.next {
    case UInt8(ascii: "{"):
      var list: [Members.Member] = []
      var places: [Text: Int] = [:]
      var weight = 1
      try reader.object { reader, key, offset throws(JSONReader.Problem) in
        let name = Text(key)
        guard places.updateValue(list.count, forKey: name) == nil else {
          throw JSONReader.Problem(offset: offset, message: "the key \"\(key)\" occurs twice")
        }
        let value = try Instance(&reader)
        weight += name.weight + value.weight
        list.append(Members.Member(name: name, value: value))
      }
      self = .object(Members(list: list, places: places, weight: weight))
    case UInt8(ascii: "["):
      var values: [Instance] = []
      var weight = 1
      try reader.array { reader throws(JSONReader.Problem) in
        let value = try Instance(&reader)
        weight += value.weight
        values.append(value)
      }
      self = .array(Elements(values: values, weight: weight))
    case UInt8(ascii: "\""): self = .string(Text(try reader.string()))
    default:
      let range = try reader.skip()
      switch reader.bytes[range.lowerBound] {
      case UInt8(ascii: "t"): self = .bool(true)
      case UInt8(ascii: "f"): self = .bool(false)
      case UInt8(ascii: "n"): self = .null
      default: self = .number(ExactNumber(String(decoding: reader.bytes[range], as: UTF8.self)))
      }
    }
  }

  /// The value for a message: short ones as they are, long ones cut.
  var shown: String {
    switch self {
    case .null: return "null"
    case .bool(let flag): return flag ? "true" : "false"
    case .number(let number): return number.text.count <= 40 ? number.text : number.text.prefix(38) + "…"
    case .string(let text):
      let short = text.string.unicodeScalars.prefix(60)
      var bytes: [UInt8] = []
      JSONWriter.append(string: String(short) + (short.endIndex == text.string.endIndex ? "" : "…"), to: &bytes)
      return String(decoding: bytes, as: UTF8.self)
    case .array(let elements): return elements.values.isEmpty ? "an empty array" : "an array"
    case .object(let members): return members.list.isEmpty ? "an empty object" : "an object"
    }
  }
}
