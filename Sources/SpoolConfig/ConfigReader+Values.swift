/// What a value may be: numbers, texts, durations, sizes, choices. Each is one line of `ConfigReader.value`.
internal import JobModel

extension ConfigReader {
  func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
    value(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { node in
      guard case .integer(let number) = node.value, let number = Int(exactly: number) else { return nil }
      return range.contains(number) ? number : nil
    }
  }

  func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
    value(key, "a number from \(range.lowerBound) to \(range.upperBound)") { node in
      let number: Double
      switch node.value {
      case .integer(let whole): number = Double(whole)
      case .number(let fraction): number = fraction
      default: return nil
      }
      return range.contains(number) ? number : nil
    }
  }

  func flag(_ key: String) -> Bool? {
    value(key, "true or false") { node in
      guard case .flag(let flag) = node.value else { return nil }
      return flag
    }
  }

  /// A text that is not empty and, as all of them end up in system calls or file names, has no NUL.
  func text(_ key: String) -> String? {
    value(key, "a text") { $0.plainText.flatMap { $0.isEmpty ? nil : $0 } }
  }

  func texts(_ key: String, count: ClosedRange<Int> = 0...1000) -> [String]? {
    list(key, of: "a text", count: count) { $0.plainText.flatMap { $0.isEmpty ? nil : $0 } }
  }

  func duration(_ key: String, in range: ClosedRange<Duration>) -> Duration? {
    value(key, Self.expected(range)) { $0.duration(in: range) }
  }

  func durations(_ key: String, in range: ClosedRange<Duration>, count: ClosedRange<Int>) -> [Duration]? {
    list(key, of: Self.expected(range), count: count) { $0.duration(in: range) }
  }

  private static func expected(_ range: ClosedRange<Duration>) -> String {
    let (low, high) = (DurationText.format(range.lowerBound), DurationText.format(range.upperBound))
    return "a duration from \(low) to \(high) such as \"90s\", \"5m\" or 90 (seconds)"
  }

  /// Bytes.
  func size(_ key: String, in range: ClosedRange<Int>) -> Int? {
    let (low, high) = (SizeText.format(range.lowerBound), SizeText.format(range.upperBound))
    return value(key, "a size from \(low) to \(high) such as \"64K\", \"256M\" or a number of bytes") {
      $0.bytes(in: range)
    }
  }

  /// Bytes, or a share of the file system.
  func sizeLimit(_ key: String) -> SizeLimit? {
    value(key, "a size such as \"64M\", or a share from \"0%\" to \"99%\"") { node in
      if let share = node.plainText.flatMap(SizeText.percent) { return share <= 99 ? .percent(share) : nil }
      return node.bytes(in: 0...(1 << 50)).map(SizeLimit.bytes)
    }
  }

  func choice<T: RawRepresentable & CaseIterable>(_ key: String) -> T? where T.RawValue == String {
    value(key, oneOf(T.allCases.map(\.rawValue))) { $0.plainText.flatMap(T.init(rawValue:)) }
  }

  func pointer(_ key: String) -> String? {
    value(key, JSONPointer.expected) { node in
      node.plainText.flatMap { JSONPointer($0) == nil ? nil : $0 }
    }
  }

  /// Places inside the payload.
  func payloadPointers(_ key: String) -> [String]? {
    list(key, of: "a JSON pointer into the payload such as \"/payload/token\"") { node in
      node.plainText.flatMap { JSONPointer($0)?.tokens.first == "payload" ? $0 : nil }
    }
  }

  /// A program and its arguments; `[]` and an empty program are refused.
  func command(_ key: String) -> [String]? {
    guard let words = list(key, of: "a text", count: 1...1000, { $0.plainText }) else { return nil }
    if words[0].isEmpty {
      refuse(key, "the program's name is empty")
      return nil
    }
    return words
  }

  func retention(_ key: String) -> Retention {
    var retention = Retention()
    guard let retain = section(key) else { return retention }
    let range = Duration.seconds(1)...Duration.days(36_500)
    retention.done = retain.duration("done", in: range)
    retention.dead = retain.duration("dead", in: range)
    retention.log = retain.duration("log", in: range)
    retention.doneMax = retain.integer("done_max", in: 0...1_000_000_000)
    retention.deadMax = retain.integer("dead_max", in: 0...1_000_000_000)
    return retention
  }
}

extension TOMLNode {
  /// A text without NUL.
  var plainText: String? {
    guard case .text(let text) = value, !text.utf8.contains(0) else { return nil }
    return text
  }

  func duration(in range: ClosedRange<Duration>) -> Duration? {
    let duration: Duration?
    switch value {
    case .text(let text): duration = DurationText.parse(text)
    case .integer(let seconds): duration = DurationText.parse(seconds: "\(seconds)")
    case .number(let seconds): duration = DurationText.parse(seconds: "\(seconds)")
    default: duration = nil
    }
    return duration.flatMap { range.contains($0) ? $0 : nil }
  }

  func bytes(in range: ClosedRange<Int>) -> Int? {
    let bytes: Int?
    switch value {
    case .text(let text): bytes = SizeText.parse(text)
    case .integer(let number): bytes = Int(exactly: number)
    default: bytes = nil
    }
    return bytes.flatMap { range.contains($0) ? $0 : nil }
  }

  /// The value for a message: short, on one line, without anything that moves a terminal's cursor.
  var found: String {
    switch value {
    case .table: "a table"
    case .array: "a list"
    case .text(let text): quoted(text)
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .flag(let flag): "\(flag)"
    case .date: "a date"
    }
  }
}

/// `text` in quotes, escaped as JSON does and cut to a line's length.
func quoted(_ text: String) -> String {
  var bytes: [UInt8] = []
  JSONWriter.append(string: text.count > 60 ? text.prefix(57) + "..." : text[...], to: &bytes)
  return String(decoding: bytes, as: UTF8.self)
}

/// `"a", "b" or "c"`.
func oneOf(_ names: [String]) -> String {
  let shown = names.map { "\"\($0)\"" }
  guard let last = shown.last, shown.count > 1 else { return shown.first ?? "nothing" }
  return shown.dropLast().joined(separator: ", ") + " or " + last
}

extension Duration {
  /// Days of 24 hours.
  static func days(_ count: Int) -> Duration { .seconds(count * 86_400) }
}
