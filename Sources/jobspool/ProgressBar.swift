/// A line at the terminal that says how far something long has come: `copying  ████████░░░░  63 %  12,345 of 20,000`. It is
/// drawn on standard error, only when that is a terminal, at most ten times a second, and is gone when the work is done.
internal import Glibc

final class ProgressBar {
  private let label: String
  /// nil: nobody knows how much there is.
  var total: Int?
  let isShown: Bool
  private let start = ContinuousClock.now
  private var drawn: ContinuousClock.Instant?
  private var isOnScreen = false

  init(_ label: String, total: Int? = nil, silent: Bool = false) {
    self.label = label
    self.total = total
    isShown = !silent && isatty(2) == 1 && Console.environment("TERM") != "dumb"
  }

  deinit { clear() }

  /// So many are done.
  func show(_ done: Int, note: String = "") {
    guard isDue else { return }
    if let total, total > 0 {
      draw(Double(done) / Double(total), "\(ProgressBar.grouped(done)) of \(ProgressBar.grouped(total))", note)
    } else {
      draw(nil, ProgressBar.grouped(done), note)
    }
  }

  /// A share of it, 0…1, is done.
  func show(share: Double, note: String = "") {
    if isDue { draw(share, "", note) }
  }

  /// Nobody knows how far it is, only what it does.
  func show(_ note: String) {
    if isDue { draw(nil, "", note) }
  }

  /// Takes the line away, so that something else can be said.
  func clear() {
    guard isOnScreen else { return }
    Console.errors(Array("\r\u{1B}[K".utf8))
    isOnScreen = false
    drawn = nil
  }

  private var isDue: Bool {
    guard isShown else { return false }
    guard let drawn else { return true }
    return drawn.duration(to: .now) >= .milliseconds(100)
  }

  private func draw(_ share: Double?, _ count: String, _ note: String) {
    drawn = .now
    isOnScreen = true
    let text = ProgressBar.line(
      label: label, share: share, count: count, note: note, elapsed: start.duration(to: .now), width: Terminal.width(2))
    Console.errors(Array("\r\(text)\u{1B}[K".utf8))
  }

  /// The line itself, never wider than the terminal.
  static func line(
    label: String, share: Double?, count: String, note: String, elapsed: Duration, width: Int
  ) -> String {
    var words = [label]
    if let share {
      let share = min(max(share, 0), 1)
      words.append(bar(share, width: 24))
      words.append("\(Int(share * 100)) %")
      if share > 0.02, share < 1, elapsed >= .seconds(2) {
        words.append("\(Age.text(elapsed / share - elapsed)) left")
      }
    }
    if !count.isEmpty { words.append(count) }
    if !note.isEmpty { words.append(Console.plain(note)) }
    return Console.shortened(words.joined(separator: "  "), to: max(width - 1, 10))
  }

  static func bar(_ share: Double, width: Int) -> String {
    let filled = Int((min(max(share, 0), 1) * Double(width)).rounded())
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  /// `1,234,567`.
  static func grouped(_ number: Int) -> String {
    var digits = Array(String(number.magnitude))
    var place = digits.count - 3
    while place > 0 {
      digits.insert(",", at: place)
      place -= 3
    }
    return (number < 0 ? "-" : "") + String(digits)
  }
}

enum Terminal {
  /// Columns and rows of the terminal that a descriptor is; 80 and 24 where it is none.
  static func size(_ fd: Int32) -> (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(fd, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (80, 24) }
    return (Int(size.ws_col), max(Int(size.ws_row), 1))
  }

  static func width(_ fd: Int32) -> Int { size(fd).columns }
}
