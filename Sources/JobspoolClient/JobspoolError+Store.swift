/// What the store and the scanner say, in the words of this library.
internal import JobModel
internal import SpoolStore

extension JobspoolError {
  init(_ error: SpoolError) {
    let code: Code =
      switch error.code {
      case .noSpool, .badFileSystem: .noSpool
      case .exists: .exists
      case .noSuchJob: .noSuchJob
      case .noSpace: .noSpace
      case .denied: .denied
      case .badJob, .damaged: .badJob
      default: .system
      }
    self.init(code, error.description)
  }

  init(_ problem: JobProblem) {
    self.init(problem.code == .notAllowed ? .denied : .badJob, problem.description)
  }
}
