/// Answers: a page of jobs in any order, how many there are in all, one job, counts.
///
/// Rows are looked at in the order of their chunks' times and only as long as a chunk can still have one for the page;
/// when the filter asks for more than standing and type, every row is looked at, because the total has to be known.
internal import Glibc
package import JobModel

/// A row that may be on the page.
private struct Candidate {
  var first: Int64
  var second: Int64
  var row: UInt32
}

extension HistoryIndex {
  /// - Parameter status: adds the progress of what runs.
  package func page(_ query: HistoryQuery, status: DaemonStatus?, now: WallTime) -> HistoryPage {
    let blocked = Blocked(self)
    let filter = RowFilter(query, self, blocked, now: now.microseconds)
    var page = HistoryPage()
    var counted = 0
    let limit = max(query.limit, 0)
    let best = best(query, filter, limit: limit + 1, counted: &counted, now: now.microseconds)
    page.total = filter.isPlain ? filter.total : counted
    if best.count > limit, limit > 0 {
      let last = best[limit - 1]
      page.next = HistoryCursor(
        first: last.first, second: last.second,
        id: rows.arena.string(rows[Int(last.row)].pointee.id, Int(rows[Int(last.row)].pointee.idLength)),
        order: HistoryCursor.order(query))
    }
    let progress = Progress(status)
    page.rows = best.prefix(limit).map { jobRow(Int($0.row), blocked, progress, now: now.microseconds) }
    return page
  }

  /// The ids of all that match, in the query's order, at most `limit`; for operations on what a filter finds.
  package func ids(_ query: HistoryQuery, limit: Int, now: WallTime) -> [String] {
    let filter = RowFilter(query, self, Blocked(self), now: now.microseconds)
    var counted = 0
    return best(query, filter, limit: limit, counted: &counted, now: now.microseconds).map { candidate in
      rows.arena.string(rows[Int(candidate.row)].pointee.id, Int(rows[Int(candidate.row)].pointee.idLength))
    }
  }

  /// One job; nil when there is none of that id.
  package func job(_ id: String, status: DaemonStatus?, now: WallTime) -> JobRow? {
    find(id).map { jobRow($0, Blocked(self), Progress(status), now: now.microseconds) }
  }

  private func best(
    _ query: HistoryQuery, _ filter: RowFilter, limit: Int, counted: inout Int, now: Int64
  ) -> [Candidate] {
    var heap = Best(self, limit: limit)
    let cursorID = query.cursor.map { Array($0.id.utf8) } ?? []
    if let candidates = candidates(query) {
      for row in candidates {
        consider(Int(row), rows[Int(row)], query, filter, &heap, &counted, cursorID, now: now)
      }
      return heap.sorted
    }
    for index in order(of: query) {
      let summary = rows.summaries[index]
      guard summary.holds(filter.mask) else { continue }
      if filter.isPlain, let worst = heap.worst, bound(summary, query) < worst { continue }
      let chunk = rows.chunk(index)
      var place = chunk.baseAddress!
      let base = index << RowTable.bits
      for row in base..<base + chunk.count {
        consider(row, place, query, filter, &heap, &counted, cursorID, now: now)
        place += 1
      }
    }
    return heap.sorted
  }

  @inline(__always)
  private func consider(
    _ row: Int, _ place: UnsafeMutablePointer<HistoryRow>, _ query: HistoryQuery, _ filter: RowFilter,
    _ heap: inout Best, _ counted: inout Int, _ cursorID: [UInt8], now: Int64
  ) {
    guard filter.mask & place.pointee.standing.mask != 0 else { return }
    var first = key(place, query.sort, now: now)
    if query.isAscending { first = -first }
    // What cannot come onto the page is counted, if that is not known otherwise, and no more.
    let isOut = heap.worst.map { first < $0 } ?? false
    if isOut, filter.isPlain { return }
    guard filter.matches(place, row) else { return }
    counted += 1
    guard !isOut else { return }
    let second = place.pointee.updated
    if let cursor = query.cursor {
      guard (first, second) <= (cursor.first, cursor.second) else { return }
      if first == cursor.first, second == cursor.second {
        guard cursorID.withUnsafeBytes({ HistoryIndex.isBefore($0, rows.id(row)) }) else { return }
      }
    }
    heap.offer(Candidate(first: first, second: second, row: UInt32(row)))
  }

  /// What the rows are ordered by, the larger the earlier when descending.
  @inline(__always)
  private func key(_ place: UnsafeMutablePointer<HistoryRow>, _ sort: JobFilter.Sort, now: Int64) -> Int64 {
    let row = place.pointee
    switch sort {
    case .updated: return row.updated
    case .submitted: return row.submitted
    case .finished: return row.standing.hasEnded ? row.updated : 0
    case .priority: return Int64(row.priority)
    case .state:
      switch row.standing {
      case .new: return 0
      case .cur: return 1
      case .done: return 2
      case .hold: return 4
      default: return 3
      }
    case .duration: return duration(row, now: now)
    }
  }

  private func duration(_ row: HistoryRow, now: Int64) -> Int64 {
    switch row.standing {
    case .new, .hold, .gone: 0
    case .cur: max(now - row.updated, 0) / 1000
    default: Int64(row.run)
    }
  }

  /// Chunks, the most promising first.
  private func order(of query: HistoryQuery) -> [Int] {
    switch query.sort {
    case .updated, .submitted, .finished:
      return rows.summaries.indices.sorted { bound(rows.summaries[$0], query) > bound(rows.summaries[$1], query) }
    default: return Array(rows.summaries.indices)
    }
  }

  /// No row of the chunk has a larger key.
  private func bound(_ summary: RowTable.Summary, _ query: HistoryQuery) -> Int64 {
    switch query.sort {
    case .updated: return query.isAscending ? -summary.oldestUpdate : summary.newestUpdate
    case .submitted: return query.isAscending ? -summary.oldestArrival : summary.newestArrival
    case .finished: return query.isAscending ? 0 : summary.newestUpdate
    case .priority, .state, .duration: return .max
    }
  }

  static func isBefore(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    let order = memcmp(
      left.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, right.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!,
      min(left.count, right.count))
    return order != 0 ? order < 0 : left.count < right.count
  }

  /// The first so many of all that are offered.
  private struct Best {
    private let index: HistoryIndex
    private let limit: Int
    /// The last of them first, as a binary heap.
    private var heap: [Candidate] = []
    /// What comes after has no place; nil while there is room.
    private(set) var worst: Int64?

    init(_ index: HistoryIndex, limit: Int) {
      self.index = index
      self.limit = limit
      heap.reserveCapacity(min(limit, 1024))
      if limit == 0 { worst = .max }
    }

    private func isBefore(_ left: Candidate, _ right: Candidate) -> Bool {
      if left.first != right.first { return left.first > right.first }
      if left.second != right.second { return left.second > right.second }
      return HistoryIndex.isBefore(index.rows.id(Int(left.row)), index.rows.id(Int(right.row)))
    }

    mutating func offer(_ candidate: Candidate) {
      if heap.count < limit {
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0, isBefore(heap[(child - 1) / 2], heap[child]) {
          heap.swapAt(child, (child - 1) / 2)
          child = (child - 1) / 2
        }
        if heap.count == limit { worst = heap[0].first }
        return
      }
      guard limit > 0, isBefore(candidate, heap[0]) else { return }
      heap[0] = candidate
      var parent = 0
      while true {
        var last = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(heap[last], heap[child]) {
          last = child
        }
        if last == parent { break }
        heap.swapAt(last, parent)
        parent = last
      }
      worst = heap[0].first
    }

    var sorted: [Candidate] { heap.sorted { isBefore($0, $1) } }
  }
}
