/// Claims whose files are copies that are not yet in their places: what waits for the next durable step, and what is in the
/// one under way. Their types' places are taken meanwhile, as if they ran.
internal import JobModel
internal import SpoolStore

struct Adopting {
  /// What it needs to become a run, or to be given up.
  struct Entry {
    var attempt: Attempt
    var adoption: Adoption
    var pick: Agenda.Pick
  }

  private var waiting: [Entry] = []
  private var underWay: [Entry] = []

  /// Some wait for the next step.
  var isWaiting: Bool { !waiting.isEmpty }
  var isEmpty: Bool { waiting.isEmpty && underWay.isEmpty }

  mutating func add(_ entry: Entry) { waiting.append(entry) }

  func attempt(_ id: String) -> Attempt? {
    (underWay.first { $0.attempt.id == id } ?? waiting.first { $0.attempt.id == id })?.attempt
  }

  /// The copies that a durable step started now has to sync.
  mutating func beginCommit() -> [Int32] {
    swap(&waiting, &underWay)
    return underWay.map(\.adoption.fileDescriptor)
  }

  /// The step is over, well or not.
  mutating func finishCommit() -> [Entry] {
    defer { underWay.removeAll(keepingCapacity: true) }
    return underWay
  }

  /// Those for which no step has begun.
  mutating func takeWaiting() -> [Entry] {
    defer { waiting.removeAll() }
    return waiting
  }
}

extension Engine {
  /// The copies are durable, or `failure` says why not: they go to their places, and the runs get their lines. What the
  /// disk refused leaves the originals where they were dropped, and nothing told.
  func adopted(_ failure: Errno?) {
    let entries = adopting.finishCommit()
    guard !entries.isEmpty else { return }
    if let failure {
      for entry in entries {
        entry.adoption.syncFailed()
        giveUp(entry)
      }
      restClaims()
      return troubled(SpoolError(doing: "syncing the copies of adopted jobs", path: "\(spool.path)/cur", failure))
    }
    let now = effects.now()
    for entry in entries {
      guard drain == .no else {
        giveUp(entry)
        continue
      }
      do throws(SpoolError) {
        try transitions.place(entry.adoption)
        try begin(entry, now: now)
      } catch {
        giveUp(entry)
        troubled(error)
      }
    }
  }

  private func begin(_ entry: Adopting.Entry, now: WallTime) throws(SpoolError) {
    let attempt = entry.attempt
    guard let claim = attempt.claim.take() else { return }
    do throws(SpoolError) {
      try transitions.noteClaim(
        claim, type: attempt.job.type, attempt: attempt.number, waited: now - entry.pick.readySince,
        rateKey: entry.pick.keys.rate, at: now)
    } catch {
      attempt.claim = consume claim
      throw error
    }
    attempt.claim = consume claim
    attempt.startedAt = now
    agenda.started(entry.pick, at: now)
    if let value = entry.pick.keys.serial { holding[attempt.id] = (entry.pick.type, value) }
    starting.append(attempt)
  }

  /// Nothing was told of it, so it goes back as if nothing had been.
  func giveUp(_ entry: Adopting.Entry) {
    guard let claim = entry.attempt.claim.take() else { return }
    drop(entry.pick, now: effects.now())
    if entry.attempt.isCancelled {
      let attempt = entry.attempt
      let error = JobError(code: "cancelled", message: "cancelled by \(attempt.cancelledBy) before it ran")
      return bury(claim, attempt.record, .cancelled, error, .cancel, now: effects.now())
    }
    do throws(SpoolError) { try putBack(claim, firstSeen: entry.pick.firstSeen) } catch { troubled(error) }
  }
}
