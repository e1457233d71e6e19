/// What an administrator should know: the disk's refusals, alerts, and room on the disk.
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  static let diskError = "disk_error"

  /// The disk refused something. What was to be done stays in its place; we look again in a second.
  func troubled(_ error: SpoolError) {
    // A disk that is full or fails refuses one thing after another; it is said once, since every saying is a line that
    // waits to be written.
    if error.isDiskFailure {
      if status.alerts[Engine.diskError] == nil { raise(Engine.diskError, "the disk fails: \(error)") }
    } else if error.code != .noSpace || status.alerts[error.code.name] == nil {
      raise(error.code.name, error.description)
    }
    isLowOnDisk = isLowOnDisk || error.code == .noSpace
    guard !retryIsScheduled else { return }
    retryIsScheduled = true
    loop.after(.seconds(1)) { [unowned self] in retryIsScheduled = false }
  }

  /// Says something an administrator should know: in the log, the audit log and status.json. The same thing is said once
  /// until it changes.
  func raise(_ code: String, _ message: String) {
    guard status.alert(code, message, at: effects.now()) else { return }
    logger.warning("\(message)", metadata: ["alert": "\(code)"])
    do throws(SpoolError) {
      try transitions.audit.append(.alert, at: effects.now()) { writer in
        writer.key("code")
        writer.string(code)
        writer.key("message")
        writer.string(message)
      }
    } catch {
      logger.error("\(error)")
    }
    raiseNotice(ofAlert: code, message)
  }

  /// The same for the composition root.
  package func raiseAlert(_ code: String, _ message: String) {
    raise(code, message)
    turnSoon()
  }

  /// The same, for who stands outside.
  package func calmAlert(_ code: String) {
    calm(code)
    turnSoon()
  }

  /// Something is well again.
  func calm(_ code: String) {
    guard status.clear(code) else { return }
    logger.notice("\(code): well again")
  }

  func checkSpaceIfDue() {
    let now = EventLoop.now
    guard now - spaceChecked >= (isLowOnDisk ? .seconds(1) : .milliseconds(250)) else { return }
    spaceChecked = now
    checkFolders()
    checkSpace()
  }

  func checkSpace() {
    do throws(SpoolError) {
      let space = try FreeSpace(spool)
      let isBelow = space.isBelow(settings.daemon.minFree)
      // With a min_free of next to nothing a disk that has just refused us needs room for some lines at least.
      let isLow = isBelow || (isLowOnDisk && space.bytes < Limits.roomAfterFullDisk)
      if isLow {
        if isBelow {
          raise(
            "disk", "less than min_free is left on the disk of \(spool.path): nothing is claimed until there is more")
        }
        loop.after(.seconds(1)) {}
      } else if isLowOnDisk {
        calm("disk")
        calm(SpoolError.Code.noSpace.name)
        logger.notice("the disk has room again")
      }
      if isLow != isLowOnDisk { status.touch() }
      isLowOnDisk = isLow
    } catch {
      raise("disk", "\(error)")
    }
    updatePause()
  }

  func updatePause() {
    agenda.isPaused =
      isPaused || isLowOnDisk || isAdrift || isBusy || drain != .no || settling.count >= Limits.settlesWaiting
  }
}
