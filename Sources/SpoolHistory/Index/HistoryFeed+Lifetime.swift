/// Everything that ever happened: days the log still has from the index, earlier ones from their rollups.
package import JobModel
package import SpoolStore

extension HistoryFeed {
  /// Numbers of all days; complete once `isComplete`.
  package func lifetime() throws(SpoolError) -> Rollup {
    var rollup = read { index, _ in index.rollup(from: .min, to: .max) }
    for file in try RollupFile.list(spool) where !knowsLog(of: file) {
      if let old = rollups.read(file, in: spool) { rollup.add(old) }
    }
    return rollup
  }
}

/// Rollups of days whose log is gone never change.
final class RollupShelf: @unchecked Sendable {
  private let turn = Turn()
  private var known: [String: Rollup] = [:]

  func read(_ file: RollupFile, in spool: Spool) -> Rollup? {
    turn.with {
      if let rollup = known[file.name] { return rollup }
      let rollup = file.read(spool)
      known[file.name] = rollup
      return rollup
    }
  }
}
