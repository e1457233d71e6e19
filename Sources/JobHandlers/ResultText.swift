internal import JobModel

/// Turns what a handler wrote into a result: JSON text, compact. Pure.
package enum ResultText {
  package struct Result: Sendable, Equatable {
    /// nil: it wrote nothing but space.
    package var json: [UInt8]?
    /// It was neither JSON nor UTF-8; what is not UTF-8 became U+FFFD.
    package var repaired = false
  }

  /// JSON stays what it is, less the space between its tokens; all else becomes a JSON string without the newlines at
  /// its end, as `$(command)` would give it.
  package static func make(_ output: [UInt8]) -> Result {
    do throws(JSONReader.Problem) {
      try JSONReader.check(output)
      return Result(json: compact(output))
    } catch {
      var text = output[...]
      while let last = text.last, last == 0x0A || last == 0x0D { text.removeLast() }
      guard text.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D }) else {
        return Result(json: nil)
      }
      var json: [UInt8] = []
      JSONWriter.append(string: String(decoding: text, as: UTF8.self), to: &json)
      let valid = text.withUnsafeBufferPointer { UTF8Check.firstInvalid($0) == nil }
      return Result(json: json, repaired: !valid)
    }
  }

  /// Checked JSON without the space between its tokens; numbers, escapes, order and duplicates stay as they were written.
  package static func compact(_ json: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(json.count)
    var inString = false
    var escaped = false
    for byte in json {
      if inString {
        if escaped {
          escaped = false
        } else if byte == UInt8(ascii: "\\") {
          escaped = true
        } else if byte == UInt8(ascii: "\"") {
          inString = false
        }
      } else {
        if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { continue }
        inString = byte == UInt8(ascii: "\"")
      }
      result.append(byte)
    }
    return result
  }
}
