import JobModel
import SpoolTestSupport
import Testing

@Suite("Cron expressions that are refused") struct CronProblemTests {
  @Test(
    "say which field, where, and what was expected",
    arguments: [
      ("60 * * * *", "minute (column 1): 60 is not in 0-59"), ("0 24 * * *", "hour (column 3): 24 is not in 0-23"),
      ("0 0 0 * *", "day of month (column 5): 0 is not in 1-31"),
      ("0 0 1,32 * *", "day of month (column 7): 32 is not in 1-31"),
      ("0 0 * 13 *", "month (column 7): 13 is not in 1-12 or jan-dec"),
      ("0 0 * 0 *", "month (column 7): 0 is not in 1-12 or jan-dec"),
      ("0 0 * * 8", "day of week (column 9): 8 is not in 0-7 or sun-sat"),
      ("60 0 0 * * *", "second (column 1): 60 is not in 0-59"),
      ("0 0 * foo *", "month (column 7): unknown name 'foo', expected 1-12 or jan-dec"),
      ("0 0 * * monday", "day of week (column 9): unknown name 'monday', expected 0-7 or sun-sat"),
      ("0 0 L * *", "day of month (column 5): unknown name 'L', expected 1-31"),
      ("0 0 15W * *", "day of month (column 7): expected ',', '-', '/' or the end of the field, found 'W'"),
      ("0 0 * * fri#2", "day of week (column 12): expected ',', '-', '/' or the end of the field, found '#'"),
      ("*/0 * * * *", "minute (column 3): a step of 0 never moves; expected 1 or more"),
      ("*/ * * * *", "minute (column 3): expected a step after '/', found the end of the field"),
      ("*/x * * * *", "minute (column 3): expected a step after '/', found 'x'"),
      ("1- * * * *", "minute (column 3): expected 0-59 or '*', found the end of the field"),
      ("1,,2 * * * *", "minute (column 3): expected 0-59 or '*', found ','"),
      (", * * * *", "minute (column 1): expected 0-59 or '*', found ','"),
      ("-1 * * * *", "minute (column 1): expected 0-59 or '*', found '-'"),
      ("** * * * *", "minute (column 2): expected ',', '-', '/' or the end of the field, found '*'"),
      ("*-5 * * * *", "minute (column 2): expected ',', '-', '/' or the end of the field, found '-'"),
      (
        "1~5 * * * *",
        "minute (column 2): expected ',', '-', '/' or the end of the field, found '~' (for a random delay give the schedule a jitter)"
      ),
      ("? * * * *", "minute (column 1): expected 0-59 or '*', found '?' (only the day fields take '?')"),
      ("0 0 ?/2 * *", "day of month (column 6): '?' stands alone, found '/'"),
      ("0 22-6 * * *", "hour (column 3): the range ends before it begins; write it as two, 22-23,0-6"),
      ("0 0 * * sat-mon", "day of week (column 9): the range ends before it begins; write it as two, 6-6,0-1"),
      ("99999 * * * *", "minute (column 1): the number is too large"),
      ("99999999999999999999999999 * * * *", "minute (column 1): the number is too large"),
      ("*/99999999999999999999 * * * *", "minute (column 3): the number is too large"),
      (
        "1\n * * * *",
        "minute (column 2): expected ',', '-', '/' or the end of the field, found a character that is no ASCII text"
      ),
      ("٣ * * * *", "minute (column 1): expected 0-59 or '*', found a character that is no ASCII text"),
      (
        "@reboot",
        "nickname (column 1): unknown '@reboot', expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly"
      ),
      ("@daily 5", "nickname (column 8): nothing may follow @daily"),
    ] as [(String, String)])
  func refused(text: String, expected: String) {
    #expect {
      try CronExpression(text)
    } throws: { error in
      "\(error)" == expected
    }
  }

  @Test(
    "the number of fields is named", arguments: ["", " ", "\t", "*", "* * * *", "* * * * * * *", "0 0 * * * * 2026"])
  func fieldCount(text: String) {
    #expect {
      try CronExpression(text)
    } throws: { error in
      "\(error)".hasPrefix("found ") && "\(error)".contains("expected 5 (minute, hour")
    }
  }

  @Test(
    "a day that never comes is refused",
    arguments: [
      "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30,31 feb *", "0 0 31 4 ?", "0 0 30 2 */2", "* * 31 6 *",
      "0 0 0 30 2 *",
    ])
  func never(text: String) {
    #expect {
      try CronExpression(text)
    } throws: { error in
      "\(error)".hasPrefix("day of month (column ") && "\(error)".contains("could never fire")
    }
  }

  @Test("a day that never comes may stand beside a weekday that does: one of the two suffices")
  func neverOrWeekday() throws {
    #expect(try firings("0 0 30 2 mon", after: "2026-11-21T00:00:00Z", count: 1) == ["2027-02-01T00:00:00Z"])
    #expect(try firings("0 0 29 2 *", after: "2026-11-21T00:00:00Z", count: 1) == ["2028-02-29T00:00:00Z"])
  }

  @Test("an endless text is refused unread, a long one is read")
  func long() throws {
    let numbers = (0...59).map(String.init).joined(separator: ",")
    #expect(try firings("\(numbers) * * * *", after: "2026-11-21T00:00:00Z", count: 1) == ["2026-11-21T00:01:00Z"])
    #expect(throws: CronProblem.self) { try CronExpression(String(repeating: "0,", count: 500_000) + "0 * * * *") }
  }

  @Test("random bytes are read or refused, never a crash, and what is read fires")
  func noise() {
    var numbers = SeededNumbers(seed: 20_261_121)
    let alphabet = Array("0123456789*/,-?@ \t~LW#monfrijan\n\u{0}é")
    var read = 0
    for round in 0..<20_000 {
      let length = Int.random(in: 0...24, using: &numbers)
      var text = String((0..<length).map { _ in alphabet.randomElement(using: &numbers) ?? "*" })
      // Half of them begin as something valid, or hardly any would be read.
      if round % 2 == 0 { text = "*/7 1,5 " + text.filter { $0 != " " && $0 != "\t" }.prefix(3) + " * *" }
      guard let expression = try? CronExpression(text) else { continue }
      read += 1
      #expect(expression.next(after: time("2026-11-21T00:00:00Z")) != nil, "\(text)")
    }
    #expect(read > 100)
  }
}
