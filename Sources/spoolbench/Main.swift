/// Submits through the library, as a server of ours would, and says how fast that went. The limits in C, the daemon and the
/// other queues are bench.py's part, which also starts this program.
import JobspoolClient

/// Several clients of one kind of work in one process: `spoolbench submit SPOOL COUNT CLIENTS` each waits for its job to be
/// accepted before it submits the next; `spoolbench batch SPOOL COUNT SIZE` gives SIZE at a time to the library.
@main
struct Main {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 5, let count = Int(arguments[3]), let size = Int(arguments[4]), size > 0 else {
      print("usage: spoolbench submit|batch SPOOL COUNT CLIENTS|SIZE   (the whole benchmark: make bench)")
      return
    }
    let spool = try Jobspool(arguments[2])
    let clock = ContinuousClock()
    let began = clock.now
    switch arguments[1] {
    case "submit": try await submit(spool, count, clients: size)
    case "batch": try await batches(spool, count, of: size)
    default: return print("spoolbench: nothing is called \(arguments[1])")
    }
    let took = Double((clock.now - began) / .nanoseconds(1)) / 1e9
    print(
      "{\"what\":\"\(arguments[1])\",\"count\":\(count),\"seconds\":\(took),\"per_second\":\(Double(count) / took)}")
  }

  /// As long as what limits.c writes.
  private static func job(_ number: Int) -> NewJob {
    NewJob("noop", payload: "{\"n\":\(number),\"to\":\"ada@example.org\",\"subject\":\"hello\"}")
  }

  private static func submit(_ spool: Jobspool, _ count: Int, clients: Int) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for client in 0..<clients {
        group.addTask {
          for number in stride(from: client, to: count, by: clients) { _ = try await spool.submit(job(number)) }
        }
      }
      try await group.waitForAll()
    }
  }

  private static func batches(_ spool: Jobspool, _ count: Int, of size: Int) async throws {
    for start in stride(from: 0, to: count, by: size) {
      for result in await spool.submit((start..<min(start + size, count)).map(job)) { _ = try result.get() }
    }
  }
}
