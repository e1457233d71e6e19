/// `top`: the queue at a glance, live.
internal import ArgumentParser
internal import JobModel
internal import SpoolHistory

struct Top: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the queue live: counts, throughput, what runs and how far it is, types, alerts.",
    discussion: """
      q ends it, p holds the picture still. The blocks are jobs done in 5 seconds each. It is drawn when the daemon has \
      something to say, and otherwise costs nothing. --once, or output that is no terminal: one picture.

        jobspool top
        jobspool top --once
      """)

  @Flag(help: "Print one picture and end.")
  var once = false

  @OptionGroup var options: SpoolOptions

  func run() throws {
    if options.json { throw ValidationError("top is for people; 'jobspool stats --json' has the numbers") }
    var data = try TopData(options)
    guard !once, Console.isTerminal else {
      let columns = Console.isTerminal ? Terminal.width(1) : 120
      for line in TopFrame.lines(data, columns: columns, rows: 200, foot: nil) { Console.line(line) }
      return
    }
    let screen = try Screen()
    let wakeups = Wakeups(["."], of: data.reader.spool, writes: false)
    let clock = ContinuousClock()
    var isHeld = false
    var isDue = true
    var looked = clock.now
    while true {
      // A look may cost a tenth of the time at most, and pictures come no faster than an eye reads them.
      let pause = max(.milliseconds(300), data.cost * 10)
      if isDue, !isHeld, clock.now - looked >= pause {
        try data.look()
        looked = clock.now
        isDue = false
      }
      let size = screen.size
      let foot = isHeld ? "held still: p goes on, q ends" : "q ends, p holds still"
      screen.draw(TopFrame.lines(data, columns: size.columns, rows: size.rows, foot: foot))
      switch screen.wait(wakeups.descriptor, atMost: isDue && !isHeld ? pause : rest(data)) {
      case .key(UInt8(ascii: "q")), .key(UInt8(ascii: "Q")), .end: return
      case .key(UInt8(ascii: "p")), .key(UInt8(ascii: " ")):
        isHeld.toggle()
        isDue = true
      case .readable: isDue = wakeups.take { $0 == "status.json" || $0 == "lock" } || isDue
      case .timeout: isDue = true
      case .key, .changed: break
      }
    }
  }

  /// While jobs run, their time goes on; otherwise there is little that no event tells of.
  private func rest(_ data: TopData) -> Duration {
    data.reader.status?.running.isEmpty == false ? .seconds(1) : .seconds(5)
  }
}
