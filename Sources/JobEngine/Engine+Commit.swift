/// The durable step: one sync for all that waits for one, on a thread of its own, and what it lets become visible.
internal import Glibc
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  /// Begins a durable step for everything that waits for one.
  func commit() {
    if let failure = transitions.audit.failure { giveUp(failure) }
    guard !isCommitting, !transitions.audit.hasPending, let committer, !gathersEnds() else { return }
    var files = settling.beginCommit()
    if settings.daemon.durability == .relaxed, files?.isEmpty == true {
      // Renames first; the sync follows within a second.
      publish(settling.finishCommit().durable)
      scheduleRelaxedSync()
      files = nil
    }
    let copies = adopting.beginCommit()
    guard files != nil || !copies.isEmpty else { return }
    isCommitting = true
    commitBegan = EventLoop.now
    // An end that somebody is to be told of has its notice on the disk first.
    let ends = files == nil || hasListeners || isAdrift ? [] : settling.beginMoves()
    committer.commit(
      Committer.Batch(
        copies: copies, files: files ?? [], logs: files == nil ? [] : transitions.audit.descriptors, ends: ends))
  }

  /// Whether what has ended may still wait for what ends in a moment, so that one sync serves both; for a short program a
  /// sync of its own is a tenth of the cost. Only while jobs queue for the places of those that run: an end that comes alone
  /// waits for nothing. (PostgreSQL has the two as commit_delay and commit_siblings.)
  private func gathersEnds() -> Bool {
    guard settings.daemon.durability != .relaxed, drain == .no, settling.waitsForCommit, !adopting.isWaiting,
      holding.isEmpty, agenda.hasLine
    else { return false }
    let due = commitBegan + .milliseconds(Limits.commitGapMilliseconds)
    guard EventLoop.now < due else { return false }
    if gatherTimer == nil { gatherTimer = loop.at(due) { [unowned self] in gatherTimer = nil } }
    return true
  }

  private func scheduleRelaxedSync() {
    guard !relaxedSyncIsDue else { return }
    relaxedSyncIsDue = true
    loop.after(.seconds(1)) { [unowned self] in
      relaxedSyncIsDue = false
      guard !isCommitting, let committer else { return scheduleRelaxedSync() }
      isCommitting = true
      committer.commit(Committer.Batch(files: [], logs: transitions.audit.descriptors))
    }
  }

  func committed(_ outcome: Committer.Outcome) {
    isCommitting = false
    adopted(outcome.copies)
    guard outcome.hasLog else { return }
    if let failure = outcome.rest { giveUp(failure) }
    transitions.audit.synced()
    let (visible, durable) = settling.finishCommit(unmoved: outcome.unmoved)
    becameVisible(visible)
    publish(durable)
  }

  /// After a failed sync nothing later would be the truth. A fresh start reads what the disk really has.
  func giveUp(_ failure: Errno) -> Never {
    logger.critical("the disk failed to sync (\(failure.message)); stopping, because nothing written can be trusted")
    exit(74)
  }

  func stopCommitter() {
    committer?.stop()
    committer = nil
  }
}
