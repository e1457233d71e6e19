/// A question made ready for a million rows: whatever can be decided once for an interned text is decided before, so that
/// most rows cost a few comparisons of numbers.
internal import Glibc
internal import JobModel

struct RowFilter {
  static let waiting: UInt16 = 1 << UInt16(Standing.new.rawValue)
  /// Standings that match whole; of waiting jobs only those whose phase is in `phases` when that is not nil.
  private(set) var mask: UInt16
  private var phases: Set<JobPhase>?
  private var types: [Bool]?
  private var tags: [Bool]?
  private var submitters: [Bool]?
  private var errors: [Bool]?
  private var batches: [[UInt8]]
  private var parents: [[UInt8]]
  private var schedules: [[UInt8]]
  private var from: Int64
  private var until: Int64
  private let sort: JobFilter.Sort
  private var meta: [HistoryQuery.MetaMember]
  private var metaLetters: [TextSearch]
  private let metaBytes: [(key: [UInt8], value: [UInt8])]
  private var text: TextSearch?
  private var tagsWithText: [Bool] = []
  private var errorsWithText: [Bool] = []
  private let index: HistoryIndex
  private let blocked: Blocked
  private let now: Int64

  /// Nothing but standing and type matter, so the counts tell how many there are.
  let isPlain: Bool

  init(_ query: HistoryQuery, _ index: HistoryIndex, _ blocked: Blocked, now: Int64) {
    self.index = index
    self.blocked = blocked
    self.now = now
    sort = query.sort
    mask = query.places.isEmpty ? Standing.all : 0
    var phases = Set<JobPhase>()
    for place in query.places {
      switch place {
      case .state(.dead): mask |= Standing.allOfDead
      case .state(let state): mask |= Standing(state).mask
      case .outcome(let outcome): mask |= Standing(outcome.state, outcome).mask
      case .phase(let phase):
        if let state = JobState(rawValue: phase.rawValue) {
          mask |= state == .dead ? Standing.allOfDead : Standing(state).mask
        } else {
          phases.insert(phase)
        }
      }
    }
    if mask & RowFilter.waiting == 0, !phases.isEmpty {
      self.phases = phases
      mask |= RowFilter.waiting
    }
    if let within = query.within {
      mask &= within.reduce(0) { $0 | ($1 == .dead ? Standing.allOfDead : Standing($1).mask) }
      if mask & RowFilter.waiting == 0 { self.phases = nil }
    }
    if !query.types.isEmpty { types = RowFilter.set(query.types.map { index.types.find($0) }, of: index.types.count) }
    if !query.tags.isEmpty {
      tags = (0..<index.tags.count).map { number in
        guard number > 0, let list = try? JSONReader.parse(Array(index.tags.bytes(UInt32(number)))).array else {
          return false
        }
        return query.tags.allSatisfy { tag in list.contains { $0.string == tag } }
      }
    }
    if !query.submitters.isEmpty {
      submitters = (0..<index.submitters.count).map { number in
        let parts = index.submitters.string(UInt32(number)).split(separator: "\0", omittingEmptySubsequences: false)
        return parts.dropFirst().contains { part in !part.isEmpty && query.submitters.contains { $0 == part } }
      }
    }
    if let subject = query.subject {
      let own = (0..<index.submitters.count).map { number in
        let parts = index.submitters.string(UInt32(number)).split(separator: "\0", omittingEmptySubsequences: false)
        return parts.count == 3 && !subject.isEmpty && parts[2] == subject
      }
      submitters = submitters.map { zip($0, own).map { $0 && $1 } } ?? own
    }
    if let group = query.errorGroup { errors = index.errors(inGroup: group) }
    batches = query.batches.map { Array($0.utf8) }
    parents = query.parents.map { Array($0.utf8) }
    schedules = query.schedules.map { Array($0.utf8) + [UInt8(ascii: ".")] }
    from = query.from?.microseconds ?? .min
    until = query.until?.microseconds ?? .max
    meta = query.meta
    metaBytes = query.meta.map { (Array($0.key.utf8), Array($0.value.utf8)) }
    // What is asked for is rarer than where.
    metaLetters = query.meta.flatMap { [$0.value, $0.key] }.filter { !$0.contains { $0 == "\"" || $0 == "\\" } }
      .map { TextSearch($0) }
    if let wanted = query.text, !wanted.isEmpty {
      let search = TextSearch(wanted)
      text = search
      tagsWithText = (0..<index.tags.count).map { search.isIn(index.tags.bytes(UInt32($0))) }
      errorsWithText = (0..<index.errors.count).map { number in
        let error = index.errors.bytes(UInt32(number))
        // The type stands before it.
        guard let zero = error.firstIndex(of: 0) else { return false }
        return search.isIn(UnsafeRawBufferPointer(rebasing: error[(zero + 1)...]))
      }
    }
    isPlain =
      self.phases == nil && tags == nil && submitters == nil && errors == nil && text == nil && meta.isEmpty
      && batches.isEmpty && parents.isEmpty && schedules.isEmpty && query.from == nil && query.until == nil
  }

  private static func set(_ numbers: [UInt32], of count: Int) -> [Bool] {
    var set = [Bool](repeating: false, count: count)
    for number in numbers where number > 0 { set[Int(number)] = true }
    return set
  }

  /// How many match, of a plain filter.
  var total: Int {
    var total = 0
    for (slot, count) in index.counts.enumerated() where mask & 1 << UInt16(slot & 15) != 0 {
      if let types, slot >> 4 >= types.count || !types[slot >> 4] { continue }
      total += count
    }
    return total
  }

  func matches(_ place: UnsafeMutablePointer<HistoryRow>, _ row: Int) -> Bool {
    let here = place.pointee
    guard mask & here.standing.mask != 0 else { return false }
    if let types, Int(here.type) >= types.count || !types[Int(here.type)] { return false }
    if from != .min || until != .max {
      let time = time(here)
      guard time >= from, time <= until else { return false }
    }
    if let tags, !tags[Int(here.tags)] { return false }
    if let submitters, !submitters[Int(here.submitter)] { return false }
    if let errors, Int(here.error) >= errors.count || !errors[Int(here.error)] || !here.standing.hasEnded {
      return false
    }
    if !batches.isEmpty || !parents.isEmpty, !isKin(here) { return false }
    if !schedules.isEmpty, !isFiring(here) { return false }
    if let phases, here.standing == .new, !phases.contains(index.phase(row, blocked, now: now)) { return false }
    if let text, !holds(here, text) { return false }
    if !meta.isEmpty, !hasMeta(here) { return false }
    return true
  }

  private func time(_ row: HistoryRow) -> Int64 {
    switch sort {
    case .submitted: row.submitted
    case .finished: row.standing.hasEnded ? row.updated : 0
    default: row.updated
    }
  }

  private func isKin(_ row: HistoryRow) -> Bool {
    let kin = index.rows.arena.bytes(row.kin, Int(row.batchLength) + Int(row.parentLength))
    if !batches.isEmpty {
      let batch = UnsafeRawBufferPointer(rebasing: kin.prefix(Int(row.batchLength)))
      guard batches.contains(where: { $0.withUnsafeBytes(batch.equals) }) else { return false }
    }
    guard !parents.isEmpty else { return true }
    let parent = UnsafeRawBufferPointer(rebasing: kin.dropFirst(Int(row.batchLength)))
    return parents.contains { $0.withUnsafeBytes(parent.equals) }
  }

  private func isFiring(_ row: HistoryRow) -> Bool {
    let id = index.rows.arena.bytes(row.id, Int(row.idLength))
    return schedules.contains { name in
      guard id.count > name.count, memcmp(id.baseAddress!, name, name.count) == 0 else { return false }
      return FiringID.schedule(of: String(decoding: id, as: UTF8.self))?.utf8.count == name.count - 1
    }
  }

  private func holds(_ row: HistoryRow, _ text: TextSearch) -> Bool {
    if row.tags != 0, tagsWithText[Int(row.tags)] { return true }
    if row.error != 0, Int(row.error) < errorsWithText.count, errorsWithText[Int(row.error)] { return true }
    if text.mayBeInID, text.isIn(index.rows.arena.bytes(row.id, Int(row.idLength))) { return true }
    return row.metaLength > 0 && text.isIn(index.rows.arena.bytes(row.meta, Int(row.metaLength)))
  }

  private func hasMeta(_ row: HistoryRow) -> Bool {
    guard row.metaLength > 0 else { return false }
    let json = index.rows.arena.bytes(row.meta, Int(row.metaLength))
    // Parsing a million objects takes seconds; most have not even the letters. (With escapes they might be there unseen.)
    if memchr(json.baseAddress!, 0x5C, json.count) == nil {
      guard metaLetters.allSatisfy({ $0.isIn(json) }) else { return false }
      if let answer = isPlainly(in: json) { return answer }
    }
    guard let object = try? JSONReader.parse(Array(json), slack: 8) else { return false }
    return meta.allSatisfy { $0.isIn(object) }
  }

  /// The same by comparing bytes; nil where that will not do: blanks between members, numbers of more than one spelling.
  private func isPlainly(in json: UnsafeRawBufferPointer) -> Bool? {
    guard json.allSatisfy({ $0 > 0x20 }) else { return nil }
    var isThere = true
    for (key, value) in metaBytes {
      guard var members = MemberScan(json) else { return nil }
      var found: UnsafeRawBufferPointer?
      while found == nil, let member = members.next() {
        if key.withUnsafeBytes(member.key.equals) { found = member.value }
      }
      guard let found else { return false }
      switch found[0] {
      case UInt8(ascii: "\""):
        let inner = UnsafeRawBufferPointer(rebasing: found[1..<found.count - 1])
        isThere = isThere && value.withUnsafeBytes(inner.equals)
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        guard found.count <= 15, found.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        isThere = isThere && value.withUnsafeBytes(found.equals)
      default: return nil
      }
    }
    return isThere
  }
}
