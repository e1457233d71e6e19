import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("The index of the history") struct HistoryIndexTests {
  private func loaded(_ model: HistoryModel) throws -> HistoryFeed {
    let feed = HistoryFeed(model.spool, configuration: nil) { [now = model.now] in now }
    try feed.load()
    return feed
  }

  /// The answer by looking at every job.
  private func expected(_ query: HistoryQuery, _ model: HistoryModel) -> [String] {
    func has(_ text: String, _ known: HistoryModel.Known) -> Bool {
      var fields = [known.row.id] + known.row.tags
      fields.append(String(decoding: known.row.meta ?? [], as: UTF8.self))
      if let error = known.row.error { fields += [error.code, error.message] }
      return fields.contains { $0.lowercased().contains(text.lowercased()) }
    }
    func time(_ row: JobRow) -> Int64 {
      switch query.sort {
      case .submitted: row.submittedAt.microseconds
      case .finished: row.finishedAt?.microseconds ?? 0
      default: row.updatedAt.microseconds
      }
    }
    let found = model.jobs.values.filter { known in
      let row = known.row
      let isPlaced =
        query.places.isEmpty
        || query.places.contains { place in
          switch place {
          case .state(let state): row.state == state
          case .phase(let phase): row.phase == phase
          case .outcome(let outcome): row.outcome == outcome
          }
        }
      return isPlaced && (query.types.isEmpty || query.types.contains(row.type ?? ""))
        && query.tags.allSatisfy(row.tags.contains)
        && (query.batches.isEmpty || query.batches.contains(row.batch ?? ""))
        && (query.parents.isEmpty || query.parents.contains(row.parent ?? ""))
        && (query.schedules.isEmpty || FiringID.schedule(of: row.id).map(query.schedules.contains) ?? false)
        && (query.submitters.isEmpty || query.submitters.contains(known.submittedBy))
        && query.meta.allSatisfy { member in
          let text = String(decoding: (row.meta ?? []).filter { $0 != 0x20 }, as: UTF8.self)
          let (key, value) = ("\"\(member.key)\":", member.value)
          return ["\"\(value)\"", "\(value),", "\(value)}"].contains { text.contains(key + $0) }
        }
        && (query.from.map { time(row) >= $0.microseconds } ?? true)
        && (query.until.map { time(row) <= $0.microseconds } ?? true)
        && (query.text.map { has($0, known) } ?? true)
    }
    func key(_ known: HistoryModel.Known) -> Int64 {
      switch query.sort {
      case .priority: Int64(known.row.priority)
      case .state: Int64([JobState.new, .cur, .done, .dead, .hold].firstIndex(of: known.row.state) ?? 0)
      case .duration:
        known.row.state == .cur
          ? (model.now - known.row.updatedAt).inMicroseconds / 1000
          : known.row.finishedAt == nil ? 0 : known.run
      default: time(known.row)
      }
    }
    let isUp = query.ascending ?? (query.sort == .priority || query.sort == .state)
    return found.sorted { left, right in
      if key(left) != key(right) { return (key(left) < key(right)) == isUp }
      if left.row.updatedAt != right.row.updatedAt { return left.row.updatedAt > right.row.updatedAt }
      return Array(left.row.id.utf8).lexicographicallyPrecedes(Array(right.row.id.utf8))
    }.map(\.row.id)
  }

  private func query(_ random: inout SeededNumbers, _ now: WallTime) throws -> HistoryQuery {
    var query = HistoryQuery()
    query.sort = JobFilter.Sort.allCases[random.below(JobFilter.Sort.allCases.count)]
    query.ascending = random.chance(2) ? nil : random.chance(2)
    query.limit = 1 + random.below(20)
    for _ in 0..<random.below(3) {
      switch random.below(11) {
      case 0, 1:
        query.places.append(
          try #require(JobFilter.Place(JobFilter.Place.words[random.below(JobFilter.Place.words.count)])))
      case 2: query.types = ["mail"]
      case 3: query.tags = ["größe"]
      case 4: query.batches = ["batch-1", "batch-2"]
      case 5: query.schedules = ["nightly"]
      case 6: query.submitters = ["anna"]
      case 7: query.meta = [.init(key: "user", value: "u3")]
      case 8: query.meta = [.init(key: "n", value: "3")]
      case 9:
        query.meta = [.init(key: "user", value: "u1"), .init(key: "n", value: ["4", "1e0", "u1"][random.below(3)])]
      default: query.text = ["JOB-1", "GRÖSSE", "GRÖßE", "fehlt", "code 2", "u7", "\"n\":3"][random.below(7)]
      }
    }
    if random.chance(4) {
      query.from = WallTime(microseconds: now.microseconds - Int64(random.below(200_000)) * 1_000_000)
    }
    if random.chance(4) {
      query.until = WallTime(microseconds: now.microseconds - Int64(random.below(100_000)) * 1_000_000)
    }
    return query
  }

  @Test("pages, totals and every field are those of a plain model", arguments: 1...8)
  func model(seed: Int) throws {
    let model = try HistoryModel(seed: UInt64(seed), jobs: 120, days: 3)
    let feed = try loaded(model)
    var random = SeededNumbers(seed: UInt64(seed) &* 77)
    for number in 0..<80 {
      var query = try query(&random, model.now)
      let wanted = expected(query, model)
      var got: [String] = []
      while true {
        let page = feed.read { index, status in index.page(query, status: status, now: model.now) }
        #expect(page.total == wanted.count, "seed \(seed), query \(number): \(query)")
        got += page.rows.map(\.id)
        guard let next = page.next else { break }
        let cursor: HistoryCursor = try #require(HistoryCursor(next.text, for: query))
        query.cursor = cursor
      }
      #expect(got == wanted, "seed \(seed), query \(number): \(query)")
    }
    for (id, known) in model.jobs {
      var row = try #require(feed.read { index, status in index.job(id, status: status, now: model.now) })
      if row.finishedAt != nil { row.startedAt = nil }
      (row.run, row.wait) = (nil, nil)
      var wanted = known.row
      if wanted.finishedAt != nil { wanted.startedAt = nil }
      #expect(row == wanted)
    }
  }

  @Test("the numbers of a day are those of its rollup")
  func numbers() throws {
    let model = try HistoryModel(seed: 5, jobs: 200, days: 4)
    let feed = try loaded(model)
    for name in model.test.auditFiles {
      var count = RollupCount()
      for line in model.test.auditText(name).split(separator: 0x0A) {
        Array(line).withUnsafeBytes { count.take($0) }
      }
      let day = try #require(WallTime(rfc3339: "\(name.dropLast(6).suffix(10))T00:00:00Z")).wholeSeconds / 86_400
      #expect(feed.read { index, _ in index.rollup(from: day, to: day) }.types == count.rollup.types, "\(name)")
    }
  }

  @Test("counts are those of the rows, whatever happened to them")
  func counts() throws {
    let model = try HistoryModel(seed: 9, jobs: 300, days: 2)
    let feed = try loaded(model)
    let counts = feed.read { index, _ in index.jobCounts(now: model.now) }
    for state in JobState.allCases {
      #expect(counts.states[state] == model.jobs.values.filter { $0.row.state == state }.count, "\(state)")
    }
    let groups = feed.read { index, _ in index.deadGroups(limit: 100, now: model.now) }
    #expect(groups.total == counts.states[.dead])
    for group in groups.groups {
      var query = HistoryQuery()
      let name: String = try #require(group.name)
      query.errorGroup = name
      query.types = [group.type]
      query.places = [.state(.dead)]
      #expect(feed.read { index, _ in index.page(query, status: nil, now: model.now).total } == group.count)
    }
  }
}
