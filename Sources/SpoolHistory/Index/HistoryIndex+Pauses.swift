/// Who paused what. A pause is a file, which says neither who made it through the web program nor for how long it has been there;
/// the log does.
package import JobModel

package struct Pause: Sendable, Equatable {
  package var by: String
  package var since: WallTime
}

extension HistoryIndex {
  /// The newest line about each switch.
  struct Switch {
    var time: Int64
    /// nil: it was resumed.
    var by: String?
  }

  /// By type, and `all` for everything, of what was paused last and not resumed since.
  package var pauses: [String: Pause] {
    switches.compactMapValues { line in
      line.by.map { Pause(by: $0, since: WallTime(microseconds: line.time)) }
    }
  }

  /// Takes a line `paused` or `resumed`.
  func takeSwitch(_ scan: LineScan) {
    var rest = scan.rest
    var (name, by) = ("all", "")
    while let (key, value) = rest.next() {
      if key.equals("type") { name = value.unquoted { String(decoding: $0, as: UTF8.self) } ?? name }
      if key.equals("by") { by = value.unquoted { String(decoding: $0, as: UTF8.self) } ?? by }
      // Schedules are switched by themselves.
      if key.equals("what") { return }
    }
    guard scan.time >= switches[name]?.time ?? .min else { return }
    // Who used a token is of interest, not the program it went through.
    let who = by.firstRange(of: " through ").map { String(by[..<$0.lowerBound]) } ?? by
    switches[name] = Switch(time: scan.time, by: scan.event == .paused ? who : nil)
  }
}
