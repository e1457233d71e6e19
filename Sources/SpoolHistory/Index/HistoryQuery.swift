/// A question to the index: which jobs, in what order, how many, from where on.
package import JobModel

package struct HistoryQuery: Sendable, Equatable {
  /// A member of `meta` and its value as text: a string's characters, anything else as it is written.
  package struct MetaMember: Sendable, Equatable {
    package var key: String
    package var value: String
    package init(key: String, value: String) { (self.key, self.value) = (key, value) }
  }

  /// Any of these; every state when empty.
  package var places: [JobFilter.Place] = []
  /// Of those only what lies in these folders; for verbs that fit no others.
  package var within: Set<JobState>?
  /// Any of these.
  package var types: [String] = []
  /// All of these.
  package var tags: [String] = []
  /// Any of these.
  package var batches: [String] = []
  package var parents: [String] = []
  package var schedules: [String] = []
  /// A user's name or a token's subject; any of these.
  package var submitters: [String] = []
  /// Only what this token's subject submitted.
  package var subject: String?
  /// All of these.
  package var meta: [MetaMember] = []
  /// In id, tags, meta or error, whatever the case.
  package var text: String?
  /// By the time that `sort` is about: of the last change, of the arrival or of the end.
  package var from: WallTime?
  package var until: WallTime?
  /// A group of dead jobs, as `deadGroups` names it.
  package var errorGroup: String?
  package var sort = JobFilter.Sort.updated
  /// nil: as people want it, the newest, longest and most urgent first.
  package var ascending: Bool?
  package var limit = 50
  package var cursor: HistoryCursor?

  package init() {}

  var isAscending: Bool { ascending ?? (sort == .priority || sort == .state) }
}

/// Where a page ended: the job it ended with, by what it was ordered by. So it stays good while jobs come and go, and
/// across restarts.
package struct HistoryCursor: Sendable, Equatable {
  var first: Int64
  var second: Int64
  var id: String
  /// What it was made for; another order would make no sense of it.
  var order: UInt8

  static func order(_ query: HistoryQuery) -> UInt8 {
    UInt8(JobFilter.Sort.allCases.firstIndex(of: query.sort) ?? 0) << 1 | (query.isAscending ? 1 : 0)
  }

  /// As it goes into an address.
  package var text: String {
    var bytes = [order]
    for word in [first, second] {
      for shift in stride(from: 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> Int64(shift)))
      }
    }
    let base64 = Base64.encode(bytes + Array(id.utf8))
    return String(
      decoding: base64.utf8.compactMap { byte in
        switch byte {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        case UInt8(ascii: "="): nil
        default: byte
        }
      }, as: UTF8.self)
  }

  /// nil: none of ours, or one for another order.
  package init?(_ text: String, for query: HistoryQuery) {
    guard text.utf8.count < 400 else { return nil }
    let base64 = text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
    guard let bytes = Base64.decode(String(base64)), bytes.count > 17, bytes[0] == HistoryCursor.order(query) else {
      return nil
    }
    func word(_ start: Int) -> Int64 { bytes[start..<start + 8].reduce(0) { $0 << 8 | Int64($1) } }
    let id = String(decoding: bytes[17...], as: UTF8.self)
    guard JobID.isValid(id) else { return nil }
    (first, second, self.id, order) = (word(1), word(9), id, bytes[0])
  }

  init(first: Int64, second: Int64, id: String, order: UInt8) {
    (self.first, self.second, self.id, self.order) = (first, second, id, order)
  }
}

package struct HistoryPage: Sendable {
  package var rows: [JobRow] = []
  /// nil: there is no more.
  package var next: HistoryCursor?
  /// All that match, whatever the cursor.
  package var total = 0
  package init() {}
}

extension HistoryQuery {
  /// Whether a single job is one of those asked for; for news, which come one by one. `errorGroup` is not asked.
  package func matches(_ row: JobRow) -> Bool {
    let isPlaced =
      places.isEmpty
      || places.contains { place in
        switch place {
        case .state(let state): row.state == state
        case .phase(let phase): row.phase == phase
        case .outcome(let outcome): row.outcome == outcome
        }
      }
    if let within, !within.contains(row.state) { return false }
    guard isPlaced, types.isEmpty || types.contains(row.type ?? ""), tags.allSatisfy(row.tags.contains),
      batches.isEmpty || batches.contains(row.batch ?? ""), parents.isEmpty || parents.contains(row.parent ?? ""),
      schedules.isEmpty || schedules.contains(FiringID.schedule(of: row.id) ?? ""),
      submitters.isEmpty || submitters.contains(row.submittedBy?.user ?? "")
        || submitters.contains(row.submittedBy?.subject ?? "")
    else { return false }
    if let subject, row.submittedBy?.subject != subject { return false }
    let time: WallTime? =
      switch sort {
      case .submitted: row.submittedAt
      case .finished: row.finishedAt
      default: row.updatedAt
      }
    if let from, (time ?? WallTime(seconds: 0)) < from { return false }
    if let until, (time ?? WallTime(seconds: 0)) > until { return false }
    if !meta.isEmpty {
      guard let object = row.meta.flatMap({ try? JSONReader.parse($0, slack: 8) }),
        meta.allSatisfy({ $0.isIn(object) })
      else { return false }
    }
    guard let text, !text.isEmpty else { return true }
    let search = TextSearch(text)
    func has(_ field: String) -> Bool { Array(field.utf8).withUnsafeBytes { search.isIn($0) } }
    if has(row.id) || row.tags.contains(where: has) { return true }
    if let meta = row.meta, meta.withUnsafeBytes({ search.isIn($0) }) { return true }
    return row.error.map { has($0.code) || has($0.message) } ?? false
  }
}

extension HistoryQuery.MetaMember {
  func isIn(_ object: JSONValue) -> Bool {
    guard let member = object[key] else { return false }
    return member.string.map { $0 == value } ?? (member.bytes == Array(value.utf8))
  }
}
