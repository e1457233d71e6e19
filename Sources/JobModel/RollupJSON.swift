/// The written form of a rollup, the same for equal numbers: keys are sorted, zeros left out.
extension Rollup {
  package static let formatVersion = 1

  /// One line of JSON.
  package func json(node: String, day: String) -> [UInt8] {
    var writer = JSONWriter(reserving: 2048)
    writer.beginObject()
    writer.key("v")
    writer.int(Rollup.formatVersion)
    writer.key("node")
    writer.string(node)
    writer.key("day")
    writer.string(day)
    writer.key("types")
    writer.beginObject()
    for (type, numbers) in types.sorted(by: { $0.key < $1.key }) {
      writer.key(escaping: type)
      numbers.write(to: &writer)
    }
    writer.endObject()
    writer.key("errors")
    writer.beginArray()
    for (kind, times) in errorsByCount {
      writer.beginObject()
      writer.key("type")
      writer.string(kind.type)
      writer.key("code")
      writer.string(kind.code)
      writer.key("message")
      writer.string(kind.message)
      writer.key("count")
      writer.int(times)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  /// nil when the text is no rollup of this version: it can be made again from the log.
  package init?(_ json: [UInt8]) {
    guard let value = try? JSONReader.parse(json), value["v"]?.int == Rollup.formatVersion,
      let types = value["types"]?.members, let errors = value["errors"]?.array
    else { return nil }
    for member in types {
      guard let numbers = OfType(member.value) else { return nil }
      self.types[member.key] = numbers
    }
    for error in errors {
      guard let type = error["type"]?.string, let code = error["code"]?.string, let message = error["message"]?.string,
        let times = error["count"]?.int
      else { return nil }
      self.errors[ErrorKind(type: type, code: code, message: message), default: 0] += times
    }
  }
}

extension Rollup.OfType {
  /// The plain counts, in their written order.
  private static var counts: [(key: String, path: WritableKeyPath<Rollup.OfType, Int>)] {
    [
      ("submitted", \.submitted), ("requeued", \.requeued), ("started", \.started), ("retried", \.retried),
      ("stalled", \.stalled), ("sla_kept", \.slaKept), ("sla_missed", \.slaMissed),
    ]
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    for (key, path) in Self.counts where self[keyPath: path] != 0 {
      writer.key(escaping: key)
      writer.int(self[keyPath: path])
    }
    for outcome in JobOutcome.allCases {
      guard let number = ends[outcome], number != 0 else { continue }
      writer.key(escaping: outcome.rawValue)
      writer.int(number)
    }
    writer.key("run")
    run.write(to: &writer)
    writer.key("wait")
    wait.write(to: &writer)
    writer.endObject()
  }

  init?(_ value: JSONValue) {
    guard value.members != nil, let run = Histogram(value["run"]), let wait = Histogram(value["wait"]) else {
      return nil
    }
    for (key, path) in Self.counts { self[keyPath: path] = value[key]?.int ?? 0 }
    for outcome in JobOutcome.allCases {
      if let number = value[outcome.rawValue]?.int { ends[outcome] = number }
    }
    self.run = run
    self.wait = wait
  }
}
