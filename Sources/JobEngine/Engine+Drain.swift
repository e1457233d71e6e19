/// Stopping in order: no new claims, running jobs get `drain`, then are ended and handed back with their attempt.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  /// First call: drain. Second call: do not wait for anything that can be repeated.
  package func stop() {
    switch drain {
    case .no:
      drain = .waiting
      news?(.stopping)
      let patience = settings.daemon.drain
      if running.isEmpty {
        logger.notice("stopping")
      } else {
        logger.notice(
          "stopping: \(running.count) running jobs get \(DurationText.format(patience)); ask again to end them now")
      }
      loop.after(patience) { [unowned self] in endRunning() }
    case .waiting:
      logger.notice("asked again to stop: not waiting for the running jobs")
      endRunning()
      runner.hurry()
    case .stopping:
      runner.hurry()
      if running.isEmpty, !settling.isEmpty {
        // The disk takes nothing more, and somebody insists. Recovery completes what is durable and repeats the rest.
        logger.warning("\(settling.count) ends are not on the disk; the next start takes care of them")
        exit(75)
      }
    }
    status.touch()
    turnSoon()
  }

  private func endRunning() {
    guard drain == .waiting else { return }
    drain = .stopping
    for id in running.keys { runner.stop(id, reason: .shutdown) }
  }

  /// Claims that never started go back, and when nothing runs and everything is settled, the engine is done.
  func finishDrain() {
    guard drain != .no else { return }
    for entry in adopting.takeWaiting() {
      giveUp(entry)
      turnSoon()
    }
    if !starting.isEmpty {
      let attempts = starting
      starting.removeAll()
      for attempt in attempts {
        agenda.ended(attempt.typeNumber)
        release(attempt)
      }
      return turnSoon()
    }
    guard running.isEmpty, settling.isEmpty, adopting.isEmpty, notices.sending.isEmpty, !isCommitting,
      !transitions.audit.hasPending, let stopped
    else { return }
    self.stopped = nil
    stopCommitter()
    claimer.stop()
    clerk.stop()
    courier.stop()
    do throws(SpoolError) { try transitions.audit.commit() } catch { logger.error("\(error)") }
    writeLastCheckpoint()
    writeHeldBack()
    do throws(SpoolError) {
      // Whatever else the jobs left in the page cache: after this the next start need not doubt any file.
      do throws(Errno) { try spool.syscalls.syncFileSystem(spool.root) } catch {
        throw SpoolError(doing: "syncing the spool", path: spool.path, error)
      }
      try transitions.audit.append(.daemonStopped, at: effects.now()) { schedules.write(to: &$0) }
      try transitions.audit.commit(closing: !isCommitting)
    } catch {
      logger.error("\(error)")
    }
    if let failure = transitions.audit.failure { giveUp(failure) }
    do throws(Errno) { try spool.syscalls.unlink(spool.root, "status.json") } catch {
      if error != .noEntry { logger.warning("cannot remove status.json: \(error.message)") }
    }
    stopped()
  }
}
