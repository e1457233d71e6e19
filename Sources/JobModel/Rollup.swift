/// What happened in some time, in numbers: of a day, kept in `log/rollup-NODE-DAY.json` when the audit log of that day is
/// long gone, or of any days added up. A value; `SpoolStore` counts it from the lines of the log and keeps the files.
package struct Rollup: Sendable, Equatable {
  /// Ends by how they came about; the words are those of `JobOutcome`.
  package typealias Ends = [JobOutcome: Int]

  package struct OfType: Sendable, Equatable {
    /// Arrivals.
    package var submitted = 0
    package var requeued = 0
    /// Starts, also of attempts that failed.
    package var started = 0
    package var ends: Ends = [:]
    package var retried = 0
    package var stalled = 0
    /// Within the handler's `sla`, and not; jobs of types without one count in neither.
    package var slaKept = 0
    package var slaMissed = 0
    /// Every attempt, from its claim to its end.
    package var run = Histogram()
    /// From when it could run to its claim, of every attempt.
    package var wait = Histogram()

    package init() {}

    package var done: Int { ends[.done] ?? 0 }
    package var failed: Int { ends[.failed] ?? 0 }
    /// Ended without the handler having succeeded or failed: rejected, expired, cancelled and so on.
    package var otherwise: Int { ended - done - failed }
    package var ended: Int { ends.values.reduce(0, +) }
    /// Done among all that ran to an end; nil when none did.
    package var success: Double? { done + failed == 0 ? nil : Double(done) / Double(done + failed) }
    package var slaShare: Double? {
      slaKept + slaMissed == 0 ? nil : Double(slaKept) / Double(slaKept + slaMissed)
    }

    package mutating func add(_ other: OfType) {
      submitted += other.submitted
      requeued += other.requeued
      started += other.started
      ends.merge(other.ends) { $0 + $1 }
      retried += other.retried
      stalled += other.stalled
      slaKept += other.slaKept
      slaMissed += other.slaMissed
      run.add(other.run)
      wait.add(other.wait)
    }
  }

  /// Failures that read the same once numbers and names are taken out.
  package struct ErrorKind: Sendable, Hashable {
    package var type: String
    package var code: String
    package var message: String
    package init(type: String, code: String, message: String) {
      self.type = type
      self.code = code
      self.message = message
    }

    /// Everything beyond the kinds that are kept.
    package static let others = ErrorKind(type: "", code: "others", message: "(other errors)")
  }

  /// Kinds of errors and types that are kept apart: a producer that invents names must not fill the disk.
  static let mostErrors = 200
  static let mostTypes = 1000

  package internal(set) var types: [String: OfType] = [:]
  package internal(set) var errors: [ErrorKind: Int] = [:]

  package init() {}

  package var isEmpty: Bool { types.isEmpty && errors.isEmpty }

  /// Changes the numbers of a type; the empty name is for lines that name none.
  package mutating func count(_ type: String, _ body: (inout OfType) -> Void) {
    let name = types[type] != nil || types.count < Rollup.mostTypes ? type : ""
    body(&types[name, default: OfType()])
  }

  package mutating func count(_ error: ErrorKind, times: Int = 1) {
    let kind = errors[error] != nil || errors.count < Rollup.mostErrors ? error : .others
    errors[kind, default: 0] += times
  }

  package mutating func add(_ other: Rollup) {
    for (type, numbers) in other.types.sorted(by: { $0.key < $1.key }) { count(type) { $0.add(numbers) } }
    for (error, times) in other.errorsByCount { count(error, times: times) }
  }

  package var total: OfType {
    var total = OfType()
    for numbers in types.values { total.add(numbers) }
    return total
  }

  /// The most frequent first.
  package var errorsByCount: [(kind: ErrorKind, times: Int)] {
    errors.map { ($0.key, $0.value) }.sorted {
      if $0.1 != $1.1 { return $0.1 > $1.1 }
      return ($0.0.type, $0.0.code, $0.0.message) < ($1.0.type, $1.0.code, $1.0.message)
    }
  }

  /// A message without what differs from one failure to the next: digits become `N`, long hexadecimal words `H`, and only
  /// the beginning is kept.
  package static func folded(_ message: String) -> String {
    var folded = ""
    var word: [Unicode.Scalar] = []
    func isHex(_ scalar: Unicode.Scalar) -> Bool {
      ("0"..."9").contains(scalar) || ("a"..."f").contains(scalar) || ("A"..."F").contains(scalar)
    }
    func flush() {
      defer { word.removeAll(keepingCapacity: true) }
      let digits = word.contains { ("0"..."9").contains($0) }
      if word.count >= 8, digits, word.allSatisfy({ isHex($0) || $0 == "-" }) {
        folded += "H"
        return
      }
      var wasDigit = false
      for scalar in word {
        let isDigit = ("0"..."9").contains(scalar)
        if !isDigit { folded.unicodeScalars.append(scalar) } else if !wasDigit { folded += "N" }
        wasDigit = isDigit
      }
    }
    for scalar in message.prefix(400).unicodeScalars {
      let isWord = scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-"
      if isWord {
        word.append(scalar)
      } else {
        flush()
        folded.unicodeScalars.append(scalar.value < 0x20 ? " " : scalar)
      }
    }
    flush()
    return String(folded.prefix(160))
  }
}
