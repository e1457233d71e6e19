/// What is said of a job before it is written, the same by the command line and the web program: whether the daemon will take
/// it, as far as that can be told here.
package import JobModel
internal import JobSchema
package import SpoolConfig

package enum SubmissionCheck {
  /// The job as the daemon will read it, or why it will not.
  package static func checked(_ bytes: [UInt8], _ configuration: Configuration) throws(JobProblem) -> Job {
    guard bytes.count <= configuration.settings.maxJobBytes else {
      throw JobProblem(
        .tooLarge,
        "the job has \(bytes.count) bytes; max_job_bytes allows \(configuration.settings.maxJobBytes). "
          + "Large data belongs in a file of its own, with its path in the payload")
    }
    let job = try JobScanner.scan(bytes)
    guard !JobType.isReserved(job.type) else {
      throw JobProblem(.reservedType, "types beginning with jobspool. are reserved", key: "type")
    }
    guard job.record == nil, job.subject == nil else {
      throw JobProblem(.forgedRecord, "\"jobspool\" is the daemon's record; leave it out", key: "jobspool")
    }
    if let problem = configuration.schemas[job.type]?.problem(with: job) { throw problem }
    return job
  }
}
