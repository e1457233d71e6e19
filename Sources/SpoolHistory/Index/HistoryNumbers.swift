/// Numbers of a day, of the last hours and minutes, counted while lines are read. A day's are those of its rollup, by the
/// rules of `RollupCount`: they never depend on other days.
package import JobModel

final class DayNumbers {
  /// By the index's number of the type.
  var types: [Rollup.OfType] = []

  func change(_ type: UInt16, _ body: (inout Rollup.OfType) -> Void) {
    while types.count <= Int(type) { types.append(Rollup.OfType()) }
    body(&types[Int(type)])
  }
}

/// The last hour by minute, and the last day by hour and type; older ones are forgotten.
struct RecentNumbers {
  struct Mean {
    var sum: Int64 = 0
    var count = 0
  }
  /// By minute since 1970.
  private(set) var ends: [Int64: (done: Int, dead: Int)] = [:]
  /// By hour since 1970, then by type.
  private(set) var runs: [Int64: [UInt16: Mean]] = [:]

  mutating func end(_ time: Int64, isDone: Bool, now: Int64) {
    let minute = time / 60_000_000
    guard minute > now / 60_000_000 - 61 else { return }
    if isDone { ends[minute, default: (0, 0)].done += 1 } else { ends[minute, default: (0, 0)].dead += 1 }
    if ends.count > 200 { ends = ends.filter { $0.key > now / 60_000_000 - 61 } }
  }

  mutating func run(_ time: Int64, _ type: UInt16, _ microseconds: Int64, now: Int64) {
    let hour = time / 3_600_000_000
    guard hour > now / 3_600_000_000 - 25 else { return }
    runs[hour, default: [:]][type, default: Mean()].sum += microseconds
    runs[hour, default: [:]][type, default: Mean()].count += 1
    if runs.count > 60 { runs = runs.filter { $0.key > now / 3_600_000_000 - 25 } }
  }
}

extension HistoryIndex {
  static let dayLength: Int64 = 86_400_000_000

  func numbers(ofDay time: Int64) -> DayNumbers {
    let day = time / HistoryIndex.dayLength
    if let lastDay, lastDay.day == day { return lastDay.numbers }
    let numbers = days[day] ?? DayNumbers()
    days[day] = numbers
    lastDay = (day, numbers)
    return numbers
  }

  func count(_ scan: LineScan, _ line: JobLine, _ type: UInt16, _ numbers: DayNumbers, now: Int64) {
    func countRun() {
      guard let run = line.runMicroseconds else { return }
      numbers.change(type) { $0.run.add(microseconds: run) }
      minutes.run(scan.time, type, run, now: now)
    }
    func countEnd(_ outcome: JobOutcome) {
      numbers.change(type) {
        $0.ends[outcome, default: 0] += 1
        if line.slaKept == true { $0.slaKept += 1 }
        if line.slaKept == false { $0.slaMissed += 1 }
      }
      minutes.end(scan.time, isDone: outcome == .done, now: now)
      countRun()
    }
    switch scan.event {
    case .submitted: numbers.change(type) { $0.submitted += 1 }
    case .requeued: numbers.change(type) { $0.requeued += 1 }
    case .stalled: numbers.change(type) { $0.stalled += 1 }
    case .claimed:
      numbers.change(type) {
        $0.started += 1
        if let wait = line.waitMicroseconds { $0.wait.add(microseconds: wait) }
      }
    case .retried:
      numbers.change(type) { $0.retried += 1 }
      countRun()
    case .finished: countEnd(.done)
    case .buried: countEnd(.failed)
    case .expired: countEnd(.expired)
    case .cancelled: countEnd(.cancelled)
    case .duplicate: countEnd(.duplicate)
    case .rejected: countEnd(line.outcome ?? .rejected)
    default: break
    }
  }

  /// What happened from one day to another (days since 1970, both included), as a rollup without errors.
  package func rollup(from first: Int64, to last: Int64) -> Rollup {
    var rollup = Rollup()
    for (day, numbers) in days where day >= first && day <= last {
      for (type, ofType) in numbers.types.enumerated() {
        guard ofType != Rollup.OfType() else { continue }
        rollup.count(types.string(UInt32(type))) { $0.add(ofType) }
      }
    }
    return rollup
  }
}
