/// JSON for reading: the tokens as they are, a line each. Nothing is interpreted, so duplicate keys and odd numbers show as
/// they were written; characters that a terminal would act on are escaped.
internal import JobModel

enum PrettyJSON {
  /// `json` is checked text.
  static func text(_ json: [UInt8], indent: String = "") -> String {
    var out: [UInt8] = Array(indent.utf8)
    var depth = 0
    var isString = false
    var at = 0
    func newline() {
      out.append(0x0A)
      out += indent.utf8
      out += repeatElement(0x20, count: min(depth, 40) * 2)
    }
    while at < json.count {
      let byte = json[at]
      if isString {
        out.append(byte)
        if byte == UInt8(ascii: "\\"), at + 1 < json.count {
          at += 1
          out.append(json[at])
        } else if byte == UInt8(ascii: "\"") {
          isString = false
        }
      } else {
        switch byte {
        case UInt8(ascii: "\""):
          isString = true
          out.append(byte)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
          out.append(byte)
          // An empty one stays on its line.
          let next = json[(at + 1)...].first { !isSpace($0) }
          if next == UInt8(ascii: "}") || next == UInt8(ascii: "]") {
            at = json[(at + 1)...].firstIndex { !isSpace($0) } ?? at
            out.append(json[at])
          } else {
            depth += 1
            newline()
          }
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          depth -= 1
          newline()
          out.append(byte)
        case UInt8(ascii: ","):
          out.append(byte)
          newline()
        case UInt8(ascii: ":"): out += ": ".utf8
        case _ where isSpace(byte): break
        default: out.append(byte)
        }
      }
      at += 1
    }
    return escaped(String(decoding: out, as: UTF8.self))
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

  private static func escaped(_ text: String) -> String {
    var safe = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069:
        let digits = String(scalar.value, radix: 16)
        safe += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return safe
  }
}
