/// Typed access to one table. Every value of the wrong type or out of range becomes a problem that says what was
/// expected and what was found; the caller gets nil and goes on. Unknown keys are `KeyWalk`'s.
struct ConfigReader {
  let keys: ConfigKeys
  let log: ProblemLog
  /// Where this table stands, as shown to the user and as `ConfigKeys` lists it.
  let path: String
  let pattern: String
  /// Where the table begins: the place of what is missing in it. Unknown for the root.
  private let place: (line: Int, column: Int)?
  private let entries: [TOMLEntry]

  init(_ root: TOMLNode, keys: ConfigKeys, log: ProblemLog) {
    self.init(root, keys: keys, log: log, path: "", pattern: "")
  }

  private init(_ node: TOMLNode, keys: ConfigKeys, log: ProblemLog, path: String, pattern: String) {
    self.place = path.isEmpty ? nil : (node.line, node.column)
    self.keys = keys
    self.log = log
    self.path = path
    self.pattern = pattern
    if case .table(let entries) = node.value { self.entries = entries } else { self.entries = [] }
  }

  /// The entry of `key`, when the file has it.
  subscript(key: String) -> TOMLEntry? {
    precondition(keys.names(below: pattern).contains(key), "\(key) is not in ConfigKeys")
    return entries.first { $0.key == key }
  }

  /// The value as `convert` reads it; nil, and a problem, when it cannot.
  func value<T>(_ key: String, _ expected: @autoclosure () -> String, _ convert: (TOMLNode) -> T?) -> T? {
    guard let entry = self[key] else { return nil }
    return value(of: entry, expected(), convert)
  }

  func value<T>(of entry: TOMLEntry, _ expected: @autoclosure () -> String, _ convert: (TOMLNode) -> T?) -> T? {
    if let value = convert(entry.node) { return value }
    refuse(entry.key, entry.node, "expected \(expected()), found \(entry.node.found)")
    return nil
  }

  /// Every item of a list as `convert` reads it; nil when one or all are wrong, each a problem of its own.
  func list<T>(
    _ key: String, of expected: String, count: ClosedRange<Int> = 0...1000, _ convert: (TOMLNode) -> T?
  ) -> [T]? {
    guard let entry = self[key] else { return nil }
    guard case .array(let items) = entry.node.value else {
      refuse(key, entry.node, "expected a list, each item \(expected), found \(entry.node.found)")
      return nil
    }
    guard count.contains(items.count) else {
      refuse(
        key, entry.node, "expected a list of \(count.lowerBound) to \(count.upperBound) items, found \(items.count)")
      return nil
    }
    var values: [T] = []
    for (index, item) in items.enumerated() {
      if let value = convert(item) {
        values.append(value)
      } else {
        refuse(key, item, "item \(index + 1): expected \(expected), found \(item.found)")
      }
    }
    return values.count == items.count ? values : nil
  }

  /// The table under `key`; nil when absent or no table.
  func section(_ key: String) -> ConfigReader? {
    guard let entry = self[key] else { return nil }
    guard case .table = entry.node.value else {
      refuse(key, entry.node, "expected a table, found \(entry.node.found)")
      return nil
    }
    return below(entry.node, path: dotted(path, key), pattern: dotted(pattern, key))
  }

  /// The tables of `[[key]]`.
  func sections(_ key: String) -> [ConfigReader] {
    guard let entry = self[key] else { return [] }
    let expected = "tables, each under a [[\(dotted(path, key))]] of its own"
    guard case .array(let items) = entry.node.value else {
      refuse(key, entry.node, "expected \(expected), found \(entry.node.found)")
      return []
    }
    return items.compactMap { item in
      guard case .table = item.value else {
        refuse(key, item, "expected \(expected), found \(item.found)")
        return nil
      }
      return below(item, path: dotted(path, key), pattern: dotted(pattern, key))
    }
  }

  /// Entries whose names the administrator chose: `[pools.NAME]`, `env`, `[web.roles]`.
  var named: [TOMLEntry] {
    precondition(keys.names(below: pattern) == ["NAME"], "\(pattern) has fixed keys")
    return entries
  }

  /// The table of a named entry; nil, and a problem, when it is none.
  func section(of entry: TOMLEntry) -> ConfigReader? {
    guard case .table = entry.node.value else {
      refuse(entry.key, entry.node, "expected a table, found \(entry.node.found)")
      return nil
    }
    return below(entry.node, path: dotted(path, entry.key), pattern: dotted(pattern, "NAME"))
  }

  private func below(_ node: TOMLNode, path: String, pattern: String) -> ConfigReader {
    ConfigReader(node, keys: keys, log: log, path: path, pattern: pattern)
  }

  /// A problem of the value `node` under `key`.
  func refuse(_ key: String, _ node: TOMLNode, _ message: String) {
    log.add(message, key: dotted(path, key), at: (node.line, node.column))
  }

  /// A problem of `key` as a whole: where it stands, else where its table begins.
  func refuse(_ key: String, _ message: String) { say(message, of: key, .error) }

  func note(_ key: String, _ message: String) { say(message, of: key, .note) }

  private func say(_ message: String, of key: String, _ severity: ConfigProblem.Severity) {
    log.add(message, key: dotted(path, key), at: self[key].map { ($0.line, $0.column) } ?? place, severity: severity)
  }
}
