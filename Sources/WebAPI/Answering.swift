/// The outermost step of every request: whatever went wrong becomes a problem that says so, what is our own trouble gets an
/// incident id that the log has too, and every answer carries the headers that keep a browser safe.
internal import CSpoolShims
internal import HTTPTypes
package import Hummingbird
internal import JobModel
internal import Logging
internal import NIOCore
internal import SpoolStore

package struct Answering: RouterMiddleware {
  package let state: WebState

  package init(state: WebState) { self.state = state }

  package func handle(
    _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
  ) async throws -> Response {
    var response: Response
    do {
      response = try await next(request, context)
    } catch let problem as Problem {
      response = problem.response
    } catch let error as SpoolError {
      response = (Problem(error) ?? incident(error, request)).response
    } catch let error as any HTTPResponseError {
      response = Answering.problem(error, request).response
    } catch {
      response = incident(error, request).response
    }
    response.headers[.xContentTypeOptions] = "nosniff"
    response.headers[Answering.referrerPolicy] = "no-referrer"
    if response.headers[.contentSecurityPolicy] == nil {
      response.headers[.contentSecurityPolicy] = "default-src 'none'; frame-ancestors 'none'"
    }
    return response
  }

  static let referrerPolicy = HTTPField.Name("Referrer-Policy") ?? .location

  private static func problem(_ error: any HTTPResponseError, _ request: Request) -> Problem {
    switch error.status {
    case .notFound:
      let methods = RouteTable.methods(of: request.uri.path)
      guard !methods.isEmpty else {
        return Problem(.notFound, "not_found", "there is no such path; /openapi.json lists them all")
      }
      let names = methods.joined(separator: ", ")
      var problem = Problem(.methodNotAllowed, "method_not_allowed", "this path takes \(names)")
      problem.allow = names
      return problem
    case .contentTooLarge: return Problem(.contentTooLarge, "too_large", "the body is too large")
    default: return Problem(error.status, "bad_request", error.status.reasonPhrase)
    }
  }

  private func incident(_ error: any Error, _ request: Request) -> Problem {
    let id = JobID.make(at: .current, random: (spool_random(), spool_random()))
    state.logger.error("incident \(id): \(request.method) \(request.uri.path): \(error)")
    var problem = Problem(
      .internalServerError, "internal", "something went wrong here; the log of jobspool-web has the incident \(id)")
    problem.incident = id
    return problem
  }
}
