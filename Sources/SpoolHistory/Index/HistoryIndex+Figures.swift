/// Figures for those who watch: how old the oldest job of each kind is, the last hour by the minute, the last day by the
/// hour, ages of what waits.
package import JobModel

package struct MinuteFigures: Sendable, Equatable {
  package var time: WallTime
  package var done: Int
  package var dead: Int
}

extension HistoryIndex {
  /// When the oldest ready, retrying, scheduled, blocked, running and held job came to be so.
  package func oldest(now: WallTime) -> [JobPhase: WallTime] {
    var oldest: [JobPhase: Int64] = [:]
    let blocked = Blocked(self)
    each(RowFilter.waiting | Standing.cur.mask | Standing.hold.mask) { row in
      let place = rows[row].pointee
      let phase = phase(row, blocked, now: now.microseconds)
      // One that had to wait for its time is ready since then.
      let since = place.standing == .new && phase == .ready ? max(place.due, place.submitted) : place.updated
      oldest[phase] = min(oldest[phase] ?? .max, since)
    }
    return oldest.mapValues { WallTime(microseconds: $0) }
  }

  /// The last sixty minutes, the running one last.
  package func minutes(now: WallTime) -> [MinuteFigures] {
    let last = now.microseconds / 60_000_000
    return (last - 59...last).map { minute in
      let ends = minutes.ends[minute] ?? (0, 0)
      return MinuteFigures(time: WallTime(seconds: minute * 60), done: ends.done, dead: ends.dead)
    }
  }

  /// Mean run time of the last 24 hours by the hour, the running one last; nil where nothing ended.
  package func hourlyRuns(of type: String, now: WallTime) -> [Duration?] {
    let last = now.microseconds / 3_600_000_000
    let number = types.find(type)
    return (last - 23...last).map { hour in
      guard number > 0, let mean = minutes.runs[hour]?[UInt16(truncatingIfNeeded: number)], mean.count > 0 else {
        return nil
      }
      return .microseconds(mean.sum / Int64(mean.count))
    }
  }

  /// What waits, runs or is held, by type and age.
  package func shape(now: WallTime) -> Shape {
    var shape = Shape()
    each(RowFilter.waiting | Standing.cur.mask | Standing.hold.mask) { row in
      let place = rows[row].pointee
      shape.add(types.string(UInt32(place.type)), age: .microseconds(now.microseconds - place.submitted))
    }
    return shape
  }

  /// Numbers by type and day since 1970, for `days` days up to today.
  package func days(_ count: Int64, now: WallTime) -> [(day: String, total: Rollup.OfType)] {
    let today = now.wholeSeconds / 86_400
    return (today - count + 1...today).map { day in
      (WallTime(seconds: day * 86_400).day, rollup(from: day, to: day).total)
    }
  }
}
