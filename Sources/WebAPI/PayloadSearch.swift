/// Looks for a text in payloads, which only the files have. So many files are opened and so much time is taken, and no more;
/// what a handler's `redact` and `encrypt` name is masked before, so it never matches.
internal import JobModel
internal import SpoolHistory

struct PayloadSearch {
  private let text: [UInt8]
  private let query: HistoryQuery

  private static let mostFiles = 2000
  private static let patience = Duration.milliseconds(400)

  init(_ text: String, _ query: HistoryQuery) {
    self.text = Array(text.lowercased().utf8)
    self.query = query
  }

  /// What was found, and whether all was looked at.
  func run(_ call: Call) async throws -> (page: HistoryPage, isComplete: Bool) {
    var wide = query
    wide.limit = PayloadSearch.mostFiles
    let candidates = wide
    let (page, isLoaded) = try await call.state.history { index, status, now in
      index.page(candidates, status: status, now: now)
    }
    return try await call.read { [self] reader in
      var found = HistoryPage()
      let began = ContinuousClock.now
      var looked = 0
      for row in page.rows {
        guard found.rows.count < query.limit, ContinuousClock.now - began < PayloadSearch.patience else { break }
        looked += 1
        if try matches(row.id, reader) { found.rows.append(row) }
      }
      found.total = found.rows.count
      return (found, isLoaded && looked == page.rows.count && page.next == nil)
    }
  }

  private func matches(_ id: String, _ reader: SpoolReader) throws -> Bool {
    guard let file = try reader.file(id), let job = file.job else { return false }
    let masked = reader.redaction(of: job.type).apply(to: file.bytes)
    guard let place = JSONPointer("/payload")?.places(in: masked).first else { return false }
    let payload = String(decoding: masked[place], as: UTF8.self).lowercased().utf8
    guard let first = text.first else { return true }
    var rest = payload[...]
    while let start = rest.firstIndex(of: first) {
      if rest[start...].starts(with: text) { return true }
      rest = rest[rest.index(after: start)...]
    }
    return false
  }
}
