/// Seals what `encrypt` of the handlers names, with `data.pub` alone, before the command line or the web program writes
/// anything. What cannot be sealed is refused: nothing falls back to clear text.
internal import Glibc
package import JobModel
package import JobSecrets
package import SpoolConfig

package final class Sealer {
  private let configuration: Configuration
  private var key: DataPublicKey?

  package init(_ configuration: Configuration) { self.configuration = configuration }

  /// The job with its secrets sealed; the job itself when it has none.
  ///
  /// - Throws: when there is nothing to seal with, or nobody can tell what to seal.
  package func sealed(_ job: Job) throws(SecretProblem) -> Job {
    try checkIsKnown(job.type)
    return try sealed(claimed: job) ?? job
  }

  /// The same for a job that lies in the spool already; nil when nothing of it is to be sealed.
  package func sealed(claimed job: Job) throws(SecretProblem) -> Job? {
    let pointers = (configuration.handlers[job.type]?.encrypt ?? []).compactMap(JSONPointer.init)
    guard let range = job.payload, !pointers.isEmpty else { return nil }
    let payload = Array(job.bytes[range])
    guard !JSONPointer.unsealed(pointers, in: payload).isEmpty else { return nil }
    do throws(SecretProblem) {
      let key: DataPublicKey
      if let known = self.key {
        key = known
      } else {
        key = try DataPublicKey.load(DataKey.publicFile(in: configuration.folder))
        self.key = key
      }
      return job.replacing(payload: try key.seal(payload, pointers, type: job.type))
    } catch {
      throw SecretProblem(
        error.code,
        "\(job.type) has secrets (encrypt), and they cannot be sealed: \(error.message). The daemon publishes data.pub "
          + "when it starts with this handler; start it once, and make the file readable. Nothing was written")
    }
  }

  /// Where a key is published, a handler file nobody here can read may name secrets.
  private func checkIsKnown(_ type: String) throws(SecretProblem) {
    guard configuration.handlers[type] == nil, access(DataKey.publicFile(in: configuration.folder), F_OK) == 0 else {
      return
    }
    let folder = "\(configuration.folder)/handlers"
    if let problem = configuration.brokenHandlers[type]?.first {
      throw SecretProblem(.noKey, "what of a \(type) has to be sealed is not known: \(problem.description)")
    }
    guard access(folder, R_OK | X_OK) == 0 else {
      throw SecretProblem(
        .noKey,
        "what of a \(type) has to be sealed is not known: \(folder) is not readable; let those who submit read it")
    }
  }
}
