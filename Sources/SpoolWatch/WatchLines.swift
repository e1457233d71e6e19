/// The output of jobspool-watch, read: bytes in, events out.
///
/// Keeps an unfinished line until its end arrives. Lines it cannot place are never an error: what the program or its
/// library says in plain words becomes the reason given when it ends, anything else is a reason to look again.
struct WatchLines {
  /// The names under which the directories are printed.
  let names: Set<String>
  /// The last thing said that was no event.
  private(set) var remark: String?
  /// A watched directory has been moved or deleted: the watcher is of no more use.
  private(set) var gone: String?
  private var unfinished: [UInt8] = []
  /// Longer than any line the program prints; a longer one means that it is not talking to us.
  private let longestLine = 8192

  init(names: Set<String>) { self.names = names }

  /// The events of the lines completed by `bytes`, in order; of several `lookAgain` in a row only one.
  mutating func take(_ bytes: UnsafeRawBufferPointer) -> [WatchEvent] {
    var events: [WatchEvent] = []
    var start = 0
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let event: WatchEvent?
      if unfinished.isEmpty {
        event = self.event(of: bytes[start..<end])
      } else {
        unfinished.append(contentsOf: bytes[start..<end])
        event = unfinished.withUnsafeBytes { self.event(of: $0[...]) }
        unfinished.removeAll(keepingCapacity: true)
      }
      if let event, !(event == .lookAgain && events.last == .lookAgain) { events.append(event) }
      start = end + 1
    }
    unfinished.append(contentsOf: bytes[start...])
    if unfinished.count > longestLine { unfinished.removeAll() }
    return events
  }

  private mutating func event(of line: Slice<UnsafeRawBufferPointer>) -> WatchEvent? {
    guard let text = String(validating: line, as: UTF8.self) else { return .lookAgain }
    if text == "ready" || text == "overflow" { return .lookAgain }
    guard let space = text.firstIndex(of: " ") else { return remember(text) }
    let name = String(text[text.index(after: space)...])
    let place = text[..<space]
    if names.contains(String(place)) {
      return name == "?" ? .lookAgain : .arrived(directory: String(place), name: name)
    }
    if place.first == "-", names.contains(String(place.dropFirst())) {
      return name == "?" ? .lookAgain : .removed(directory: String(place.dropFirst()), name: name)
    }
    if place == "gone", names.contains(name) {
      gone = name
      return .lookAgain
    }
    return remember(text)
  }

  private mutating func remember(_ text: String) -> WatchEvent? {
    let prefix = "jobspool-watch: "
    remark = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
    return nil
  }
}
