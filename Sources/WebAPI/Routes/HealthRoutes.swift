/// `/healthz`: this program answers. `/readyz`: a job submitted now would be taken, and one that waits would be run.
internal import HTTPTypes
internal import Hummingbird
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum HealthRoutes {
  static let all: [Route] = [
    Route(
      .get, "/healthz", .open,
      Operation("health", "Whether this program answers.", answers: [(200, "It does.", [.ref("Health")])])
    ) { call in
      call.json { writer in
        writer.beginObject()
        writer.key("status")
        writer.string("ok")
        writer.endObject()
      }
    },
    Route(
      .get, "/readyz", .open,
      Operation(
        "ready", "Whether jobs are taken and run.",
        answers: [(200, "They are.", [.ref("Ready")]), (503, "Not all of it.", [.ref("Ready")])])
    ) { call in
      let (daemon, checks, intake) = try await call.read { reader in
        let checks = problems(reader)
        return (reader.hasDaemon, checks.all, checks.intake)
      }
      return call.json(daemon && intake ? .ok : .serviceUnavailable) { writer in
        writer.beginObject()
        writer.key("status")
        writer.string(daemon && intake ? "ok" : "not ready")
        writer.key("daemon")
        writer.bool(daemon)
        writer.key("intake")
        writer.bool(intake)
        writer.key("checks")
        writer.beginArray()
        for check in checks { writer.string(check) }
        writer.endArray()
        writer.endObject()
      }
    },
  ]

  /// What is wrong, in sentences that name nothing secret: this route needs no token.
  private static func problems(_ reader: SpoolReader) -> (all: [String], intake: Bool) {
    var all: [String] = []
    var intake = true
    if !reader.hasDaemon { all.append("no daemon runs on the spool") }
    if let settings = reader.configuration?.settings, let space = try? FreeSpace(reader.spool) {
      if space.isBelow(settings.minFree) {
        intake = false
        all.append("the disk has less than min_free left")
      }
    }
    if reader.status?.paused == true { all.append("all types are paused") }
    return (all, intake)
  }
}
