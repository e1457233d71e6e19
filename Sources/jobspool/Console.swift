/// What goes to standard output and standard error. Colour, tables and summaries are for people at a terminal; programs
/// get bare text or JSON.
internal import Glibc
internal import JobModel

enum Console {
  static let isTerminal = isatty(1) == 1

  /// NO_COLOR (no-color.org): present and not empty means none.
  static let usesColour: Bool = {
    guard isTerminal else { return false }
    if let wish = getenv("NO_COLOR"), wish[0] != 0 { return false }
    return environment("TERM") != "dumb"
  }()

  static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  static func write(_ bytes: [UInt8]) {
    if !put(bytes, to: 1), errno == EPIPE { exit(0) }
  }

  static func line(_ text: String) { write(Array(text.utf8) + [0x0A]) }

  /// One JSON value and a newline.
  static func json(_ body: (inout JSONWriter) -> Void) {
    var writer = JSONWriter(reserving: 1024)
    body(&writer)
    write(writer.bytes + [0x0A])
  }

  /// `jobspool: what: how to fix`, on standard error.
  static func complain(_ text: String) { _ = put(Array("jobspool: \(text)\n".utf8), to: 2) }

  /// Bytes as they are, on standard error.
  static func errors(_ bytes: [UInt8]) { _ = put(bytes, to: 2) }

  /// A remark for a person, who may be elsewhere: only when standard error is a terminal.
  static func remark(_ text: String) {
    if isatty(2) == 1 { complain(text) }
  }

  private static func put(_ bytes: [UInt8], to fd: Int32) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = Glibc.write(fd, buffer.baseAddress.map { $0 + written }, buffer.count - written)
        if count < 0 {
          if errno == EINTR { continue }
          return false
        }
        written += count
      }
      return true
    }
  }

  // MARK: Text

  enum Colour: Int {
    case red = 31
    case green = 32
    case yellow = 33
    case magenta = 35
    case cyan = 36
    case bold = 1
    case faint = 2
  }

  static func paint(_ text: String, _ colour: Colour?) -> String {
    guard usesColour, let colour else { return text }
    return "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m"
  }

  /// Text from elsewhere made safe for a terminal: no character that could move its cursor or change its title.
  static func plain(_ text: some StringProtocol) -> String { TerminalText.plain(text) }

  static func shortened(_ text: String, to length: Int) -> String {
    text.count > length ? text.prefix(length - 1) + "…" : text
  }
}

/// Lines in columns, each as wide as its widest cell.
struct Table {
  private var rows: [[(text: String, colour: Console.Colour?)]] = []
  let indent: String

  /// - Parameter headings: none for a table without a first line.
  init(_ headings: [String] = [], indent: String = "") {
    self.indent = indent
    if !headings.isEmpty { rows.append(headings.map { ($0, .faint) }) }
  }

  mutating func add(_ cells: [(String, Console.Colour?)]) { rows.append(cells) }

  mutating func add(_ cells: [String]) { add(cells.map { ($0, nil) }) }

  var text: String {
    var widths: [Int] = []
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], cell.text.count)
      }
    }
    var text = ""
    for row in rows {
      text += indent
      for (column, cell) in row.enumerated() {
        text += Console.paint(cell.text, cell.colour)
        if column + 1 < row.count { text += String(repeating: " ", count: widths[column] - cell.text.count + 2) }
      }
      while text.last == " " { text.removeLast() }
      text += "\n"
    }
    return text
  }
}
