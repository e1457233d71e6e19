/// Who may submit what. Judged once, by the owner of the dropped file as the kernel told it; a job that has run before is
/// not asked again.
internal import JobModel
internal import JobSchema
internal import JobSecrets
internal import SpoolStore

extension Engine {
  /// Why this job is refused, by who submitted it or by its payload; nil: it may run.
  func refusal(of job: Job, _ id: String, by submitter: JobRecord.Submitter) -> JobProblem? {
    let uid = submitter.uid
    guard !JobType.isReserved(job.type) || isNotice(job, by: uid) else {
      return JobProblem(.reservedType, "types beginning with \"jobspool.\" are the program's own", key: "type")
    }
    if job.record?.attempts.isEmpty ?? true, let allow = settings.handlers[job.type]?.allow {
      // Through the web program anybody with a token submits: then its subject counts, not the program's user.
      if let subject = submitter.subject {
        guard Accounts.maySubmit(subject: subject, allow) else {
          return .notAllowed("web:\(subject)", type: job.type, allow: allow)
        }
      } else if !accounts.maySubmit(uid, allow) {
        return .notAllowed(accounts.name(of: uid), type: job.type, allow: allow)
      }
    }
    let clear: Job
    do throws(SecretProblem) { clear = try opened(job) } catch {
      return JobProblem(.cannotOpen, error.message, key: "payload")
    }
    // A file that was dropped in clear grows when it is sealed, and is read again after every attempt.
    let limit = settings.daemon.maxJobBytes
    guard settings.secrets == nil || job.bytes.count - (job.recordText?.count ?? 0) <= limit else {
      return JobProblem(.tooLarge, "sealed, the job has \(job.bytes.count) bytes; max_job_bytes allows \(limit)")
    }
    return schemaProblem(with: clear, of: job, id)
  }

  private func schemaProblem(with clear: Job, of job: Job, _ id: String) -> JobProblem? {
    guard let schema = settings.schemas[job.type] else { return nil }
    guard job.bytes.count > Limits.checkedAtOnce else { return schema.problem(with: clear) }
    let sha256 = Digest.sha256(job.bytes[..<job.head], job.bytes[job.tail...])
    if let known = slowArrivals.verdict(on: id, sha256: sha256) { return known.problem }
    let problem = schema.problem(with: clear)
    slowArrivals.remember(problem, of: id, sha256: sha256)
    return problem
  }

  /// A notice as this daemon submits it: its own file, and a payload that names an entry.
  private func isNotice(_ job: Job, by uid: UInt32) -> Bool {
    job.type == Notice.type && accounts.isOwn(uid) && job.value(at: "/payload/notify")?.string != nil
  }
}
