/// Lists, figures and metrics over the router, from a spool with some past.
import HTTPTypes
import JobModel
import SpoolHistory
import SpoolStore
import SpoolTestSupport
import Testing

@testable import WebAPI

@Suite("Lists and figures")
struct FigureTests {
  private let scene: WebScene

  init() throws {
    scene = try WebScene()
    let audit = try scene.spool.transitions(at: .current).audit
    for number in 0..<30 {
      let id = "job-\(number)"
      let at = WallTime.current
      try audit.append(.submitted, at: at, job: id, type: "mail", to: .new, by: "anna") { writer in
        writer.key("uid")
        writer.int(1000)
        writer.key("submitted_at")
        writer.time(at)
        writer.key("meta")
        writer.raw(Array("{\"order\":\"o\(number)\"}".utf8))
      }
      try audit.append(.claimed, at: at, job: id, type: "mail", from: .new, to: .cur, attempt: 1) {
        $0.key("wait_us")
        $0.int(2000)
      }
      let isDead = number % 10 == 0
      try audit.append(
        isDead ? .buried : .finished, at: at, job: id, type: "mail", from: .cur, to: isDead ? .dead : .done, attempt: 1
      ) { writer in
        writer.key("run_us")
        writer.int(300_000)
        guard isDead else { return }
        var record = JobRecord(id: id, state: .dead, submittedAt: at, updatedAt: at, node: "node-a")
        (record.outcome, record.error) = (.failed, JobError(code: "exit", message: "exit code \(number)"))
        writer.key("record")
        record.write(to: &writer)
      }
      try scene.spool.drop(id, "{\"type\":\"mail\"}", into: isDead ? .dead : .done)
    }
    try audit.commit()
    try scene.state.feed.load()
  }

  private func get(_ path: String) async throws -> (status: Int, body: String) {
    let answer = try await scene.ask(.get, path, as: scene.token("viewer"))
    return (answer.status, String(decoding: answer.bytes, as: UTF8.self))
  }

  private func json(_ path: String) async throws -> JSONValue {
    let (status, body) = try await get(path)
    #expect(status == 200, "\(path): \(body)")
    return try JSONReader.parse(Array(body.utf8))
  }

  @Test("pages follow one another without a gap, and the total stays")
  func pages() async throws {
    var ids: [String] = []
    var path = "/v1/jobs?limit=7&sort=finished"
    while true {
      let page = try await json(path)
      #expect(page["total"]?.int == 30)
      #expect(page["complete"]?.bool == true)
      ids += page["jobs"]?.array?.compactMap { $0["id"]?.string } ?? []
      guard let next = page["next"]?.string else { break }
      path = "/v1/jobs?limit=7&sort=finished&cursor=\(next)"
    }
    #expect(ids.count == 30)
    #expect(Set(ids).count == 30)
    #expect(try await get("/v1/jobs?cursor=x").status == 400)
    #expect(try await get("/v1/jobs?colour=red").status == 400)
  }

  @Test("filters narrow it down")
  func filters() async throws {
    #expect(try await json("/v1/jobs?state=dead")["total"]?.int == 3)
    #expect(try await json("/v1/jobs?state=failed&state=hold")["total"]?.int == 3)
    #expect(try await json("/v1/jobs?meta.order=o7")["jobs"]?.array?.first?["id"]?.string == "job-7")
    #expect(try await json("/v1/jobs?q=EXIT%20CODE%202")["total"]?.int == 1)
    #expect(try await json("/v1/jobs?submitted_by=anna&type=mail&limit=1")["total"]?.int == 30)
    let groups = try await json("/v1/dead")
    #expect(groups["groups"]?.array?.count == 1)
    let group = try #require(groups["groups"]?.array?.first?["filter"]?["error_group"]?.string)
    #expect(try await json("/v1/jobs?state=dead&error_group=\(group)")["total"]?.int == 3)
  }

  @Test("queue and statistics count what the log says")
  func figures() async throws {
    let queue = try await json("/v1/queue")
    #expect(queue["counts"]?["done"]?.int == 27)
    #expect(queue["counts"]?["dead"]?.int == 3)
    #expect(queue["outcomes"]?["failed"]?.int == 3)
    #expect(queue["lifetime"]?["submitted"]?.int == 30)
    #expect(queue["daemon"]?["running"]?.bool == false)
    let stats = try await json("/v1/stats")
    #expect(stats["success_rate"]?.double == 0.9)
    #expect(stats["days"]?.array?.count == 7)
    #expect(stats["minutes"]?.array?.count == 60)
    #expect(stats["types"]?.array?.first?["submitted"]?.int == 30)
    #expect(stats["run"]?["p50_s"]?.double.map { $0 > 0.2 && $0 < 0.4 } == true)
  }

  @Test("metrics are what Prometheus reads: each family once, buckets that only grow, and no id")
  func metrics() async throws {
    let (status, text) = try await get("/metrics")
    #expect(status == 200)
    #expect(text.contains("jobspool_jobs_finished_total{type=\"mail\",outcome=\"done\"} 27\n"))
    #expect(text.contains("jobspool_jobs{state=\"dead\",type=\"mail\"} 3\n"))
    #expect(text.contains("jobspool_job_run_seconds_bucket{type=\"mail\",le=\"0.25\"} 0\n"))
    #expect(text.contains("jobspool_job_run_seconds_bucket{type=\"mail\",le=\"0.5\"} 30\n"))
    #expect(text.contains("jobspool_job_run_seconds_count{type=\"mail\"} 30\n"))
    #expect(!text.contains("job-"))
    let families = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }
    #expect(Set(families).count == families.count)
  }

  @Test("live events without an upgrade say what to do")
  func events() async throws {
    let (status, body) = try await get("/v1/events")
    #expect(status == 426)
    #expect(body.contains("WebSocket"))
    #expect(EventsGate.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  }
}
