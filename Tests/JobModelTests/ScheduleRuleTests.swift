import JobModel
import Testing

@Suite("Which firings of a schedule are due") struct ScheduleRuleTests {
  struct Example: Sendable, CustomTestStringConvertible {
    var cron: String
    var catchUp: ScheduleSettings.CatchUp
    var mark: String
    var now: String
    /// Times of the day of those made.
    var fire: [String]
    var late = 0
    var missed = 0
    var testDescription: String { "\(cron) \(catchUp.rawValue) \(mark)…\(now)" }
  }

  static let examples = [
    // In time, or a moment after it: made, whatever catch_up says.
    Example(cron: "0 * * * *", catchUp: .none, mark: "10:00:00", now: "10:59:59", fire: []),
    Example(cron: "0 * * * *", catchUp: .none, mark: "10:00:00", now: "11:00:00", fire: ["11:00:00"]),
    Example(cron: "0 * * * *", catchUp: .none, mark: "10:00:00", now: "11:01:00", fire: ["11:00:00"]),
    // More than a minute late: missed.
    Example(cron: "0 * * * *", catchUp: .none, mark: "10:00:00", now: "11:01:01", fire: [], missed: 1),
    Example(cron: "0 * * * *", catchUp: .one, mark: "10:00:00", now: "11:01:01", fire: ["11:00:00"], late: 1),
    Example(
      cron: "0 * * * *", catchUp: .one, mark: "10:00:00", now: "14:30:00", fire: ["14:00:00"], late: 1, missed: 3),
    Example(
      cron: "0 * * * *", catchUp: .all, mark: "10:00:00", now: "13:30:00", fire: ["11:00:00", "12:00:00", "13:00:00"],
      late: 3),
    // One in time takes the place of those missed before it.
    Example(cron: "0 * * * *", catchUp: .one, mark: "10:00:00", now: "14:00:10", fire: ["14:00:00"], missed: 3),
    Example(cron: "0 * * * *", catchUp: .none, mark: "10:00:00", now: "14:00:10", fire: ["14:00:00"], missed: 3),
    Example(
      cron: "0 * * * *", catchUp: .all, mark: "11:00:00", now: "13:00:10", fire: ["12:00:00", "13:00:00"], late: 1),
    // Every second: each of the last five is in time, so that a slow moment loses none.
    Example(
      cron: "* * * * * *", catchUp: .one, mark: "10:00:00", now: "10:00:03",
      fire: ["10:00:01", "10:00:02", "10:00:03"]),
    Example(
      cron: "* * * * * *", catchUp: .none, mark: "10:00:00", now: "10:10:00",
      fire: ["10:09:55", "10:09:56", "10:09:57", "10:09:58", "10:09:59", "10:10:00"], missed: 594),
    // The clock was set back: what was answered for is not due again.
    Example(cron: "0 * * * *", catchUp: .all, mark: "14:00:00", now: "12:00:00", fire: []),
  ]

  @Test("by what has been answered for and what time it is", arguments: examples)
  func due(_ example: Example) throws {
    let rule = try rule(example.cron, example.catchUp)
    let due = rule.due(after: moment(example.mark), now: moment(example.now))
    #expect(due.fire.map { String($0.tick.rfc3339.dropFirst(11).prefix(8)) } == example.fire)
    #expect(due.late == example.late)
    #expect(due.missedCount == example.missed)
    #expect((due.missed == nil) == (example.missed == 0))
    #expect(!due.missedMore)
    if let missed = due.missed {
      #expect(missed.lowerBound == rule.next(after: moment(example.mark))?.tick)
      #expect(due.fire.allSatisfy { missed.upperBound < $0.tick })
    }
  }

  @Test("a clock set forward by decades makes no stampede and takes no time", arguments: ["* * * * * *", "0 3 29 2 *"])
  func forward(cron: String) throws {
    let mark = try time("1970-01-02T00:00:00Z")
    let now = try time("2069-12-31T23:59:00Z")
    let all = try rule(cron, .all).due(after: mark, now: now)
    #expect(all.fire.count <= Limits.firingsMadeUp)
    #expect(zip(all.fire, all.fire.dropFirst()).allSatisfy { $0.tick < $1.tick })
    let one = try rule(cron, .one).due(after: mark, now: now)
    #expect(one.fire.last == all.fire.last)
    if cron.hasPrefix("*") {
      #expect(all.fire.last?.tick == now)
      #expect(all.fire.count == Limits.firingsMadeUp && all.missedMore && all.missed?.lowerBound == mark + .seconds(1))
      #expect(all.missed?.upperBound == now + .seconds(-Limits.firingsMadeUp))
    } else {
      #expect(all.fire.count == 25 && !all.missedMore)
      #expect(one.fire.map(\.tick.day) == ["2068-02-29"])
    }
  }

  @Test("whatever the looks, with all each tick is made once and in order")
  func once() throws {
    for cron in ["*/7 * * * * *", "13 * * * *", "0 0 1,15 * fri"] {
      let rule = try rule(cron, .all, jitter: .seconds(100))
      var random = SystemRandomNumberGenerator()
      var mark = try time("2026-03-28T00:00:00Z")
      var made: [WallTime] = []
      var now = mark
      let end = try time(cron.hasPrefix("*") ? "2026-03-28T02:00:00Z" : "2026-04-20T00:00:00Z")
      while now < end {
        now = now + .milliseconds(Int64.random(in: 1...(end - mark).inMilliseconds / 20 + 1, using: &random))
        let due = rule.due(after: mark, now: now)
        #expect(due.missed == nil)
        made += due.fire.map(\.tick)
        if let last = due.fire.last { mark = last.tick }
        #expect(rule.next(after: mark).map { $0.start > now } ?? true)
      }
      var expected: [WallTime] = []
      var at = try time("2026-03-28T00:00:00Z")
      while let next = rule.next(after: at), next.start <= now {
        expected.append(next.tick)
        at = next.tick
      }
      #expect(made == expected && !made.isEmpty)
    }
  }

  @Test("jitter delays each firing by its own share, the same after a restart, never past the next tick")
  func jitter() throws {
    let mark = try time("2026-11-21T00:00:00Z")
    func starts(_ name: String, _ cron: String, _ jitter: Duration) throws -> [Duration] {
      var settings = ScheduleSettings(name: name, file: "", cron: try CronExpression(cron), type: "t")
      settings.jitter = jitter
      var at = mark
      return (0..<200).compactMap { _ in
        guard let next = ScheduleRule(settings).next(after: at) else { return nil }
        at = next.tick
        return next.start - next.tick
      }
    }
    let hourly = try starts("a", "0 * * * *", .seconds(600))
    #expect(try hourly == starts("a", "0 * * * *", .seconds(600)))
    #expect(try hourly != starts("b", "0 * * * *", .seconds(600)))
    #expect(hourly.allSatisfy { $0 >= .zero && $0 < .seconds(600) })
    #expect(Set(hourly.map(\.inMilliseconds)).count > 190)
    #expect(hourly.contains { $0 < .seconds(120) } && hourly.contains { $0 > .seconds(480) })
    #expect(try starts("a", "* * * * * *", .seconds(600)).allSatisfy { $0 < .seconds(1) })
    #expect(try starts("a", "* * * * *", .zero).allSatisfy { $0 == .zero })
  }

  @Test("ids of firings are recognised, and nothing else is")
  func ids() throws {
    let tick = try FiringID.tick("night.ly", time("2026-11-21T03:00:00Z"))
    #expect(tick == "night.ly.20261121T030000Z")
    #expect(FiringID.schedule(of: tick) == "night.ly" && FiringID.isTick(tick))
    let run = try FiringID.run("night.ly", time("2026-11-21T03:00:00Z"))
    #expect(FiringID.schedule(of: run) == "night.ly" && !FiringID.isTick(run))
    let longest = String(repeating: "n", count: 111)
    #expect(try JobID.isValid(FiringID.tick(longest, time("9999-12-31T23:59:59Z"))))
    #expect(try JobID.isValid(FiringID.run(longest, time("9999-12-31T23:59:59Z"))))
    let others = [
      "nightly", "nightly.", ".20261121T030000Z", "a.20261121T030000", "a.2026112aT030000Z", "a.run-", "a.b",
    ]
    for other in others {
      #expect(FiringID.schedule(of: other) == nil, "\(other)")
    }
  }

  private func rule(
    _ cron: String, _ catchUp: ScheduleSettings.CatchUp, jitter: Duration? = nil
  ) throws -> ScheduleRule {
    var settings = ScheduleSettings(name: "n", file: "", cron: try CronExpression(cron), type: "t")
    settings.catchUp = catchUp
    settings.jitter = jitter
    return ScheduleRule(settings)
  }

  private func moment(_ clock: String) -> WallTime { WallTime(rfc3339: "2026-11-21T\(clock)Z") ?? .latest }

  private func time(_ text: String) throws -> WallTime { try #require(WallTime(rfc3339: text)) }
}
