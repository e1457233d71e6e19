/// What lies in `dead/`, by what went wrong: jobs of one type whose messages read the same once numbers and names are
/// taken out are one group.
package import JobModel
internal import SpoolStore

package struct DeadGroup: Sendable {
  package var type: String
  package var code: String
  /// Folded.
  package var message: String
  package var count: Int
  package var newest: WallTime
  package var oldest: WallTime
  /// The newest of them.
  package var sample: JobRow
  /// What `HistoryQuery.errorGroup` takes; it stays the same for the same type, code and message. nil: no error is known;
  /// type and outcome find them.
  package var name: String?
}

extension HistoryIndex {
  /// The largest first. Dead jobs of which no error is known are one group for each type.
  package func deadGroups(limit: Int, now: WallTime) -> (groups: [DeadGroup], total: Int) {
    struct Tally {
      var count = 0
      var newest = Int64.min
      var oldest = Int64.max
      var sample = 0
    }
    // By group, or by type and how it ended where there is no error.
    var tallies: [UInt64: Tally] = [:]
    var total = 0
    each(Standing.allOfDead) { row in
      let place = rows[row].pointee
      let group = groupOfError[Int(place.error)]
      let key = group != 0 ? UInt64(group) : 1 << 63 | UInt64(place.type) << 8 | UInt64(place.standing.rawValue)
      total += 1
      tallies[key, default: Tally()].count += 1
      if place.updated > tallies[key]!.newest {
        tallies[key]!.newest = place.updated
        tallies[key]!.sample = row
      }
      if place.updated < tallies[key]!.oldest { tallies[key]!.oldest = place.updated }
    }
    let blocked = Blocked(self)
    let progress = Progress(nil)
    let found = tallies.sorted { ($0.value.count, $0.value.newest) > ($1.value.count, $1.value.newest) }.prefix(limit)
    return (
      found.map { key, tally in
        let sample = jobRow(tally.sample, blocked, progress, now: now.microseconds)
        let parts =
          key >> 63 == 0
          ? groups.string(UInt32(key)).split(separator: "\0", maxSplits: 2, omittingEmptySubsequences: false).map(
            String.init)
          : [sample.type ?? "", sample.outcome?.rawValue ?? "unknown", ""]
        return DeadGroup(
          type: parts[0], code: parts[1], message: parts.count > 2 ? parts[2] : "", count: tally.count,
          newest: WallTime(microseconds: tally.newest), oldest: WallTime(microseconds: tally.oldest), sample: sample,
          name: key >> 63 == 0 ? HistoryIndex.name(ofGroup: parts.joined(separator: "\0")) : nil)
      }, total
    )
  }

  private static func name(ofGroup text: String) -> String { String(Digest.sha256(Array(text.utf8)).prefix(16)) }

  /// Which errors belong to the group of that name.
  func errors(inGroup name: String) -> [Bool] {
    let wanted = (0..<groups.count).map { $0 > 0 && HistoryIndex.name(ofGroup: groups.string(UInt32($0))) == name }
    return groupOfError.map { wanted[Int($0)] }
  }
}
