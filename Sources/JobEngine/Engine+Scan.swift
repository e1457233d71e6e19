/// Scans of `new/`, which are the truth about what waits. A slice per turn: a read of the folder, a thousand names, each
/// looked up in the agenda as it comes; then what was not seen is forgotten. Only names the agenda does not know become
/// strings, and no more of them than the engine can look at, so a scan of a million names takes no memory and holds up
/// nothing.
internal import JobModel
internal import SpoolStore

/// A scan under way, and what the one before it found.
struct ScanProgress {
  var folder: FolderScan?
  /// Names are through; slots from here on are still to be gone over.
  var slot: Int?
  var odd: Set<String> = []
  var isFirst = true
  /// Asked for again while one was under way.
  var isOwed = false
  /// `new/` as the last whole scan found it; nil: it has to be scanned whatever its time says.
  var settled: Int64?
  /// When `new/` had last been changed as the scan began; nil: so short a time before that it does not tell.
  private var modified: Int64?

  /// Names that may wait to be looked at before the scan goes on.
  static let lookahead = 4096
  /// Slots gone over in one turn.
  static let slice = 1 << 13
  /// A folder changed this short a time before its scan may have changed unseen: file times are coarse.
  static let doubt: Int64 = 5_000_000

  var isUnderWay: Bool { folder != nil || slot != nil }

  mutating func begin(_ folder: FolderScan, now: WallTime) {
    modified = folder.modified + ScanProgress.doubt < now.microseconds ? folder.modified : nil
    settled = nil
    self.folder = folder
    slot = nil
    odd = []
    isOwed = false
  }

  mutating func finish() {
    slot = nil
    odd = []
    isFirst = false
    settled = modified
  }
}

extension Engine {
  /// Begins to list `new/`: what is not known yet is looked at, what is gone is forgotten.
  func scan() {
    guard drain == .no else { return }
    guard !scanning.isUnderWay, restoring == nil else {
      scanning.isOwed = true
      return
    }
    do throws(SpoolError) {
      scanning.begin(try FolderScan(.new, of: spool), now: effects.now())
    } catch {
      return troubled(error)
    }
    agenda.beginScan()
    turnSoon()
  }

  /// The same on the slow tick, unless nothing came or went since the last one.
  func rescan() {
    if let settled = scanning.settled, let modified = try? spool.modified(.new), modified == settled { return }
    scan()
  }

  /// A slice of the scan under way.
  func scanOn() {
    guard scanning.isUnderWay else {
      if scanning.isOwed, restoring == nil { scan() }
      return
    }
    guard drain == .no else {
      abandonScan()
      return
    }
    // Its end is a message, which makes another turn.
    if indexIsFar, isIndexing { return }
    guard incoming.count - incomingNext < ScanProgress.lookahead else { return turnSoon() }
    if let folder = scanning.folder {
      do throws(SpoolError) {
        if try !readNames(folder) {
          scanning.folder = nil
          scanning.slot = 0
        }
      } catch {
        abandonScan()
        return troubled(error)
      }
    } else if let slot = scanning.slot {
      for id in agenda.takeUnseen(in: slot..<slot + ScanProgress.slice) where !isThere(id) { forget(id) }
      scanning.slot = slot + ScanProgress.slice
      if slot + ScanProgress.slice >= agenda.slotLimit { finishScan() }
    }
    turnSoon()
  }

  private func abandonScan() {
    scanning.folder = nil
    scanning.slot = nil
    agenda.abandonScan()
  }

  /// Whether the file came back since; a scan may miss what moves meanwhile.
  private func isThere(_ id: String) -> Bool { (try? spool.exists(id, in: .new)) ?? true }

  private func readNames(_ folder: FolderScan) throws(SpoolError) -> Bool {
    var found: [String] = []
    let goesOn = try folder.next { name, inode in
      guard let id = JobID.fromFileName(name) else {
        let name = String(decoding: name, as: UTF8.self)
        if reported.contains(name) { scanning.odd.insert(name) }
        return reportOddName(name)
      }
      if !reported.isEmpty {
        let name = String(decoding: name, as: UTF8.self)
        if reported.contains(name) { scanning.odd.insert(name) }
      }
      switch agenda.see(id, inode: inode) {
      case .known: break
      case .changed, .unknown: found.append(String(decoding: id, as: UTF8.self))
      }
    }
    if scanning.isFirst, !found.isEmpty {
      let names = Set(found.lazy.filter { !self.agenda.contains($0) })
      let known = try AuditReader.known(names, in: spool, index: index)
      announced.formUnion(known.ids)
      refusedBefore.formUnion(known.refused)
    }
    incoming += found
    return goesOn
  }

  private func finishScan() {
    for name in reported.subtracting(scanning.odd) {
      // Seen for the first time just now, or gone.
      guard (try? spool.syscalls.status(spool.descriptor(JobState.new), name)) == nil else { continue }
      reported.remove(name)
      calm("odd_name:\(name)")
      calm("odd_names")
    }
    scanning.finish()
  }
}
