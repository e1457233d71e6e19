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
    var methods: [String: [HTTPRequest.Method]] = [:]
    var paths: [String] = []
    for route in all {
      if methods[route.path] == nil { paths.append(route.path) }
      methods[route.path, default: []].append(route.method)
      router.on(RouterPath(route.path), method: route.method) { request, context in
        try await run(route, request, context, state)
      }
      if route.method == .get {
        methods[route.path, default: []].append(.head)
        router.on(RouterPath(route.path), method: .head) { request, context in
          try await run(route, request, context, state).createHeadResponse()
        }
      }
    }
    for path in paths {
      let known = methods[path] ?? []
      for method in [HTTPRequest.Method.get, .head, .post, .put, .delete, .patch, .options, .trace, .connect]
      where !known.contains(method) {
        router.on(RouterPath(path), method: method) { _, _ -> Response in
          let names = known.map(\.rawValue).joined(separator: ", ")
          var problem = Problem(.methodNotAllowed, "method_not_allowed", "this path takes \(names)")
          problem.allow = names
          throw problem
        }
      }
    }
    return router
  }

  private static func run(
    _ route: Route, _ request: Request, _ context: WebContext, _ state: WebState
  ) async throws -> Response {
    let identity = try await Gate.admit(request, to: route.access, state, from: context.peer)
    var captured: [String: String] = [:]
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
