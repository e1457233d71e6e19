/// What operators and janitors have moved and removed: requeue, hold and release by one rename each with its line; purges,
/// whose line is written before the file goes; and what is neither a job nor ours to keep.
internal import CSpoolShims
package import JobModel

extension Transitions {
  /// dead or done → new: one rename; the record tells that it starts over.
  package func requeue(_ id: String, from: JobState, type: String?, at time: WallTime, by: String) throws(SpoolError) {
    try operate(.requeue, id, from, .new, type: type, at: time, by: by)
  }

  /// new → hold.
  package func hold(_ id: String, type: String?, at time: WallTime, by: String) throws(SpoolError) {
    try operate(.hold, id, .new, .hold, type: type, at: time, by: by)
  }

  /// hold → new.
  package func unhold(_ id: String, type: String?, at time: WallTime, by: String) throws(SpoolError) {
    try operate(.unhold, id, .hold, .new, type: type, at: time, by: by)
  }

  private func operate(
    _ transition: Transition, _ id: String, _ from: JobState, _ to: JobState, type: String?, at time: WallTime,
    by: String
  ) throws(SpoolError) {
    guard try move(id, from, to) else {
      guard try spool.exists(id, in: from) else {
        throw SpoolError(.noSuchJob, "\(id) is not in \(from.rawValue)")
      }
      throw SpoolError(.exists, "\(id) cannot move to \(to.rawValue): another job of that id is there")
    }
    movedBetween.formUnion([from, to])
    guard let event = transition.event else { return }
    try audit.append(event, at: time, job: id, type: type, from: from, to: to, by: by)
  }

  /// Makes durable what an operator asked for: the renames, then the lines. A rename has no record by which a start could
  /// tell that it is to be made again, so it is not to come after its line; and a sync of the log alone does not take it
  /// along on every file system, but, of lines written after the folders' syncs, waits for what those may have left under way
  /// (`awaitFolders`).
  ///
  /// - Parameter closing: see `AuditLog.commit`.
  package func commitMoves(closing: Bool = true) throws(SpoolError) {
    for state in movedBetween {
      do throws(Errno) { try syscalls.sync(spool.descriptor(state)) } catch {
        throw SpoolError(doing: "syncing", path: "\(spool.path)/\(state.rawValue)", error)
      }
    }
    try audit.commit(closing: closing)
    movedBetween = []
  }

  /// Removes a finished or held job, its `.bad` file and its log. The line is written before: what is gone was announced.
  package func purge(
    _ id: String, from: JobState, type: String?, at time: WallTime, by: String, reason: String
  ) throws(SpoolError) {
    try audit.append(.purged, at: time, job: id, type: type, from: from, by: by) { writer in
      writer.key("reason")
      writer.string(reason)
    }
    try audit.flush()
    try removeWhole(id, from: from)
  }

  /// The same for many, with one write for all their lines.
  package func purge(_ jobs: [ExpiredJob], at time: WallTime) throws(SpoolError) {
    for job in jobs {
      try audit.append(.purged, at: time, job: job.id, type: job.type, from: job.state) { writer in
        writer.key("reason")
        writer.string(job.reason)
      }
    }
    // After a power cut the end of a job whose file is gone would be completed: what came to its end a moment ago goes only
    // when it is durable that it was to go.
    if jobs.contains(where: { $0.endedAt.map { time - $0 <= Recovery.window } ?? false }) {
      try audit.commit(closing: false)
    } else {
      try audit.flush()
    }
    for job in jobs { try removeWhole(job.id, from: job.state) }
  }

  private func removeWhole(_ id: String, from: JobState) throws(SpoolError) {
    try remove(id, from: from)
    if from == .dead {
      do throws(Errno) { try syscalls.unlink(spool.descriptor(JobState.dead), "\(id).bad") } catch {
        guard error == .noEntry else {
          throw SpoolError(doing: "removing the refused file", path: "\(spool.path)/dead/\(id).bad", error)
        }
      }
    }
    _ = try removeLog(of: id)
  }

  /// Removes what a job's handler said; false when there is nothing.
  package func removeLog(of id: String) throws(SpoolError) -> Bool {
    do throws(Errno) {
      try syscalls.unlink(spool.descriptor(Spool.Folder.log), "jobs/\(id).log")
      return true
    } catch {
      guard error != .noEntry else { return false }
      throw SpoolError(doing: "removing the job's log", path: spool.logPath(of: id), error)
    }
  }

  /// Removes a second file of a job whose end in `done/` is durable. The line is written before, as for `purge`; the job's
  /// log stays, because it belongs to the file that stays.
  func removeCopy(
    _ id: String, from: JobState, type: String?, at time: WallTime, by: String
  ) throws(SpoolError) {
    try audit.append(.purged, at: time, job: id, type: type, from: from, by: by) { writer in
      writer.key("reason")
      writer.string("a copy of the job, which is done")
    }
    try audit.commit()
    try remove(id, from: from)
  }

  /// Removes a staged file a dead writer left in `tmp/`.
  package func sweepStaged(_ name: String) throws(SpoolError) {
    do throws(Errno) { try syscalls.unlink(spool.descriptor(Spool.Folder.tmp), name) } catch {
      if error == .noEntry { return }
      throw SpoolError(doing: "sweeping tmp", path: "\(spool.path)/tmp/\(name)", error)
    }
  }

  /// A directory is nobody's twin and is left alone, but not in the place a job has to go back to: there it gets a fresh
  /// name. It stays in `new/`, which needs no right to what is in it. false: there is none.
  package func moveDirectoryAside(_ id: String, at time: WallTime) throws(SpoolError) -> Bool {
    let new = spool.descriptor(JobState.new)
    let name = JobID.fileName(id)
    do throws(Errno) {
      guard try syscalls.status(new, name).kind == .directory else { return false }
      let fresh = JobID.make(at: time, random: (spool_random(), spool_random()))
      try syscalls.rename(new, name, to: new, JobID.fileName(fresh), replacing: false)
      return true
    } catch {
      if error == .noEntry { return false }
      throw SpoolError(doing: "moving a directory aside", path: spool.path(of: id, in: .new), error)
    }
  }
}
