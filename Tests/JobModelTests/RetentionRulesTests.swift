/// How long what is kept: defaults, what a handler overrides, and who counts for which bound.
import JobModel
import Testing

@Suite("Retention rules")
struct RetentionRulesTests {
  private func retention(_ body: (inout Retention) -> Void) -> Retention {
    var retention = Retention()
    body(&retention)
    return retention
  }

  @Test("without any configuration: done 30 days, dead and logs 180")
  func defaults() {
    let rules = RetentionRules(global: Retention(), handlers: [:])
    #expect(rules.age(of: "x", in: .done) == .seconds(30 * 86_400))
    #expect(rules.age(of: nil, in: .dead) == .seconds(180 * 86_400))
    #expect(rules.auditAge == .seconds(180 * 86_400))
    #expect(rules.bounds.isEmpty)
    for state in [JobState.new, .cur, .hold] { #expect(rules.age(of: "x", in: state) == nil) }
  }

  @Test("a handler's own values go before those of all")
  func handlers() {
    let rules = RetentionRules(
      global: retention { $0.done = .seconds(100) },
      handlers: ["a": retention { $0.done = .seconds(5) }, "b": retention { $0.dead = .seconds(7) }])
    #expect(rules.age(of: "a", in: .done) == .seconds(5))
    #expect(rules.age(of: "b", in: .done) == .seconds(100))
    #expect(rules.age(of: "b", in: .dead) == .seconds(7))
    #expect(rules.range(of: .done) == .seconds(5)...(.seconds(100)))
    for age in [5, 7, 100, 180 * 86_400] { #expect(rules.ages.contains(.seconds(age))) }
  }

  @Test("a type with a bound of its own does not count for the bound of all")
  func bounds() throws {
    let rules = RetentionRules(
      global: retention { $0.doneMax = 10 }, handlers: ["own": retention { $0.doneMax = 3 }, "other": Retention()])
    let own = try #require(rules.bounds.first { $0.type == "own" })
    let all = try #require(rules.bounds.first { $0.type == nil })
    #expect((own.most, all.most) == (3, 10))
    #expect(rules.isBounded("own", by: own) && !rules.isBounded("own", by: all))
    #expect(!rules.isBounded("other", by: own) && rules.isBounded("other", by: all) && rules.isBounded(nil, by: all))
  }

  @Test("other rules have another signature")
  func signature() {
    let plain = RetentionRules(global: Retention(), handlers: ["a": Retention()])
    #expect(plain.signature == RetentionRules(global: Retention(), handlers: [:]).signature)
    let changes: [(inout Retention) -> Void] = [
      { $0.done = .seconds(1) }, { $0.dead = .seconds(1) }, { $0.log = .seconds(1) }, { $0.doneMax = 1 },
      { $0.deadMax = 1 },
    ]
    for change in changes {
      #expect(RetentionRules(global: retention(change), handlers: [:]).signature != plain.signature)
      #expect(RetentionRules(global: Retention(), handlers: ["a": retention(change)]).signature != plain.signature)
    }
  }
}
