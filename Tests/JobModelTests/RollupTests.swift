/// The numbers of a day: their written form, their sums, percentiles from buckets, and messages folded together.
import JobModel
import Testing

@Suite("Rollups")
struct RollupTests {
  @Test("percentiles lie within an eighth of the true ones, and equal durations are exact")
  func percentiles() throws {
    var same = Histogram()
    for _ in 0..<1000 { same.add(microseconds: 123_456) }
    #expect(same.percentile(0.5) == .microseconds(123_456))
    #expect(same.mean == .microseconds(123_456))
    var spread = Histogram()
    for value in 1...10_000 { spread.add(microseconds: Int64(value) * 997) }
    for share in [0.01, 0.25, 0.5, 0.9, 0.95, 0.999] {
      let truth = share * 10_000 * 997
      let found = Double(try #require(spread.percentile(share)).inMicroseconds)
      #expect(abs(found - truth) <= truth / 8, "share \(share): \(found) for \(truth)")
    }
    #expect(Histogram().percentile(0.5) == nil)
    #expect(Histogram().mean == nil)
  }

  @Test("durations beyond every bucket, none and negative ones are counted")
  func extremes() {
    var histogram = Histogram()
    for value in [Int64.max, 0, -5, 200_000_000_000] { histogram.add(microseconds: value) }
    #expect(histogram.count == 4)
    #expect(histogram.counts.reduce(0, +) == 4)
    #expect(histogram.counts.last == 2)
    #expect(histogram.shortest == 0)
  }

  private func day(_ seed: Int) -> Rollup {
    var rollup = Rollup()
    for number in 0..<50 {
      rollup.count("type-\(number % 3)") {
        $0.submitted += 1
        $0.ends[JobOutcome.allCases[(number + seed) % 7], default: 0] += 1
        $0.run.add(microseconds: Int64(number * seed * 1000))
        $0.wait.add(microseconds: Int64(number))
        $0.slaKept += number % 2
      }
      rollup.count(Rollup.ErrorKind(type: "type-0", code: "c\(number % (seed + 1))", message: "\"<ü>\""))
    }
    return rollup
  }

  @Test("reading what was written gives the same", arguments: [0, 1, 5])
  func roundTrip(_ seed: Int) throws {
    let rollup = seed == 0 ? Rollup() : day(seed)
    let json = rollup.json(node: "n", day: "2026-11-20")
    #expect(try #require(Rollup(json)) == rollup)
    #expect(Rollup(json)?.json(node: "n", day: "2026-11-20") == json)
  }

  @Test("damaged rollups are none", arguments: ["", "{}", "{\"v\":2,\"types\":{},\"errors\":[]}", "[1]"])
  func damaged(_ text: String) {
    #expect(Rollup(Array(text.utf8)) == nil)
    let whole = day(2).json(node: "n", day: "d")
    #expect(Rollup(Array(whole.dropLast(10))) == nil)
  }

  @Test("days added up have the sums of all, whatever their order")
  func sums() {
    var forward = day(1)
    forward.add(day(4))
    var backward = day(4)
    backward.add(day(1))
    #expect(forward == backward)
    #expect(forward.total.submitted == 100)
    #expect(forward.total.ended == 100)
    #expect(forward.total.run.count == 100)
  }

  @Test("a producer that invents types and errors cannot fill a rollup")
  func bounded() {
    var rollup = Rollup()
    for number in 0..<5000 {
      rollup.count("t\(number)") { $0.submitted += 1 }
      rollup.count(Rollup.ErrorKind(type: "t", code: "c\(number)", message: ""))
    }
    #expect(rollup.types.count <= 1001)
    #expect(rollup.errors.count <= 201)
    #expect(rollup.total.submitted == 5000)
    #expect(rollup.errorsByCount.first?.kind == .others)
  }

  @Test(
    "messages that differ in numbers and names fold together",
    arguments: [
      ("connection 17 refused after 3.5s", "connection N refused after N.Ns"),
      ("no file 0192f3a4-77aa-7c11-9f00-deadbeef0001.json", "no file H.json"),
      ("decade facade", "decade facade"),
      ("a\u{1B}[2Jb\nc", "a [NJb c"),
      ("", ""),
    ])
  func folding(_ message: String, _ folded: String) {
    #expect(Rollup.folded(message) == folded)
  }

  @Test("folded messages are short")
  func short() { #expect(Rollup.folded(String(repeating: "x ", count: 5000)).count <= 160) }
}
