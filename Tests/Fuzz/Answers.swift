/// What foreign test suites ask, a line of standard input for each question, and a line of answer:
///
///     json     bytes in hexadecimal              `ok`, `strict` (no duplicate keys, no half surrogates either) or `no` and why
///     schema   SCHEMA<tab>VALUE                  `fits`, `violates` or `refused` and why
///     cron     EXPRESSION<tab>SECONDS<tab>COUNT  that many firings after the moment, UTC, or `refused` and why
import JobModel
import JobSchema

enum Answers {
  static func give(_ kind: String) {
    while let line = readLine() {
      let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      let answer =
        switch kind {
        case "json": json(line)
        case "schema" where parts.count == 2: schema(parts[0], parts[1])
        case "cron" where parts.count == 3: cron(parts[0], Int64(parts[1]) ?? 0, Int(parts[2]) ?? 0)
        default: "no such question"
        }
      // One line, whatever byte a message quotes.
      print(TerminalText.plain(answer))
    }
  }

  private static func json(_ digits: String) -> String {
    var bytes: [UInt8] = []
    var rest = digits.utf8[...]
    while let first = rest.popFirst(), let second = rest.popFirst() {
      bytes.append(UInt8(String(decoding: [first, second], as: UTF8.self), radix: 16) ?? 0)
    }
    do throws(JSONReader.Problem) { try JSONReader.check(bytes) } catch { return "no \(error.message)" }
    return (try? JSONReader.parse(bytes)) == nil ? "ok" : "strict"
  }

  private static func schema(_ schema: String, _ value: String) -> String {
    do throws(SchemaProblem) {
      let found = try Schema(Array(schema.utf8)).check(Array(value.utf8))
      return found.isEmpty ? "fits" : "violates \(found[0].message)"
    } catch { return "refused \(error)" }
  }

  private static func cron(_ text: String, _ start: Int64, _ count: Int) -> String {
    do throws(CronProblem) {
      let expression = try CronExpression(text)
      var times: [String] = []
      var last = WallTime(seconds: start)
      while times.count < count, let next = expression.next(after: last) {
        times.append("\(next.wholeSeconds)")
        last = next
      }
      return times.joined(separator: " ")
    } catch { return "refused \(error)" }
  }
}
