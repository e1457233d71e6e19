/// Keys that load but whose feature is not built yet. A key listed here gets the note below wherever it is set, so
/// nobody relies on a limit that does nothing. Building the feature means taking its line away.
enum Coming {
  static let message = "has no effect yet"

  /// A key or a table of keys; with `value`, only that text counts.
  private static let table: [(file: ConfigKeys, key: String, value: String?)] = [
    (.daemon, "web", nil)
  ]

  static func covers(_ file: ConfigKeys, pattern: String, value: TOMLNode.Value?) -> Bool {
    table.contains { line in
      guard line.file == file, line.key == pattern else { return false }
      guard let wanted = line.value else { return true }
      return value == .text(wanted)
    }
  }
}
