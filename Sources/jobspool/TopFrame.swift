/// One picture of `top`: lines of text for so many columns and rows. What does not fit is said to be there.
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct TopFrame {
  private let data: TopData
  private let columns: Int
  private let rows: Int
  private var lines: [String] = []

  private typealias Piece = (text: String, colour: Console.Colour?)

  init(_ data: TopData, columns: Int, rows: Int) {
    self.data = data
    self.columns = columns
    self.rows = rows
  }

  private var reader: SpoolReader { data.reader }

  /// - Parameter foot: the last line.
  static func lines(_ data: TopData, columns: Int, rows: Int, foot: String?) -> [String] {
    var frame = TopFrame(data, columns: columns, rows: foot == nil ? rows : rows - 1)
    frame.header()
    frame.totals()
    frame.throughput()
    frame.alerts()
    frame.running()
    frame.types()
    guard let foot else { return frame.lines }
    while frame.lines.count < rows - 1 { frame.lines.append("") }
    return frame.lines.prefix(rows - 1) + [Console.paint(Console.shortened(foot, to: columns), .faint)]
  }

  /// A line cut at the edge, painted after it was measured.
  private mutating func add(_ pieces: [Piece]) {
    var left = columns
    var text = ""
    for piece in pieces where left > 0 {
      let shown = Console.shortened(piece.text, to: left)
      left -= shown.count
      text += Console.paint(shown, piece.colour)
    }
    lines.append(text)
  }

  private var room: Int { rows - lines.count }

  // MARK: Parts

  private mutating func header() {
    let time = reader.now.rfc3339
    var pieces: [Piece] = [(Console.plain(reader.spool.path), .bold), ("  ", nil)]
    if let status = reader.status {
      let up = status.startedAt.map { ", up \($0.age(reader.now))" } ?? ""
      pieces.append(("jobspoold \(status.version), pid \(status.pid)\(up)", nil))
      switch status.mode {
      case .running: break
      case .draining: pieces.append(("  draining", .yellow))
      case .lowDisk: pieces.append(("  low disk", .red))
      }
      if status.paused { pieces.append(("  paused", .yellow)) }
      if status.schedulesPaused { pieces.append(("  schedules paused", .yellow)) }
    } else {
      pieces.append((reader.hasDaemon ? "jobspoold runs" : "no daemon runs", .red))
    }
    pieces.append(("  \(time.dropFirst(11).prefix(8)) UTC", .faint))
    add(pieces)
  }

  private mutating func totals() {
    var pieces: [Piece] = []
    for state in JobState.allCases {
      let count = data.counts.states[state] ?? 0
      let colour: Console.Colour? =
        switch state {
        case .dead where count > 0: .red
        case .cur where count > 0: .cyan
        case .hold where count > 0: .magenta
        default: nil
        }
      var text = ProgressBar.grouped(count)
      if state == .cur, let limit = reader.status?.maxJobs { text += "/\(limit)" }
      if state == .new, let types = reader.status?.types.values {
        let scheduled = types.map(\.scheduled).reduce(0, +)
        if scheduled > 0 { text += " (\(ProgressBar.grouped(scheduled)) scheduled)" }
      }
      pieces += [("\(state.rawValue) ", .faint), (text, colour), ("   ", nil)]
    }
    add(pieces)
  }

  private mutating func throughput() {
    let history = data.history(max(min(columns - 44, TopData.bars), 10))
    let done = history.map(\.done)
    let seconds = history.count * Int(TopData.interval)
    let (total, dead) = (done.reduce(0, +), history.map(\.dead).reduce(0, +))
    let rate = Double(total) / Double(max(seconds, 1))
    add([
      (TopFrame.sparkline(done), .green), ("  ", nil), ("\(ProgressBar.grouped(total)) done", nil),
      (dead > 0 ? ", \(ProgressBar.grouped(dead)) dead" : "", .red),
      (" in \(Age.text(.seconds(seconds))), \(TopFrame.rate(rate))", .faint),
    ])
  }

  private mutating func alerts() {
    let alerts = reader.status?.alerts ?? []
    for alert in alerts.prefix(3) {
      add([
        ("alert  ", .red), (Console.plain(alert.message), nil),
        (alert.at.map { "  \($0.age(reader.now))" } ?? "", .faint),
      ])
    }
    if alerts.count > 3 { add([("       and \(alerts.count - 3) more", .faint)]) }
  }

  private mutating func running() {
    guard let status = reader.status, !status.running.isEmpty, room > 3 else { return }
    lines.append("")
    // The types below have their place too.
    let most = max(min(status.running.count, room - min(status.types.count, room / 3) - 3), 1)
    let width = status.running.prefix(most).map { Console.plain($0.id).count }.max() ?? 2
    let typeWidth = status.running.prefix(most).map(\.type.count).max() ?? 4
    let idWidth = min(max(width, 2), max(columns / 3, 8))
    add([
      (TopFrame.cell("RUNNING", idWidth) + "  " + TopFrame.cell("TYPE", typeWidth) + "  TRY     FOR  PROGRESS", .faint)
    ])
    for job in status.running.prefix(most) {
      let age = job.startedAt.map { $0.age(reader.now) } ?? "-"
      var pieces: [Piece] = [
        (TopFrame.cell(Console.plain(job.id), idWidth) + "  ", nil),
        (TopFrame.cell(job.type, typeWidth) + "  ", .cyan),
        (TopFrame.right("\(job.attempt)", 3), job.attempt > 1 ? .yellow : nil),
        (TopFrame.right(age, 8) + "  ", nil),
      ]
      if let percent = job.progress.percent {
        pieces.append(
          ("\(ProgressBar.bar(percent / 100, width: 12)) \(TopFrame.right("\(Int(percent))", 3)) %", .green))
      }
      for text in [job.progress.stage, job.progress.message].compactMap({ $0 }) {
        pieces.append(("  \(Console.plain(text))", nil))
      }
      add(pieces)
    }
    let hidden = status.runningCount - min(most, status.running.count)
    if hidden > 0 { add([("and \(hidden) more", .faint)]) }
  }

  private mutating func types() {
    guard let types = reader.status?.types, !types.isEmpty, room > 2 else { return }
    lines.append("")
    // What works or waits before what rests.
    let sorted = types.sorted { one, other in
      let rank = { (type: DaemonStatus.TypeStatus) in type.running + type.waiting + type.scheduled }
      return rank(one.value) != rank(other.value) ? rank(one.value) > rank(other.value) : one.key < other.key
    }
    let shown = sorted.count > room - 1 ? sorted.prefix(max(room - 2, 1)) : sorted[...]
    let width = max(shown.map(\.key.count).max() ?? 4, 4)
    add([(TopFrame.cell("TYPE", width) + "   RUNNING   WAITING  SCHEDULED", .faint)])
    for (name, type) in shown {
      var pieces: [Piece] = [
        (TopFrame.cell(name, width), nil),
        (
          TopFrame.right("\(type.running)/\(type.concurrency.map(String.init) ?? "-")", 10),
          type.running > 0 ? .cyan : nil
        ),
        (TopFrame.right(ProgressBar.grouped(type.waiting), 10), nil),
        (TopFrame.right(ProgressBar.grouped(type.scheduled), 11), nil),
      ]
      if type.paused { pieces.append(("  paused", .yellow)) }
      if let broken = type.broken { pieces.append(("  \(Console.plain(broken))", .red)) }
      add(pieces)
    }
    if shown.count < sorted.count { add([("and \(sorted.count - shown.count) more", .faint)]) }
  }

  // MARK: Text

  /// Eight heights of blocks, the highest for the largest; a blank for nothing.
  static func sparkline(_ values: [Int]) -> String {
    let blocks = Array("▁▂▃▄▅▆▇█")
    let largest = max(values.max() ?? 0, 1)
    return String(values.map { $0 == 0 ? "·" : blocks[min(($0 * blocks.count - 1) / largest, blocks.count - 1)] })
  }

  static func rate(_ perSecond: Double) -> String {
    let tenths = Int((perSecond * 10).rounded())
    if tenths > 0 { return "\(tenths / 10).\(tenths % 10)/s" }
    let perMinute = Int((perSecond * 600).rounded())
    return "\(perMinute / 10).\(perMinute % 10)/min"
  }

  private static func cell(_ text: String, _ width: Int) -> String {
    let shown = Console.shortened(text, to: width)
    return shown + String(repeating: " ", count: width - shown.count)
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(width - text.count, 0)) + text
  }
}
