/// The router without a socket: what each kind of request is answered with.
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JobModel
import Logging
import NIOCore
import NIOPosix
import SpoolStore
import SpoolTestSupport
import Testing
import WebAPI

@Suite("Router")
struct RouterTests {
  @Test("what is there answers, what is not says so")
  func paths() async throws {
    let scene = try WebScene()
    try await scene.test { client in
      try await client.execute(uri: "/healthz", method: .get) { response in
        #expect(response.status == .ok)
        #expect(String(buffer: response.body) == #"{"status":"ok"}"#)
      }
      try await client.execute(uri: "/nowhere", method: .get) { response in
        #expect(response.status == .notFound)
        #expect(response.headers[.contentType] == "application/problem+json")
      }
      try await client.execute(uri: "/healthz", method: .post) { response in
        #expect(response.status == .methodNotAllowed)
        #expect(response.headers[.allow] == "GET, HEAD")
      }
      try await client.execute(uri: "/", method: .get) { response in
        #expect(response.status == .ok)
        #expect(response.headers[.contentSecurityPolicy]?.contains("default-src 'none'") == true)
        #expect(response.headers[.eTag] != nil)
      }
      try await client.execute(uri: "/v1/jobs", method: .get) { response in
        #expect(response.status == .unauthorized)
        #expect(response.headers[.wwwAuthenticate] == "Bearer")
      }
    }
  }
}
