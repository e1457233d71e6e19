/// Secrets of payloads: sealed when a job is claimed with them in clear, opened in memory only, for its check and for its
/// handler. What is opened is never written anywhere.
internal import JobModel
internal import JobSecrets
internal import SpoolStore

extension Engine {
  /// The payload with its secrets sealed; nil when none lies in clear. Says once per type that this happens: what was
  /// dropped in clear was on the disk in clear.
  func seal(_ job: Job) throws(SpoolError) -> [UInt8]? {
    guard let range = job.payload, let sealed = try sealed(Array(job.bytes[range]), type: job.type) else { return nil }
    raise(
      "clear:\(job.type)",
      "a \(job.type) was dropped in clear where its handler says encrypt; it was sealed when it was claimed. "
        + "Use submit, which seals before anything is written")
    return sealed
  }

  /// The same in silence, for what the daemon itself submits.
  func sealed(_ payload: [UInt8], type: String) throws(SpoolError) -> [UInt8]? {
    do throws(SecretProblem) { return try settings.secrets?.sealed(payload, type: type) } catch {
      throw SpoolError(.system, "sealing a \(type): \(error.message)")
    }
  }

  /// The job as its handler sees it.
  func opened(_ job: Job) throws(SecretProblem) -> Job {
    guard let secrets = settings.secrets, let range = job.payload,
      let payload = try secrets.opened(Array(job.bytes[range]), type: job.type)
    else { return job }
    return job.replacing(payload: payload)
  }
}
