/// Which jobs a verb acts on: ids, ids from standard input, or whatever a filter finds.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct JobChoice: ParsableArguments {
  @Argument(help: "Ids, - for one per line of standard input, or ALL in capitals.")
  var ids: [String] = []

  @OptionGroup(title: "Instead of ids") var filter: FilterOptions

  func validate() throws {
    if ids.isEmpty, filter.isEmpty {
      throw ValidationError("say which jobs: ids, - for standard input, ALL, or --type, --state, --since …")
    }
    if !ids.isEmpty, ids != ["ALL"], !filter.isEmpty {
      throw ValidationError("give ids or a filter, not both")
    }
  }

  /// The chosen ids.
  ///
  /// - Parameter places: what `ALL`, or a filter without a state, means for this verb.
  func resolve(_ reader: SpoolReader, places: [JobState]) throws -> [String] {
    guard ids.isEmpty || ids == ["ALL"] else { return try JobChoice.ids(ids) }
    var filter = try filter.filter(now: reader.now)
    if filter.places.isEmpty { filter.places = places.map { .state($0) } }
    // The oldest first, as they would have run.
    filter.sort = .submitted
    filter.reversed = true
    return try reader.list(filter).map(\.id)
  }

  /// Ids from the arguments, `-` read from standard input. `ls`'s table works too: the first word of a line counts.
  static func ids(_ arguments: [String]) throws -> [String] {
    var ids: [String] = []
    for argument in arguments {
      guard argument == "-" else {
        ids.append(argument)
        continue
      }
      for line in Input.lines(try Input.read(nil)) {
        guard let word = line.split(separator: " ").first, word != "ID" else { continue }
        ids.append(String(word))
      }
    }
    for id in ids where !JobID.isValid(id) {
      throw ValidationError("\(Console.plain(id)) is no job id: expected \(JobID.expected)")
    }
    return ids
  }
}
