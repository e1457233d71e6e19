import Glibc
import JobModel
import SpoolConfig
import SpoolTestSupport
import Testing

@Suite("Time zone files") struct TimeZoneFileTests {
  static let zones = [
    "Europe/Berlin", "Europe/Dublin", "Europe/London", "America/New_York", "America/Sao_Paulo", "America/Nuuk",
    "Africa/Casablanca", "Africa/Monrovia", "Asia/Kathmandu", "Asia/Gaza", "Asia/Tokyo", "Australia/Lord_Howe",
    "Antarctica/Troll", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Kwajalein", "Etc/GMT+12", "UTC", "EST5EDT",
  ]

  @Test("every offset from 1970 to 2150 is the one Python's zoneinfo gives")
  func sameOffsets() throws {
    var questions: [(zone: String, seconds: Int64)] = []
    for zone in Self.zones {
      for step in 0..<1500 { questions.append((zone, Int64(step) * 3_787_123)) }
    }
    let answers = try askPeer("zone_offsets.py", questions.map { "\($0.zone) \($0.seconds)" })
    try #require(answers.count == questions.count, "the peer answered: \(answers.prefix(3))")
    var rules: [String: TimeZoneRules] = [:]
    for zone in Self.zones { rules[zone] = try TimeZoneFile.load(zone) }
    var wrong: [String] = []
    for (question, answer) in zip(questions, answers) {
      let ours = rules[question.zone]?.offset(at: WallTime(seconds: question.seconds))
      if ours != Int64(answer) { wrong.append("\(question.zone) \(question.seconds): \(ours ?? 0), there \(answer)") }
    }
    #expect(wrong == [])
  }

  @Test(
    "a schedule in a zone of the system, over both changes",
    arguments: [
      ("Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
      ("Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
      ("America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z"),
      ("America/New_York", "2026-11-01T00:00:00Z", "2026-11-01T07:30:00Z"),
      // Half an hour back from 02:00 to 01:30: half past two is shown once.
      ("Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-04T16:00:00Z"),
      // Far beyond what the file lists, by its rule.
      ("Europe/Berlin", "2426-03-28T12:00:00Z", "2426-03-29T01:00:00Z"),
    ])
  func schedule(zone: String, start: String, expected: String) throws {
    let rules = try TimeZoneFile.load(zone)
    let after = try #require(WallTime(rfc3339: start))
    #expect(try CronExpression("30 2 * * *").next(after: after, in: rules) == WallTime(rfc3339: expected))
  }

  @Test(
    "a name that is none is refused before anything is opened",
    arguments: [
      "", ".", "..", "../../etc/passwd", "/etc/localtime", "Europe//Berlin", "Europe/../Asia/Tokyo", "Europe/",
      "a\u{0}b", "ü", "zone.tab",
    ])
  func badName(name: String) {
    #expect {
      try TimeZoneFile.load(name)
    } throws: { error in
      "\(error)".hasSuffix("is no name of a time zone; names are like Europe/Berlin or UTC")
    }
  }

  @Test("what is no zone is refused, naming zone and file")
  func refused() {
    func message(_ name: String) -> String {
      do {
        _ = try TimeZoneFile.load(name)
        return "loaded"
      } catch {
        return "\(error)"
      }
    }
    #expect(
      message("Europe/Berln")
        == "time zone Europe/Berln: there is no such zone; check the spelling and that the package tzdata is installed "
        + "(/usr/share/zoneinfo/Europe/Berln)")
    #expect(message("Europe").hasPrefix("time zone Europe: this is no file but a folder"))
    #expect(message("right/Europe/Berlin").contains("use the zone without right/"))
  }

  @Test("UTC needs no file") func utc() throws {
    #expect(try TimeZoneFile.load("UTC", directory: "/nonexistent") == .utc)
  }

  @Test("damaged files are refused or read, never a crash")
  func damaged() throws {
    let whole = bytes("/usr/share/zoneinfo/Europe/Berlin")
    _ = try TimeZoneFile.decode(whole)
    for length in 0..<whole.count {
      #expect(throws: TimeZoneProblem.self) { try TimeZoneFile.decode(Array(whole[..<length])) }
    }
    // Every byte in turn, and what can still be read is used.
    let expression = try CronExpression("30 2 * * *")
    for index in whole.indices {
      for value in [0, 0x7f, 0x80, 0xff] as [UInt8] where whole[index] != value {
        var bytes = whole
        bytes[index] = value
        guard let rules = try? TimeZoneFile.decode(bytes) else { continue }
        #expect(expression.next(after: WallTime(seconds: 1_700_000_000), in: rules) != nil)
      }
    }
  }

  @Test("old, foreign and lying headers are refused in words")
  func headers() {
    func file(version: String, counts: [UInt8], footer: String = "\nUTC0\n") -> [UInt8] {
      let header = Array("TZif\(version)".utf8) + [UInt8](repeating: 0, count: 15)
      let four = { (number: UInt8) in [0, 0, 0, number] as [UInt8] }
      return header + [UInt8](repeating: 0, count: 24) + header + counts.flatMap(four) + Array(footer.utf8)
    }
    func message(_ bytes: [UInt8]) -> String {
      do {
        return "\(try TimeZoneFile.decode(bytes))"
      } catch {
        return error.message
      }
    }
    #expect(message([]) == "not a time zone file (TZif)")
    #expect(
      message(Array("# a text file that is long enough for a header, but none".utf8)) == "not a time zone file (TZif)")
    #expect(message(file(version: "\u{0}", counts: [0, 0, 0, 0, 1, 4])).hasPrefix("a TZif file of version 1"))
    #expect(message(file(version: "2", counts: [0, 0, 0, 0, 0, 0])) == "damaged: no types of local time")
    #expect(message(file(version: "2", counts: [0, 0, 0, 255, 1, 0])) == "damaged: it ends too early")
  }

  private func bytes(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    return Array(buffer[..<max(0, read(descriptor, &buffer, buffer.count))])
  }
}
