/// Periodic chores of one shape: look, do, say one line when something was done.
internal import JobModel
internal import Logging
internal import SpoolStore

extension Engine {
  /// Removes what dead writers left in `tmp/`, and answers in `ctl/` that nobody fetched. Whoever may write there may leave
  /// any number of files, so they are gone through in slices, and not with every rescan.
  func sweep() {
    guard sweeping == nil, EventLoop.now >= sweepsAt else { return }
    sweepsAt = EventLoop.now + .seconds(Limits.sweepSeconds)
    sweeping = Sweeping()
    sweepOn()
  }

  private func sweepOn() {
    guard drain == .no, var run = sweeping, let folder = run.folders.first else {
      sweeping = nil
      return
    }
    do throws(SpoolError) {
      let scan = if let scan = run.scan { scan } else { try FolderScan(folder, of: spool, size: FolderScan.short) }
      run.scan = scan
      var old: [String] = []
      let goesOn = try scan.next { name, _ in
        let name = String(decoding: name, as: UTF8.self)
        if isStale(name, in: folder) { old.append(name) }
      }
      for name in old {
        if folder == .tmp { try transitions.sweepStaged(name) } else { removeControl(name) }
      }
      if folder == .tmp { run.swept += old.count }
      if !goesOn {
        run.folders.removeFirst()
        run.scan = nil
      }
    } catch {
      sweeping = nil
      return troubled(error)
    }
    if run.folders.isEmpty {
      sweeping = nil
      if run.swept > 0 { logger.notice("swept \(run.swept) stale files out of tmp") }
    } else {
      sweeping = run
      loop.after(.milliseconds(Limits.retentionPauseMilliseconds)) { [unowned self] in sweepOn() }
    }
  }

  private func isStale(_ name: String, in folder: Spool.Folder) -> Bool {
    // git's way of keeping an empty folder.
    guard folder == .tmp ? name != ".gitkeep" : name.hasSuffix(".reply"),
      let status = try? spool.syscalls.status(spool.descriptor(folder), name), status.kind == .regular
    else { return false }
    let age = (effects.now().microseconds - max(status.modified, status.changed)) / 1_000_000
    return age > Int64(folder == .tmp ? Limits.sweepStagingSeconds : 3600)
  }
}

/// A sweep under way.
struct Sweeping {
  var folders: [Spool.Folder] = [.tmp, .ctl]
  var scan: FolderScan?
  var swept = 0
}
