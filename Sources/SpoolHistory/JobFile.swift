/// Reads one job's file where it lies, so that nothing a producer put there can hold us up or mislead us, and so that a
/// settle going on at this moment is seen whole or not at all.
internal import Glibc
package import JobModel
package import SpoolStore

package struct JobFile: Sendable {
  package var id: String
  package var state: JobState
  package var bytes: [UInt8]
  /// What is in it, or why it is no job.
  package var content: Result<Job, JobProblem>
  /// When it came into this folder, or was changed in another way.
  package var changed: WallTime
  /// When its content was last written.
  package var written: WallTime
  package var uid: UInt32

  package var job: Job? { try? content.get() }

  /// Its record as it counts: a file that says done or dead and waits again starts over.
  package var record: JobRecord? {
    var record = job?.record
    if state == .new || state == .cur || state == .hold { record?.startOverIfEnded(at: changed) }
    return record
  }
}

extension SpoolReader {
  /// How often a file in `cur/` that does not parse is read again; a settle writes for some microseconds.
  private static let tries = 5

  /// The job where it is now; nil when no folder has it.
  package func file(_ id: String) throws(SpoolError) -> JobFile? {
    // It may move each time between the look and the read; it cannot do so for ever.
    for _ in 0..<20 {
      guard let state = try spool.state(of: id) else { return nil }
      if let file = try file(id, in: state) { return file }
    }
    return nil
  }

  /// The job's file in one folder; nil when it is not there.
  package func file(_ id: String, in state: JobState) throws(SpoolError) -> JobFile? {
    for _ in 0..<SpoolReader.tries {
      guard let file = try readOnce(id, in: state) else { return nil }
      guard state == .cur, case .failure = file.content else { return file }
      usleep(2000)
    }
    guard var file = try readOnce(id, in: state) else { return nil }
    if case .failure = file.content, let job = try withoutRecord(file) { file.content = .success(job) }
    return file
  }

  /// What the producer wrote of a file whose record is half there: the `claimed` line says where that ends.
  private func withoutRecord(_ file: JobFile) throws(SpoolError) -> Job? {
    guard let head = try AuditReader.traces(of: [file.id], in: spool)[file.id]?.claim?["head"]?.int,
      head <= file.bytes.count
    else { return nil }
    return try? JobScanner.scan(file.bytes[..<head] + [UInt8(ascii: "}")], id: file.id)
  }

  private func readOnce(_ id: String, in state: JobState) throws(SpoolError) -> JobFile? {
    let folder = spool.descriptor(state)
    let name = JobID.fileName(id)
    func file(_ status: FileStatus, _ bytes: [UInt8], _ content: Result<Job, JobProblem>) -> JobFile {
      JobFile(
        id: id, state: state, bytes: bytes, content: content, changed: WallTime(microseconds: status.changed),
        written: WallTime(microseconds: status.modified), uid: status.uid)
    }
    do throws(Errno) {
      // A device must not even be opened.
      let before = try spool.syscalls.status(folder, name)
      guard before.kind == .regular else {
        return file(before, [], .failure(JobProblem(.specialFile, "no regular file")))
      }
      guard before.size <= SpoolReader.largestFile else {
        return file(before, [], .failure(JobProblem(.tooLarge, "the file has \(before.size) bytes")))
      }
      let fd: Int32
      do throws(Errno) {
        fd = try spool.syscalls.open(folder, name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, mode: 0)
      } catch {
        guard error == .access || error == .permission else { throw error }
        return file(before, [], .failure(JobProblem(.unreadable, "you may not read \(spool.path(of: id, in: state))")))
      }
      defer { spool.syscalls.close(fd) }
      let status = try spool.syscalls.status(fd)
      guard status.kind == .regular else {
        return file(status, [], .failure(JobProblem(.specialFile, "no regular file")))
      }
      let bytes = try spool.syscalls.read(fd, count: min(status.size, SpoolReader.largestFile), offset: 0)
      let content: Result<Job, JobProblem>
      do throws(JobProblem) {
        content = .success(try JobScanner.scan(bytes, id: id))
      } catch {
        content = .failure(error)
      }
      return file(status, bytes, content)
    } catch {
      if error == .noEntry || error == Errno(ELOOP) { return nil }
      throw SpoolError(doing: "reading the job", path: spool.path(of: id, in: state), error)
    }
  }
}

extension SpoolReader {
  /// The file as a row of a list. Whether it is blocked is found out by `parents`.
  package func row(_ file: JobFile, _ parents: Parents) throws(SpoolError) -> JobRow {
    let job = file.job
    let record = file.record
    let submitted = record?.submittedAt ?? (file.state == .new ? file.changed : file.written)
    var row = JobRow(
      id: file.id, state: file.state, phase: JobPhase(rawValue: file.state.rawValue) ?? .ready, submittedAt: submitted,
      updatedAt: file.state == .done || file.state == .dead ? record?.updatedAt ?? file.written : file.changed)
    row.outcome = record?.outcome
    row.submittedBy = record?.submittedBy ?? vouched(file)
    row.attempt = record?.attempt ?? 0
    row.error = record?.error
    row.finishedAt = record?.finishedAt
    row.startedAt = record?.attempts.last?.startedAt
    row.progress = record?.progress
    if let job { describe(&row, job) }
    switch file.state {
    case .new:
      if let job {
        let due = job.due(firstSeen: file.changed, now: now)
        row.due = due
        if try parents.blocker(of: job, id: file.id) != nil {
          row.phase = .blocked
        } else {
          row.phase = due <= now ? .ready : row.attempt > 0 ? .retry : .scheduled
        }
      }
    case .cur:
      row.attempt += 1
      row.startedAt = file.changed
      row.error = nil
      row.finishedAt = nil
      if let running = status?.running.first(where: { $0.id == file.id }) {
        row.attempt = running.attempt
        row.startedAt = running.startedAt ?? file.changed
        row.progress = running.progress.isEmpty ? nil : running.progress
      }
    case .done, .dead: row.run = record?.attempts.last.map { $0.endedAt - $0.startedAt }
    case .hold: break
    }
    return row
  }

  /// Whom the web program named, for a job that no daemon has taken up yet.
  private func vouched(_ file: JobFile) -> JobRecord.Submitter? {
    guard let subject = file.job?.subject,
      let owner = try? spool.syscalls.status(spool.descriptor(JobState.cur)).uid
    else { return nil }
    var accounts = Accounts(daemonUID: owner)
    guard accounts.mayVouch(file.uid) else { return nil }
    return JobRecord.Submitter(uid: file.uid, user: accounts.name(of: file.uid), subject: subject)
  }

  private func describe(_ row: inout JobRow, _ job: Job) {
    row.type = job.type.isEmpty ? nil : job.type
    row.priority = job.priority
    row.tags = job.tags
    row.batch = job.batch
    row.parent = job.parent
    row.after = job.after
    row.meta = job.meta.map { Array(job.bytes[$0]) }
  }
}
