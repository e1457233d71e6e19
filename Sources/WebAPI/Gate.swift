/// Lets a request in: the token, and whether its role may do what the route does.
internal import HTTPTypes
package import Hummingbird
internal import JobModel
internal import Logging
internal import SpoolConfig

package enum Gate {
  /// Who asks; nil on an open route.
  package static func admit(
    _ request: Request, to access: Access, _ state: WebState, from peer: String
  ) async throws -> Identity? {
    guard access != .open else { return nil }
    func refused(_ problem: Problem, _ who: String) -> Problem {
      let asked = "\(request.method) \(request.uri.path.prefix(200))"
      state.logger.notice("refused \(who) from \(peer): \(asked): \(problem.status.code) \(problem.detail)")
      return problem
    }
    let identity: Identity
    do { identity = try await self.identity(request, state) } catch let problem as Problem {
      throw refused(problem, "somebody")
    }
    let who = "\(identity.subject.isEmpty ? "a token without subject" : identity.subject) (\(identity.role))"
    let web = try await state.judging().web
    if let wait = state.limits.wait(for: identity, web, now: .current) {
      let seconds = max(1, Int(wait.inSeconds.rounded(.up)))
      var problem = Problem(
        .tooManyRequests, "rate_limited",
        "too many requests; the next may come in \(DurationText.format(.seconds(seconds)))", key: "limit")
      problem.retryAfter = seconds
      throw refused(problem, who)
    }
    guard identity.role.may(access) else {
      throw refused(
        Problem(.forbidden, "forbidden", "the role \(identity.role.rawValue) may not do this (\(access.rawValue))"), who
      )
    }
    return identity
  }

  /// Who the header's token is for.
  package static func identity(_ request: Request, _ state: WebState) async throws -> Identity {
    let values = request.headers[values: .authorization]
    guard let value = values.first, values.count == 1 else {
      throw Problem(
        .unauthorized, "no_token", "send a token: Authorization: Bearer TOKEN ('jobspool token create' makes one)")
    }
    let parts = value.split(separator: " ", omittingEmptySubsequences: true)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else {
      throw Problem(.unauthorized, "bad_token", "expected Authorization: Bearer TOKEN")
    }
    return try await identity(token: String(parts[1]), state)
  }

  /// Who a token is for, wherever it was sent.
  package static func identity(token: String, _ state: WebState) async throws -> Identity {
    let (keys, web) = try await state.judging()
    do throws(TokenRefusal) {
      return try await state.tokens.identity(of: token, keys: keys, web: web, now: .current)
    } catch {
      throw error.problem(state.logger)
    }
  }
}
