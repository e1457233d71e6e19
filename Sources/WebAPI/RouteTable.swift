/// All routes, and how a request gets to its own: the token is checked, the query decoded, the code run. A path that is there
/// with other methods answers 405 and names them.
internal import HTTPTypes
package import Hummingbird
internal import JobModel
internal import Logging

package enum RouteTable {
  /// Every route of the program. A resource adds its own here.
  package static let all: [Route] =
    PageRoutes.all + HealthRoutes.all + OpenAPI.all + MeRoutes.all + LoginRoutes.all + JobListRoutes.all
    + SubmitRoutes.all + JobRoutes.all + JobPartRoutes.all + VerbRoutes.all + DeadRoutes.all + TypeRoutes.all
    + ScheduleRoutes.all + QueueRoutes.all + StatsRoutes.all + SystemRoutes.all + JobFileRoutes.all + MetricsRoutes.all
    + EventRoutes.all

  /// The OpenAPI document.
  package static var document: [UInt8] { OpenAPI.document }

  package static func router(_ state: WebState) -> Router<WebContext> {
    let router = Router(context: WebContext.self)
    router.add(middleware: Answering(state: state))
    for route in all {
      router.on(RouterPath(route.path), method: route.method) { request, context in
        try await run(route, request, context, state)
      }
      if route.method == .get {
        router.on(RouterPath(route.path), method: .head) { request, context in
          try await run(route, request, context, state).createHeadResponse()
        }
      }
    }
    return router
  }

  /// The methods a path takes; none when there is no such path.
  static func methods(of path: String) -> [String] {
    let parts = path.split(separator: "/")
    var names: [String] = []
    for route in all {
      let expected = route.path.split(separator: "/")
      guard expected.count == parts.count, zip(expected, parts).allSatisfy({ $0.first == "{" || $0 == $1 }) else {
        continue
      }
      for name in route.method == .get ? ["GET", "HEAD"] : [route.method.rawValue] where !names.contains(name) {
        names.append(name)
      }
    }
    return names
  }

  private static func run(
    _ route: Route, _ request: Request, _ context: WebContext, _ state: WebState
  ) async throws -> Response {
    let identity = try await Gate.admit(request, to: route.access, state, from: context.peer)
    var captured: [String: String] = [:]
    // The router overlooks empty parts; a proxy's rule for /v1/ would not.
    guard !(request.head.path ?? "").prefix(while: { $0 != "?" }).contains("//") else {
      throw Problem(.notFound, "not_found", "there is no such path; /openapi.json lists them all")
    }
    for (name, value) in context.parameters {
      guard let text = Query.decoded(value, plusIsSpace: false) else {
        throw Problem(.notFound, "not_found", "the path is not percent-encoded UTF-8")
      }
      captured[String(name)] = text
    }
    let query = try Query(request.uri.query ?? "")
    let response = try await route.handle(
      Call(request: request, state: state, identity: identity, query: query, captured: captured))
    // What was changed is worth a line; submissions have theirs in the audit log.
    if let identity, request.method != .get, request.method != .head, route.access != .submit {
      let who = identity.subject.isEmpty ? "a token without subject" : identity.subject
      state.logger.info("\(who) (\(identity.role)) from \(context.peer): \(request.method) \(request.uri.path)")
    }
    return response
  }
}
