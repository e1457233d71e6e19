/// The agenda's checkpoint: written when the daemon stops and now and then while it grows, read at the start. And the audit
/// log's index, kept by the same thread beside the engine's.
///
/// At a start the checkpoint is read in slices, and the first jobs run while the rest is still to come; then the first scan
/// compares it with what is there, and only what it does not know is opened.
internal import CSpoolShims
internal import JobModel
internal import Logging
internal import SpoolStore

/// A checkpoint being read.
struct Restoring {
  let reader: AgendaFile.Reader
  /// By the number they had.
  let types: [String?]
  /// Jobs the log has lines about since it was written, as hashes of their ids.
  let moved: Set<UInt64>
}

/// What was written last, and what is being written.
struct Checkpointing {
  var writer: AgendaFile.Writer?
  var slot = 0
  /// The line of the log it stands for.
  var place: (file: String, size: Int, head: String) = ("", 0, "")
  var count = 0
  /// Being finished on the clerk's thread.
  var isFinishing = false
  /// Jobs looked at since the last one was begun.
  var arrivals = 0
  /// How large the agenda was then.
  var size = 0

  /// New jobs after which another is worth its while: what a start after a crash would have to open is bounded, and the
  /// whole of what is written stays in proportion to what came in.
  var isDue: Bool { arrivals >= max(20_000, size / 4) }

  static let slice = 1 << 11
}

extension Engine {
  // MARK: Reading

  /// Begins to read what the last daemon left. Nothing is lost without it.
  func beginRestore() {
    guard let reader = AgendaFile.Reader(spool) else { return }
    let footer = reader.footer
    guard let file = footer["log"]?.string, let size = footer["size"]?.int, let head = footer["head"]?.string,
      AuditFile(name: file) != nil, let map = try? MappedFile(file, in: spool),
      map.hasLine(endingAt: size, hash: head), case .array(let types)? = footer["types"]
    else { return logger.notice("the agenda's checkpoint does not fit the audit log; waiting jobs are read anew") }
    restoring = Restoring(
      reader: reader,
      types: types.map { type in
        // Under other limits a job has other values, which are read from its file.
        guard let name = type["name"]?.string, type["limits"]?.string == limitsText(of: name) else { return nil }
        return name
      }, moved: jobsMoved(since: file, size))
  }

  /// Jobs with lines behind this place of the log.
  private func jobsMoved(since file: String, _ size: Int) -> Set<UInt64> {
    var moved = Set<UInt64>()
    var cursor = LogCursor(file: file, offset: size)
    while let stop = try? cursor.slice(
      in: spool, bytes: 1 << 20,
      { line in
        if let job = AuditLineHead.job(of: line) { moved.insert(KeyedHash.of(job, seed: 0)) }
        return true
      }), stop == .more
    {}
    return moved
  }

  /// What a type's jobs are ordered and held by; nil: it cannot be said now.
  private func limitsText(of type: String) -> String? {
    guard let handler = settings.handlers[type] else { return nil }
    let rate = handler.rate.map { "\($0.over) \($0.by ?? "-")" } ?? "none"
    return "serial \(handler.serialBy ?? "none"); rate \(rate)"
  }

  /// A slice of the checkpoint.
  func restoreOn() {
    guard let restoring else { return }
    let now = effects.now()
    let isStale: ((String) -> Bool)? =
      restoring.moved.isEmpty ? nil : { restoring.moved.contains(KeyedHash.of($0, seed: 0)) }
    do throws(SpoolError) {
      let goesOn = try restoring.reader.next { bytes in
        agenda.restore(bytes, types: restoring.types, now: now, isStale: isStale) { id, hash in
          proven[id] = Engine.hexadecimal(hash)
        }
      }
      if !goesOn { finishRestore() }
    } catch {
      logger.warning("\(error); waiting jobs are read anew")
      finishRestore()
    }
    status.touch()
    turnSoon()
  }

  private func finishRestore() {
    restoring = nil
    checkpointing.size = agenda.count
    scan()
  }

  // MARK: Writing

  /// Goes on with a checkpoint, or begins one when it is worth its while.
  func checkpointOn() {
    guard restoring == nil, drain == .no else { return }
    if checkpointing.writer == nil {
      guard checkpointing.isDue, !checkpointing.isFinishing, !isLowOnDisk, !transitions.audit.hasPending else { return }
      guard (try? beginCheckpoint()) != nil else {
        checkpointing.arrivals = 0
        return
      }
    }
    do throws(SpoolError) {
      guard let writer = checkpointing.writer else { return }
      guard try !writeSlice() else { return turnSoon() }
      checkpointing.isFinishing = true
      let footer = checkpointFooter()
      let place = checkpointing.place
      checkpointing.writer = nil
      clerk.run { [clerkMailbox] in
        let failure = AgendaFile.finishing(writer, footer, log: place.file)
        clerkMailbox?.post(.checkpoint(failure))
      }
    } catch {
      checkpointing.writer = nil
      logger.warning("\(error); the next start may have to read waiting jobs anew")
    }
  }

  /// At the end of a run: whole and at once. It may know less than there is, when the first scan is not through yet.
  func writeLastCheckpoint() {
    guard restoring == nil, agenda.count > 0 || checkpointing.size > 0 else { return }
    do throws(SpoolError) {
      try beginCheckpoint()
      while try writeSlice() {}
      try checkpointing.writer?.finish(checkpointFooter(), log: checkpointing.place.file)
    } catch {
      logger.warning("\(error); the next start has to read waiting jobs anew")
    }
    checkpointing.writer = nil
  }

  private func beginCheckpoint() throws(SpoolError) {
    let (file, size) = transitions.audit.place
    checkpointing.writer = try AgendaFile.Writer(spool)
    checkpointing.place = (file, size, transitions.audit.head)
    checkpointing.slot = 0
    checkpointing.count = 0
    checkpointing.arrivals = 0
    checkpointing.size = agenda.count
  }

  /// true: there is more.
  private func writeSlice() throws(SpoolError) -> Bool {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Checkpointing.slice * 64)
    let range = checkpointing.slot..<checkpointing.slot + Checkpointing.slice
    let proof: ((String) -> [UInt8]?)? = proven.isEmpty ? nil : { [proven] in proven[$0].flatMap(Engine.bytes) }
    checkpointing.count += agenda.write(range, to: &bytes, proof: proof)
    if !bytes.isEmpty { try checkpointing.writer?.add(bytes) }
    checkpointing.slot = range.upperBound
    return range.upperBound < agenda.slotLimit
  }

  private func checkpointFooter() -> [UInt8] {
    var writer = JSONWriter(reserving: 4096)
    writer.beginObject()
    writer.key("log")
    writer.string(checkpointing.place.file)
    writer.key("size")
    writer.int(checkpointing.place.size)
    writer.key("head")
    writer.string(checkpointing.place.head)
    writer.key("jobs")
    writer.int(checkpointing.count)
    writer.key("types")
    writer.beginArray()
    for type in agenda.types {
      writer.beginObject()
      writer.key("name")
      writer.string(type.name)
      if let limits = limitsText(of: type.name) {
        writer.key("limits")
        writer.string(limits)
      }
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  // MARK: The index

  /// The audit log's index, for look-ups. At midnight the log goes on in a new file, and what nobody had looked for there
  /// would seem never to have been said: a requeued job's record would be taken for a forged one.
  var index: AuditIndex? {
    get throws(SpoolError) {
      guard let openIndex else { return nil }
      if !openIndex.knows(transitions.audit.place.file) { try openIndex.refresh() }
      return openIndex
    }
  }

  /// Has the log's index brought up to date when there is enough for it, at most every two seconds.
  func indexOn() {
    let (file, size) = transitions.audit.place
    guard !isIndexing, !isLowOnDisk, size - (openIndex?.covered(file) ?? 0) >= IndexWriter.stretch || indexIsOwed,
      EventLoop.now >= indexAgainAt
    else { return }
    isIndexing = true
    indexIsOwed = false
    clerk.run { [spool, clerk, clerkMailbox] in
      do throws(SpoolError) {
        _ = try IndexWriter(spool, seed: spool_random()).update { !clerk.isStopping }
        clerkMailbox?.post(.indexed(nil))
      } catch {
        clerkMailbox?.post(.indexed(error))
      }
    }
  }

  /// What the clerk and the courier have to say.
  enum ClerkReport: Sendable {
    case checkpoint(SpoolError?)
    case indexed(SpoolError?)
    /// One result for each notice.
    case notices([Result<Void, SpoolError>])
  }

  func take(_ report: ClerkReport) {
    switch report {
    case .checkpoint(let failure):
      checkpointing.isFinishing = false
      if let failure { logger.warning("\(failure); the next start may have to read waiting jobs anew") }
    case .indexed(let failure):
      isIndexing = false
      indexIsFar = false
      indexAgainAt = EventLoop.now + (failure == nil ? .seconds(2) : .seconds(60))
      if let failure { logger.warning("\(failure); look-ups in the log read more of it meanwhile") }
      do throws(SpoolError) { try openIndex?.refresh() } catch { logger.warning("\(error)") }
    case .notices(let results):
      noticesSent(results)
    }
  }

  // MARK: Hashes

  private static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
    let digits: StaticString = "0123456789abcdef"
    return String(unsafeUninitializedCapacity: bytes.count * 2) { buffer in
      for (index, byte) in bytes.enumerated() {
        buffer[2 * index] = digits.utf8Start[Int(byte >> 4)]
        buffer[2 * index + 1] = digits.utf8Start[Int(byte & 15)]
      }
      return bytes.count * 2
    }
  }

  private static func bytes(_ hexadecimal: String) -> [UInt8]? {
    let digits = hexadecimal.utf8.map { $0 >= 97 ? $0 - 87 : $0 - 48 }
    guard digits.count == 64, digits.allSatisfy({ $0 < 16 }) else { return nil }
    return stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

extension AgendaFile {
  /// What went wrong, for another thread to say.
  static func finishing(_ writer: Writer, _ footer: [UInt8], log: String) -> SpoolError? {
    do throws(SpoolError) {
      try writer.finish(footer, log: log)
      return nil
    } catch {
      return error
    }
  }
}
