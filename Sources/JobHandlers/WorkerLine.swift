internal import JobEngine
internal import JobModel

/// One line a worker wrote to standard output: a JSON object that names a job and says how it fares or how it ended.
/// Pure.
///
/// `{"id":"X","ok":true}` and its like are by far the most frequent lines; `Head` reads them in place, without memory of
/// their own. Everything else goes through the strict reader.
package struct WorkerLine {
  package var id: String
  /// The job has ended, well or not; nil while it runs.
  package var ok: Bool?
  /// `"retry": false`.
  package var permanent: Bool?
  /// What control lines have as well.
  package var content = ControlLine()
  /// What is wrong with a part of the line; the rest of it counts.
  package var problem: String?

  /// Throws when the line is no JSON object or names no job.
  package init(parsing line: UnsafeBufferPointer<UInt8>) throws(ControlLine.Problem) {
    var found: String?
    var ok: Bool?
    var permanent: Bool?
    var content = ControlLine()
    var problem: String?
    var reader = JSONReader(line)
    do throws(JSONReader.Problem) {
      try reader.begin()
      try reader.object { reader, key, _ throws(JSONReader.Problem) in
        switch key {
        case "id": found = try reader.string()
        case "ok":
          ok = try reader.value().bool
          if ok == nil { problem = "\"ok\" is neither true nor false" }
        case "retry":
          guard let retry = try reader.value().bool else {
            problem = "\"retry\" is neither true nor false"
            return
          }
          permanent = retry ? nil : true
        // Kept, not interpreted: whatever RFC 8259 allows.
        case "result": content.result = ResultText.compact(Array(line[try reader.skip()]))
        default:
          let value = try reader.value(rawKeys: ["details"])
          do throws(ControlLine.Problem) { try content.read(key, value) } catch { problem = error.message }
        }
      }
      try reader.end()
    } catch {
      throw ControlLine.Problem("\(error.message) (byte \(error.offset + 1))")
    }
    guard let id = found else { throw ControlLine.Problem("there is no \"id\"") }
    if ok == nil, problem == nil, content.result != nil || content.error != nil || content.retryIn != nil {
      problem = "\"result\", \"error\" and \"retry_in\" only count beside \"ok\""
    }
    if problem == nil, !content.unknown.isEmpty {
      problem = "unknown keys: \(content.unknown.joined(separator: ", "))"
    }
    self.id = id
    self.ok = ok
    self.permanent = permanent
    self.content = content
    self.problem = problem
  }

  /// How a line begins, as far as it can be told without reading all of it: `{"id":"X"`, then perhaps `"ok":true`.
  /// Also for lines that turn out not to be JSON: the job they speak of is known then.
  package struct Head {
    package let id: UnsafeBufferPointer<UInt8>
    package private(set) var ok: Bool?
    /// The line ends here: there is nothing else in it.
    package private(set) var isWhole = false

    package init?(_ line: UnsafeBufferPointer<UInt8>) {
      var scan = Scan(line: line)
      guard scan.take("{"), scan.take("\"id\""), scan.take(":"), let id = scan.text(), id.count <= Limits.idLength
      else { return nil }
      self.id = id
      if scan.take(",") {
        guard scan.take("\"ok\""), scan.take(":") else { return }
        if scan.take("true") { ok = true } else if scan.take("false") { ok = false } else { return }
      }
      isWhole = scan.take("}") && scan.isAtEnd
    }
  }

  /// Steps over expected tokens and the space before them.
  private struct Scan {
    let line: UnsafeBufferPointer<UInt8>
    var at = 0

    var isAtEnd: Bool {
      mutating get {
        skipSpace()
        return at == line.count
      }
    }

    mutating func skipSpace() {
      while at < line.count, line[at] == 0x20 || line[at] == 0x0D || line[at] == 0x09 { at += 1 }
    }

    mutating func take(_ token: StaticString) -> Bool {
      skipSpace()
      let count = token.utf8CodeUnitCount
      guard line.count - at >= count else { return false }
      for index in 0..<count where line[at + index] != token.utf8Start[index] { return false }
      at += count
      return true
    }

    /// A string of characters that ids consist of, without its quotes.
    mutating func text() -> UnsafeBufferPointer<UInt8>? {
      guard take("\"") else { return nil }
      let start = at
      while at < line.count, line[at] > 0x20, line[at] < 0x7F, line[at] != 0x22, line[at] != 0x5C { at += 1 }
      guard at < line.count, line[at] == 0x22 else { return nil }
      at += 1
      return UnsafeBufferPointer(rebasing: line[start..<(at - 1)])
    }
  }
}
