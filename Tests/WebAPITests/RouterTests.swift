/// The router without a socket: what each kind of request is answered with.
import HTTPTypes
import JobModel
import Testing

@Suite("Router")
struct RouterTests {
  @Test("what is there answers, what is not says so")
  func paths() async throws {
    let scene = try WebScene()
    let health = try await scene.ask(.get, "/healthz")
    #expect(health.status == 200 && health.json?["status"]?.string == "ok")
    let nowhere = try await scene.ask(.get, "/nowhere")
    #expect(nowhere.status == 404 && nowhere.headers[.contentType] == "application/problem+json")
    let wrong = try await scene.ask(.post, "/healthz")
    #expect(wrong.status == 405 && wrong.headers[.allow] == "GET, HEAD")
    let unheard = try await scene.ask(.init("BREW") ?? .get, "/v1/jobs/pot")
    #expect(unheard.status == 405 && unheard.headers[.allow] == "GET, HEAD, DELETE, PUT")
    #expect(try await scene.ask(.head, "/healthz").bytes.isEmpty)
  }

  @Test("the page comes with its policy, and is not sent twice")
  func page() async throws {
    let scene = try WebScene()
    let page = try await scene.ask(.get, "/")
    #expect(page.status == 200)
    #expect(page.headers[.contentSecurityPolicy]?.contains("default-src 'none'; script-src 'self'") == true)
    let tag = try #require(page.headers[.eTag])
    #expect(try await scene.ask(.get, "/", headers: [.ifNoneMatch: tag]).status == 304)
    #expect(try await scene.ask(.get, "/assets/../index.html").status == 404)
  }

  @Test("a role may do what it is for, and no more")
  func roles() async throws {
    let scene = try WebScene()
    #expect(try await scene.ask(.get, "/v1/jobs").status == 401)
    #expect(try await scene.ask(.get, "/v1/jobs", as: scene.token("viewer")).status == 200)
    let submitted = try await scene.ask(.post, "/v1/jobs", as: scene.token("viewer"), #"{"type":"a"}"#)
    #expect(submitted.status == 403 && submitted.code == "forbidden")
    #expect(try await scene.ask(.get, "/v1/dead", as: scene.token("producer")).status == 403)
    #expect(try await scene.ask(.delete, "/v1/jobs/x", as: scene.token("operator")).status == 403)
    #expect(try await scene.ask(.get, "/v1/me", as: scene.token("admin", lifetime: .seconds(-60))).status == 401)
    // Only a daemon may delete, and there is none.
    #expect(try await scene.ask(.delete, "/v1/jobs/x", as: scene.token("admin")).status == 503)
  }

  @Test("a misspelled parameter is named")
  func parameters() async throws {
    let scene = try WebScene()
    let answer = try await scene.ask(.get, "/v1/jobs?stat=done", as: scene.token("viewer"))
    #expect(answer.status == 400 && answer.json?["key"]?.string == "stat")
  }

  @Test("a job is accepted once it is in the spool, and carries the token's subject")
  func submitting() async throws {
    let scene = try WebScene()
    try scene.handler("a")
    let token = scene.token("producer", subject: "bob")
    let answer = try await scene.ask(.post, "/v1/jobs", as: token, #"{"type":"a","payload":"x"}"#)
    #expect(answer.status == 202)
    let id = try #require(answer.json?["id"]?.string)
    #expect(answer.headers[.location] == "/v1/jobs/\(id)")
    let job = try await scene.ask(.get, "/v1/jobs/\(id)", as: token)
    #expect(job.status == 200 && job.json?["submitted_by"]?["subject"]?.string == "bob")
    // To another producer it is none.
    #expect(try await scene.ask(.get, "/v1/jobs/\(id)", as: scene.token("producer", subject: "eve")).status == 404)
    let again = try await scene.ask(.post, "/v1/jobs", as: token, #"{"type":"a","id":"\#(id)"}"#)
    #expect(again.status == 409 && again.json?["id"]?.string == id)
  }
}
