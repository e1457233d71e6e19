import JobModel
import SpoolTestSupport
import Testing

@Suite("Cron expressions compared with croniter") struct CronPeerTests {
  /// Where the two mean the same: in UTC, for all that `MadeExpression` writes but one thing. A day field that lists
  /// every day without starting with `*` makes every day match, here and in cronie; croniter takes it for a `*`.
  @Test("500 expressions fire at the same times")
  func sameTimes() throws {
    var numbers = SeededNumbers(seed: 500)
    var questions: [(text: String, start: Int64)] = []
    while questions.count < 500 {
      let made = MadeExpression(withSeconds: questions.count % 3 == 0, using: &numbers)
      guard made.days.star || made.days.values.count < 31, made.weekdays.star || made.weekdays.values.count < 7 else {
        continue
      }
      questions.append((made.text, Int64.random(in: 1_600_000_000...2_000_000_000, using: &numbers)))
    }
    let answers = try askPeer("cron_firings.py", questions.map { "\($0.text)\t\($0.start)\t5" })
    try #require(answers.count == questions.count, "the peer answered: \(answers.prefix(3))")

    var fired = 0
    for (question, answer) in zip(questions, answers) {
      let theirs = answer.split(separator: " ").compactMap { Int64($0) }
      guard let expression = try? CronExpression(question.text) else {
        #expect(answer.hasPrefix("refused"), "refused here, but there \(question.text) fires at \(theirs)")
        continue
      }
      var ours: [Int64] = []
      var last = WallTime(seconds: question.start)
      while ours.count < 5, let next = expression.next(after: last) {
        ours.append(next.wholeSeconds)
        last = next
      }
      #expect(ours == theirs, "\(question.text) after \(question.start): \(answer)")
      fired += 1
    }
    #expect(fired > 450)
  }
}
