/// The list of routes, and the document made from it.
import HTTPTypes
import JobModel
import Testing
import WebAPI

@Suite("Routes")
struct RouteTableTests {
  @Test("the document names every route and no other, with the same access")
  func document() throws {
    let document = try JSONReader.parse(RouteTable.document)
    var told: Set<String> = []
    for path in document["paths"]?.members ?? [] {
      for operation in path.value.members ?? [] {
        told.insert("\(operation.key.uppercased()) \(path.key) \(operation.value["x-access"]?.string ?? "")")
      }
    }
    #expect(told == Set(RouteTable.all.map { "\($0.method.rawValue) \($0.path) \($0.access.rawValue)" }))
    #expect(told.count > 20)
  }

  @Test("no two routes share method and path, or an operation's name")
  func unique() {
    let routes = RouteTable.all
    #expect(Set(routes.map { "\($0.method.rawValue) \($0.path)" }).count == routes.count)
    #expect(Set(routes.map(\.operation.id)).count == routes.count)
  }

  @Test("a captured name is a parameter of its operation, and the other way round")
  func captures() {
    for route in RouteTable.all {
      let captured = route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
        String($0.dropFirst().dropLast())
      }
      #expect(captured == route.operation.parameters.filter { $0.place == .path }.map(\.name), "\(route.path)")
    }
  }

  @Test("every schema that is referred to is there, and is JSON")
  func references() throws {
    let text = String(decoding: RouteTable.document, as: UTF8.self)
    let document = try JSONReader.parse(RouteTable.document)
    let known = Set((document["components"]?["schemas"]?.members ?? []).map(\.key))
    var at = text.startIndex
    var found = 0
    while let range = text[at...].firstRange(of: "#/components/schemas/") {
      let name = String(text[range.upperBound...].prefix { $0 != "\"" })
      #expect(known.contains(name), "\(name)")
      found += 1
      at = range.upperBound
    }
    #expect(found > 50)
  }

  @Test("only what a browser must reach without a token is open")
  func open() {
    let open = Set(RouteTable.all.filter { $0.access == .open }.map(\.path))
    #expect(open == ["/", "/assets/{name}", "/healthz", "/readyz", "/openapi.json", "/v1/login"])
  }

  @Test("what changes something asks for more than a reader's role")
  func changes() {
    for route in RouteTable.all where route.method != .get && !route.path.hasPrefix("/v1/login") {
      #expect(!Role.viewer.may(route.access), "\(route.method) \(route.path)")
    }
  }
}
