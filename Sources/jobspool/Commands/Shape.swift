/// `shape`: the age of what waits, by type.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory
internal import SpoolStore

struct ShapeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shape",
    abstract: "Count waiting and running jobs by age and type.",
    discussion: """
      Columns are minutes since submission (for done and dead: since the end), each twice as wide as the one before, as \
      in Postfix's qshape. One type piling up on the right has a slow or broken handler; all of them, too little room.

        jobspool shape
        jobspool shape dead
      """)

  @Argument(help: ArgumentHelp("Folders: new, cur, hold, done, dead. Without any: new and cur.", valueName: "state"))
  var states: [String] = []

  @OptionGroup var options: SpoolOptions

  func run() throws {
    let folders = try states.map { name in
      guard let state = JobState(rawValue: name) else {
        throw ValidationError("\(name): expected new, cur, hold, done or dead")
      }
      return state
    }
    let shape = try options.reader().shape(folders.isEmpty ? [.new, .cur] : folders)
    if options.json { json(shape) } else { text(shape) }
  }

  private func text(_ shape: Shape) {
    let last = Shape.minutes.last ?? 0
    var table = Table([""] + ["T"] + Shape.minutes.map { "\($0)" } + ["\(last)+"])
    func add(_ name: String, _ columns: [Int]) {
      table.add([name, "\(columns.reduce(0, +))"] + columns.map { "\($0)" })
    }
    add("TOTAL", shape.total)
    for (type, columns) in shape.byCount { add(type.isEmpty ? "(unknown)" : Console.plain(type), columns) }
    Console.write(Array(table.text.utf8))
  }

  private func json(_ shape: Shape) {
    Console.json { writer in
      func write(_ columns: [Int]) {
        writer.beginArray()
        for number in columns { writer.int(number) }
        writer.endArray()
      }
      writer.beginObject()
      writer.key("minutes")
      write(Shape.minutes)
      writer.key("total")
      write(shape.total)
      writer.key("types")
      writer.beginObject()
      for (type, columns) in shape.byCount {
        writer.key(escaping: type)
        write(columns)
      }
      writer.endObject()
      writer.endObject()
    }
  }
}
