/// One route as it is declared: what is asked for, who may, what it answers, and the code. The OpenAPI document is made from the
/// same declarations, so the two cannot disagree about which routes there are.
package import HTTPTypes
package import Hummingbird

package struct Route: Sendable {
  package var method: HTTPRequest.Method
  /// With captures in braces: `/v1/jobs/{id}`.
  package var path: String
  package var access: Access
  package var operation: Operation
  package var handle: @Sendable (Call) async throws -> Response

  package init(
    _ method: HTTPRequest.Method, _ path: String, _ access: Access, _ operation: Operation,
    _ handle: @escaping @Sendable (Call) async throws -> Response
  ) {
    self.method = method
    self.path = path
    self.access = access
    self.operation = operation
    self.handle = handle
  }
}

/// What OpenAPI says about a route.
package struct Operation: Sendable {
  package struct Parameter: Sendable {
    package enum Place: String, Sendable { case path, query, header }
    package var name: String
    package var place: Place
    package var about: String
    /// JSON text of its schema.
    package var schema: String
    package var isRequired: Bool
    /// May be given several times.
    package var isRepeated: Bool

    package init(
      _ name: String, in place: Place = .query, _ about: String, schema: String = #"{"type":"string"}"#,
      required: Bool = false, repeated: Bool = false
    ) {
      self.name = name
      self.place = place
      self.about = about
      self.schema = schema
      isRequired = required || place == .path
      isRepeated = repeated
    }
  }

  /// A body by its media type.
  package struct Content: Sendable {
    package var type: String
    /// JSON text of its schema; `#/components/schemas/X` refers to `Schemas`.
    package var schema: String

    package init(_ type: String, _ schema: String) {
      self.type = type
      self.schema = schema
    }

    package static func json(_ schema: String) -> Content { Content("application/json", schema) }
    /// A schema of the document.
    package static func ref(_ name: String) -> Content { .json(##"{"$ref":"#/components/schemas/\##(name)"}"##) }
    package static let text = Content("text/plain", #"{"type":"string"}"#)
  }

  package var id: String
  package var summary: String
  package var parameters: [Parameter] = []
  package var body: [Content] = []
  /// Status and content of what is no problem.
  package var answers: [(status: Int, about: String, content: [Content])]
  /// Statuses of problems beside those every route may have (400, 401, 403, 404, 405, 429, 500).
  package var problems: [Int] = []

  package init(
    _ id: String, _ summary: String, parameters: [Parameter] = [], body: [Content] = [],
    answers: [(status: Int, about: String, content: [Content])], problems: [Int] = []
  ) {
    self.id = id
    self.summary = summary
    self.parameters = parameters
    self.body = body
    self.answers = answers
    self.problems = problems
  }

  package static let jobID = Parameter("id", in: .path, "The job's id.")
}
