/// How old what lies in the spool is, by type: the first thing to look at when a queue grows (after Postfix's qshape).
package import JobModel
package import SpoolStore

package struct Shape: Sendable {
  /// Upper ends of the columns but the last, in minutes: each twice the one before.
  package static let minutes = [5, 10, 20, 40, 80, 160, 320, 640, 1280]

  /// Type → jobs by age, youngest first, the last column without an end.
  package private(set) var types: [String: [Int]] = [:]

  mutating func add(_ type: String, age: Duration) {
    let minutes = age.inMicroseconds / 60_000_000
    let column = Shape.minutes.firstIndex { minutes < $0 } ?? Shape.minutes.count
    types[type, default: [Int](repeating: 0, count: Shape.minutes.count + 1)][column] += 1
  }

  package var total: [Int] {
    var total = [Int](repeating: 0, count: Shape.minutes.count + 1)
    for columns in types.values { for (index, number) in columns.enumerated() { total[index] += number } }
    return total
  }

  /// The type with most jobs first.
  package var byCount: [(type: String, columns: [Int])] {
    types.map { ($0.key, $0.value) }.sorted {
      let (left, right) = ($0.1.reduce(0, +), $1.1.reduce(0, +))
      return left != right ? left > right : $0.0 < $1.0
    }
  }
}

extension SpoolReader {
  /// The jobs of these folders by type and age: of what waits, runs or is held since it was submitted, of what has ended
  /// since its end.
  package func shape(_ states: [JobState]) throws(SpoolError) -> Shape {
    var shape = Shape()
    for state in states {
      for id in try Scan.ids(in: state, of: spool) {
        guard let file = try file(id, in: state) else { continue }
        let hasEnded = state == .done || state == .dead
        let record = file.record
        let since = hasEnded ? record?.finishedAt ?? file.written : record?.submittedAt ?? file.changed
        shape.add(file.job?.type ?? "", age: now - since)
      }
    }
    return shape
  }
}
