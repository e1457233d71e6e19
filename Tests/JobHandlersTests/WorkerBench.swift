import Glibc
import JobEngine
import JobModel
import Testing

@testable import JobHandlers

/// A worker that does what each job says, so that a test reads as a list of jobs.
extension HandlerBench {
  private static let script = #"""
    import json, os, signal, sys, time
    def say(**line):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    held = []
    for text in sys.stdin:
        job = json.loads(text)
        id, do = job["id"], job["do"]
        if do == "ok":
            say(id=id, ok=True)
        elif do == "echo":
            say(id=id, ok=True, result=job["value"])
        elif do == "pid":
            say(id=id, ok=True, result=os.getpid())
        elif do == "environment":
            say(id=id, ok=True, result={k: v for k, v in os.environ.items() if k.startswith("JOBSPOOL")})
        elif do == "hold":
            held.append(id)
            say(id=id, stage="held")
        elif do == "flush":
            for other in reversed(held):
                say(id=other, ok=True, result="held")
            held = []
            say(id=id, ok=True)
        elif do == "write":
            sys.stdout.write(job["text"].replace("ID", id) * job.get("times", 1))
            sys.stdout.flush()
        elif do == "beat":
            for _ in range(job["times"]):
                say(id=id, heartbeat=True)
                time.sleep(0.1)
            say(id=id, ok=True)
        elif do == "complain":
            sys.stderr.write(job["text"])
            sys.stderr.flush()
            say(id=id, ok=True)
        elif do == "detach":
            if os.fork() == 0:
                os.setsid()
                os.execvp("sleep", ["sleep", "600"])
            say(id=id, ok=True)
        elif do == "exit":
            os._exit(job["code"])
        elif do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    """#

  /// Settings of a type with that worker.
  func worker(concurrency: Int = 1, processes: Int? = nil) -> HandlerSettings {
    let path = write(HandlerBench.script, to: "worker.py")
    var settings = HandlerSettings(type: "test", file: "\(folder)/test.toml", command: ["python3", path])
    settings.mode = .worker
    settings.concurrency = concurrency
    settings.processes = processes
    settings.grace = .seconds(2)
    return settings
  }

  /// Settings of a type whose worker is a shell script.
  func shellWorker(_ script: String, concurrency: Int = 1) -> HandlerSettings {
    var settings = shell(script)
    settings.mode = .worker
    settings.concurrency = concurrency
    settings.processes = 1
    settings.grace = .milliseconds(300)
    return settings
  }

  /// A job for that worker.
  func job(
    _ settings: HandlerSettings, _ id: String, _ what: String, timeout: Duration = .seconds(60),
    stalledAfter: Duration? = nil
  ) -> AttemptRequest {
    request(
      settings, id: id, input: Array("{\"id\":\"\(id)\",\(what)}\n".utf8), timeout: timeout, stalledAfter: stalledAfter)
  }

  /// Starts a job that stays in the worker, and waits until it is there.
  func hold(
    _ settings: HandlerSettings, _ id: String, timeout: Duration = .seconds(60)
  ) throws {
    try start(job(settings, id, #""do":"hold""#, timeout: timeout))
    try wait { self.stages(id) == ["held"] }
  }

  /// Runs a job that asks for the worker's process id.
  func pid(_ settings: HandlerSettings, _ id: String) throws -> String {
    try #require(try run(job(settings, id, #""do":"pid""#)).text)
  }

  func progress(_ id: String) -> [ProgressUpdate] {
    (events[id] ?? []).compactMap { event in
      guard case .progress(let update) = event else { return nil }
      return update
    }
  }

  func stages(_ id: String) -> [String] { progress(id).compactMap(\.stage) }

  var workerLog: String { read("\(folder)/log/workers/test.log") }

  /// Ends all workers, and waits for it.
  func closeWorkers() throws {
    var isClosed = false
    runner.close { isClosed = true }
    try wait { isClosed }
  }
}
