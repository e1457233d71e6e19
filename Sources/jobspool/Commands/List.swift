/// `ls`: a table of jobs, or an array of objects.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List jobs, the newest change first.",
    discussion: """
      A state is a folder (new cur done dead hold), a part of new (ready scheduled retry blocked) or an outcome \
      (failed rejected expired cancelled duplicate rate_limited). Several: --state new,cur or repeated.

        jobspool ls --state dead --since 1d
        jobspool ls --type resize --sort duration --limit 5
        jobspool ls --state failed --json | jq -r '.[].error.message'
      """)

  @OptionGroup var filter: FilterOptions

  @Flag(help: "Only running jobs that nobody runs, or that run for too long.")
  var stalled = false

  @Option(help: "updated, submitted, finished, priority, state or duration.")
  var sort = JobFilter.Sort.updated

  @Flag(help: "The other way round.")
  var reverse = false

  @Option(help: "At most so many; 0 means all.")
  var limit = 50

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let reader = try options.reader()
    var filter = try filter.filter(now: reader.now)
    filter.stalled = stalled
    filter.sort = sort
    filter.reversed = reverse
    filter.limit = limit == 0 ? nil : limit
    let rows = try reader.list(filter)
    if options.json {
      return Console.json { writer in
        writer.beginArray()
        for row in rows { row.write(to: &writer) }
        writer.endArray()
      }
    }
    guard !rows.isEmpty else { return Console.remark("no such jobs") }
    var table = Table(["ID", "TYPE", "STATE", "AGE", "ATTEMPT", "RAN", "ABOUT"])
    for row in rows {
      table.add([
        (row.id, nil), (row.type ?? "?", nil), StateText.of(row), (row.updatedAt.age(reader.now), nil),
        (row.attempt == 0 ? "-" : "\(row.attempt)", nil), (ran(row, reader.now), nil), (about(row, reader.now), nil),
      ])
    }
    Console.write(Array(table.text.utf8))
    if rows.count == filter.limit { Console.remark("only the first \(rows.count); --limit 0 lists all") }
  }

  private func ran(_ row: JobRow, _ now: WallTime) -> String {
    guard row.state == .cur || row.state == .done || row.state == .dead else { return "-" }
    return row.duration(now: now).map(Age.text) ?? "-"
  }

  private func about(_ row: JobRow, _ now: WallTime) -> String {
    var parts: [String] = []
    if let due = row.due, due > now { parts.append("in \(Age.text(due - now))") }
    if let progress = row.progress, row.state == .cur {
      if let percent = progress.percent { parts.append("\(Int(percent)) %") }
      if let stage = progress.stage { parts.append(stage) }
    }
    if let error = row.error, row.state != .done { parts.append(error.message) }
    if !row.tags.isEmpty { parts.append(row.tags.map { "#\($0)" }.joined(separator: " ")) }
    return Console.shortened(Console.plain(parts.joined(separator: " · ")), to: 80)
  }
}

extension JobFilter.Sort: ExpressibleByArgument {}

/// The options that choose jobs, the same for lists and for verbs.
struct FilterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Only these states, parts or outcomes.", valueName: "state"))
  var state: [String] = []

  @Option(help: "Only this type; may be repeated.")
  var type: [String] = []

  @Option(help: "Only with this tag; repeated: with all of them.")
  var tag: [String] = []

  @Option(help: "Only of this batch.")
  var batch: String?

  @Option(help: ArgumentHelp("Changed since: RFC 3339, a UTC day, or 2h, 1d ago.", valueName: "time"))
  var since: String?

  @Option(help: ArgumentHelp("Not changed after that.", valueName: "time"))
  var until: String?

  @Option(help: "With this text in id, tags, meta or error.")
  var text: String?

  var isEmpty: Bool {
    state.isEmpty && type.isEmpty && tag.isEmpty && batch == nil && since == nil && until == nil && text == nil
  }

  func filter(now: WallTime) throws -> JobFilter {
    var filter = JobFilter()
    for word in state.flatMap({ $0.split(separator: ",") }) {
      guard let place = JobFilter.Place(String(word)) else {
        let words = JobFilter.Place.words
        let near = Spelling.nearest(to: String(word), among: words).map { "; did you mean \($0)?" } ?? ""
        throw ValidationError("--state \(word): expected one of \(words.joined(separator: " "))\(near)")
      }
      filter.places.append(place)
    }
    filter.types = type
    filter.tags = tag
    filter.batch = batch
    filter.since = try time("--since", since, now)
    filter.until = try time("--until", until, now)
    filter.text = text
    return filter
  }

  private func time(_ option: String, _ text: String?, _ now: WallTime) throws -> WallTime? {
    guard let text else { return nil }
    guard let time = WallTime(argument: text, now: now) else {
      throw ValidationError("\(option) \(text): expected RFC 3339 with offset, a day such as 2026-11-21, or 2h, 1d")
    }
    return time
  }
}

/// How a state is shown: the word and its colour.
enum StateText {
  static func of(_ row: JobRow) -> (String, Console.Colour?) {
    switch row.phase {
    case .ready: ("ready", nil)
    case .scheduled: ("scheduled", .faint)
    case .retry: ("retry", .yellow)
    case .blocked: ("blocked", .faint)
    case .cur: ("running", .cyan)
    case .done: ("done", .green)
    case .dead: (row.outcome.map { $0 == .failed ? "dead" : "dead (\($0.rawValue))" } ?? "dead", .red)
    case .hold: ("held", .magenta)
    }
  }
}
