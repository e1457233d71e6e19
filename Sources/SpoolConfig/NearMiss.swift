/// Which known name a mistyped one was meant to be.

/// The nearest of `names`, when it is near enough to be a slip: one edit in three letters, at most three, case and
/// dashes for underscores counting nothing.
func nearMiss(of typed: String, among names: [String]) -> String? {
  // A key of a megabyte is no slip, and distances cost length times length.
  guard typed.utf8.count <= 64 else { return nil }
  let plain = folded(typed)
  var best: (name: String, distance: Int)?
  for name in names where name != "NAME" {
    let distance = editDistance(plain, folded(name))
    if distance < best?.distance ?? Int.max { best = (name, distance) }
  }
  guard let best, best.distance <= min(3, max(1, best.name.utf8.count / 3)) else { return nil }
  return best.name
}

private func folded(_ name: String) -> [UInt8] {
  Array(name.lowercased().utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 })
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var before: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
      row.append(cost)
    }
    (before, last) = (last, row)
  }
  return last[b.count]
}
