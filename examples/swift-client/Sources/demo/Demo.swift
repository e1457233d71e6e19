/// Both sides of a job in one program: `demo work` is the handler, `demo greet SPOOL NAME` submits a job and waits for it.
import JobspoolClient

@main
struct Demo {
  static func main() async throws {
    let arguments = CommandLine.arguments
    switch arguments.dropFirst().first {
    case "work":
      await JobspoolWorker.run { job in
        job.progress(50, stage: "greeting")
        guard job.payload.hasPrefix("\"") else {
          throw JobFailure(code: "no_name", "the payload has to be a name", isFinal: true)
        }
        return "{\"greeting\":[\"hello\",\(job.payload)]}"
      }
    case "greet" where arguments.count == 4:
      let spool = try Jobspool(arguments[2])
      let id = try await spool.submit(NewJob("greet", payload: "\"\(arguments[3])\""))
      let end = try await spool.wait(for: id, timeout: .seconds(30))
      print(end.outcome, end.result ?? end.errorMessage ?? "")
    default:
      print("usage: demo work | demo greet SPOOL NAME")
    }
  }
}
