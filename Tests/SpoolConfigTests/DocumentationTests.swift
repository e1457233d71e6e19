/// docs/CONFIGURATION.md against the program: the same keys, and the defaults as they are written there.
import Glibc
import JobModel
import SpoolConfig
import Testing

@Suite struct DocumentationTests {
  private struct Row {
    var key: String
    var fallback: String
  }

  /// The rows of the table below `## heading`.
  private func rows(_ heading: String) throws -> [Row] {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let file = try #require(fopen("/\(root)/docs/CONFIGURATION.md", "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 18)
    bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex(of: "## \(heading)"))
    let section = lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }
    return section.filter { $0.hasPrefix("| `") }.map { line in
      let cells = line.split(separator: "|").map { $0.drop { $0 == " " } }
      return Row(key: unticked(cells[0]) ?? "", fallback: String(cells[2]))
    }
  }

  /// The text in back ticks that a cell begins with.
  private func unticked(_ cell: some StringProtocol) -> String? {
    guard cell.hasPrefix("`") else { return nil }
    return String(cell.dropFirst().prefix { $0 != "`" })
  }

  /// A file that sets every key with a documented default to just that; not those of a table that is only whole with
  /// keys that have none.
  private func defaults(_ rows: [Row]) -> String {
    rows.compactMap { row in
      guard !row.key.hasPrefix("notify."), !row.key.hasPrefix("rate."), let value = unticked(row.fallback) else {
        return nil
      }
      return "\(row.key) = \(value)"
    }.joined(separator: "\n")
  }

  @Test("the documented keys are the accepted ones, in the same order")
  func keys() throws {
    #expect(try rows("jobspool.toml").map(\.key) == ConfigKeys.daemon.all)
    #expect(try rows("handlers/TYPE.toml").map(\.key) == ConfigKeys.handler.all)
    #expect(try rows("schedules/NAME.toml").map(\.key) == ConfigKeys.schedule.all)
  }

  @Test("writing out the documented defaults of jobspool.toml changes nothing")
  func daemonDefaults() throws {
    let folder = ConfigFolder()
    #expect(folder.load().settings == DaemonSettings())
    let text = defaults(try rows("jobspool.toml"))
    #expect(text.contains("max_jobs = 4\n"))
    folder.write("jobspool.toml", text)
    let configuration = folder.load()
    #expect(configuration.errors == [])
    var expected = DaemonSettings()
    expected.retain = Retention.standard
    #expect(configuration.settings == expected)
    #expect(DaemonSettings().retain.filled(from: .standard) == .standard)
  }

  @Test("writing out the documented defaults of a handler changes nothing")
  func handlerDefaults() throws {
    let folder = ConfigFolder()
    let text = defaults(try rows("handlers/TYPE.toml"))
    #expect(text.contains("backoff.jitter = 0.2"))
    folder.write("handlers/x.toml", "command = [\"a\"]\n" + text)
    let handler = folder.load().handlers["x"]
    #expect(handler == HandlerSettings(type: "x", file: folder.spool + "/handlers/x.toml", command: ["a"]))
  }

  @Test("writing out the documented defaults of a schedule changes nothing")
  func scheduleDefaults() throws {
    let folder = ConfigFolder()
    let text = defaults(try rows("schedules/NAME.toml"))
    #expect(text.contains("timezone"))
    folder.write("schedules/n.toml", "cron = \"@daily\"\ntype = \"x\"\n" + text)
    let file = folder.spool + "/schedules/n.toml"
    let daily = try CronExpression("@daily")
    #expect(folder.load().schedules["n"] == ScheduleSettings(name: "n", file: file, cron: daily, type: "x"))
  }
}
