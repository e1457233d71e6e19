/// The library as a program of somebody else's sees it, on a real spool; the other modules only name its folders.
import JobModel
import JobspoolClient
import SpoolStore
import SpoolTestSupport
import Testing

@Suite("JobspoolClient")
struct JobspoolTests {
  let test: TestSpool
  let spool: Jobspool

  init() throws {
    test = try TestSpool()
    spool = try Jobspool(test.path)
  }

  private func code(_ body: () async throws -> Void) async -> JobspoolError.Code? {
    do { try await body() } catch { return (error as? JobspoolError)?.code }
    return nil
  }

  @Test("what is submitted lies in new, with the payload as it was given")
  func submit() async throws {
    var job = NewJob("echo", payload: "{\"a\": 1.0, \"a\": \"\u{e4}\"}")
    job.priority = 3
    job.tags = ["nightly", "a \"b\""]
    job.delay = .seconds(90)
    job.meta = "{\"order\":7}"
    let id = try await spool.submit(job)
    let text = try #require(test.text(id, .new))
    #expect(
      text == "{\"type\":\"echo\",\"priority\":3,\"delay\":\"90000ms\",\"tags\":[\"nightly\",\"a \\\"b\\\"\"],"
        + "\"meta\":{\"order\":7},\"payload\":{\"a\": 1.0, \"a\": \"\u{e4}\"}}\n")
    #expect(try spool.place(of: id) == .new)
    #expect(try spool.end(of: id) == nil)
  }

  @Test("many tasks at once get an id each, and every job is there whole")
  func concurrent() async throws {
    let ids = try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<300 {
        group.addTask { [spool] in try await spool.submit(NewJob("echo", payload: "\(number)")) }
      }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(ids.count == 300)
    #expect(Set(test.names(in: .new)) == Set(ids.map { "\($0).json" }))
    #expect(test.names(in: .tmp).isEmpty)
  }

  @Test("of many submitted together each is accepted or refused by itself, in order")
  func several() async throws {
    try await spool.submit(NewJob("echo", id: "taken"))
    let results = await spool.submit([
      NewJob("echo", id: "a"), NewJob("echo", payload: "{", id: "b"), NewJob("echo", id: "taken"),
      NewJob("echo", id: "c"),
    ])
    #expect(results.map { try? $0.get() } == ["a", nil, nil, "c"])
    guard case .failure(let bad) = results[1], case .failure(let taken) = results[2] else { return }
    #expect(bad.code == .badJob && taken.code == .exists)
    #expect(await spool.submit([NewJob]()).isEmpty)
  }

  @Test("the same id, or the same key, makes one job")
  func unique() async throws {
    var job = NewJob("echo")
    job.uniqueKey = "order 7"
    let id = try await spool.submit(job)
    #expect(id.hasPrefix("echo-"))
    #expect(await code { try await spool.submit(job) } == .exists)
    job.id = "x"
    #expect(await code { try await spool.submit(job) } == .badJob)
  }

  @Test(
    "what the daemon would refuse is refused, and nothing is written",
    arguments: ["{\"a\":1}}", "{\"a\":1},\"priority\":0,\"x\":{", "", "[1,]"])
  func badPayload(_ payload: String) async throws {
    #expect(await code { try await spool.submit(NewJob("echo", payload: payload)) } == .badJob)
    #expect(await code { try await spool.submit(NewJob("Not A Type")) } == .badJob)
    #expect(await code { try await spool.submit(NewJob("jobspool.notify")) } == .badJob)
    #expect(test.names(in: .new).isEmpty && test.names(in: .tmp).isEmpty)
  }

  @Test("an end is told with result and error")
  func ends() async throws {
    let record =
      "\"jobspool\":{\"id\":\"a\",\"state\":\"dead\",\"outcome\":\"failed\",\"submitted_at\":\"2026-01-01T00:00:00.000Z\","
      + "\"attempt\":0,\"attempts\":[],\"result\":[1, 2],\"error\":{\"code\":\"no\",\"message\":\"not now\"},"
      + "\"updated_at\":\"2026-01-01T00:00:00.000Z\",\"node\":\"n\"}"
    try test.drop("a", "{\"type\":\"echo\",\(record)}", into: .dead)
    let end = try await spool.wait(for: "a", timeout: .seconds(5))
    #expect(!end.isDone && end.outcome == "failed" && end.result == "[1, 2]")
    #expect(end.errorCode == "no" && end.errorMessage == "not now")
  }

  @Test("waiting ends with the time, and for a job that is nowhere")
  func waiting() async throws {
    let id = try await spool.submit(NewJob("echo"))
    #expect(await code { _ = try await spool.wait(for: id, timeout: .milliseconds(20)) } == .timeout)
    #expect(await code { _ = try await spool.wait(for: "nowhere") } == .noSuchJob)
    #expect(await code { _ = try await spool.wait(for: "../etc") } == .badJob)
  }

  @Test("a folder that is no spool says so")
  func noSpool() async throws {
    #expect(await code { _ = try Jobspool("\(test.path)/new") } == .noSpool)
  }
}
