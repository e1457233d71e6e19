/// The right to settle a job: its file lies in `cur/` because we renamed it there. A claim cannot be copied, and settling
/// takes it, so settling twice does not compile.
package import JobModel

package struct Claim: ~Copyable {
  package let id: String
  /// Set when the file was dropped under this id, which is taken, and is claimed under a fresh one to be judged.
  package let twinOf: String?
  /// The file in `cur/`, open for reading and writing; -1 when it could not be opened.
  let fd: Int32
  /// What is in it, or why it is refused.
  package let content: Result<Job, JobProblem>
  /// The owner of the file as it was dropped.
  package let uid: UInt32
  /// When it came into `new/`, as far as the file tells.
  package let firstSeen: WallTime
  /// Length of the file as claimed.
  package let size: Int
  /// SHA-256 of what was dropped.
  package let sha256: String
  /// Secrets in it lay in clear, and the file was replaced by a sealed copy.
  let isSealed: Bool
  /// The file is a copy, which may still lie beside the original: then it has to be synced and put in its place before a
  /// line tells of the claim or a handler starts. Giving the claim back, or settling it, sees to it by itself.
  package let adoption: Adoption?
  private let syscalls: any SpoolSyscalls

  init(
    id: String, twinOf: String?, fd: Int32, content: Result<Job, JobProblem>, uid: UInt32, firstSeen: WallTime,
    size: Int, sha256: String, isSealed: Bool = false, adoption: Adoption? = nil, syscalls: any SpoolSyscalls
  ) {
    self.id = id
    self.twinOf = twinOf
    self.fd = fd
    self.content = content
    self.uid = uid
    self.firstSeen = firstSeen
    self.size = size
    self.sha256 = sha256
    self.isSealed = isSealed
    self.adoption = adoption
    self.syscalls = syscalls
  }

  deinit {
    if fd >= 0 { syscalls.close(fd) }
  }
}

/// The end of a claim on its way to the disk. Each step may be repeated: what a full disk stopped is tried again later.
///
///     write    the record into the file in cur/         torn by a crash: the audit line completes it
///     note     the audit line, into the log's memory
///     (flush and sync of the log, one for all that settle now)
///     publish  the rename: at that instant the end is visible, and it is durable
package final class Settlement {
  package let id: String
  package let transition: Transition
  package let record: JobRecord
  package let recordJSON: [UInt8]
  let claim: Claim
  /// The file goes to `dead/ID.bad` whole, and a new object with only the record stands for it.
  let isWhole: Bool
  /// From submission to end, as the handler promises; its line then says whether that was kept.
  package var sla: Duration?
  package internal(set) var isWritten = false
  package internal(set) var isNoted = false
  /// What somebody did to the file in `cur/` while the job ran, so that it was put right for this end; nil: nothing.
  package internal(set) var harm: String?
  /// The file was written anew from memory.
  var isRebuilt = false
  /// Part of the record may be in the file.
  var isBegun = false

  /// Takes the claim: from here on there is one way out.
  ///
  /// - Parameter whole: move the file to `dead/ID.bad` as it is although it can be read (a forged record, say); what the
  ///   scanner refused always goes whole.
  package init(_ claim: consuming Claim, _ transition: Transition, _ record: JobRecord, whole: Bool = false) {
    id = claim.id
    self.transition = transition
    self.record = record
    recordJSON = record.json
    if case .failure = claim.content {
      isWhole = true
    } else {
      isWhole = whole
    }
    self.claim = claim
  }

  /// A record too large for its audit line must be durable in the file before the line with its hash is written.
  package var needsFileSync: Bool {
    recordJSON.count > Limits.recordInAuditLine && transition != .discardTwin && !isWhole
  }

  /// Whether nothing but `EndMoves.finish` is left to do once its line is durable.
  package var onlyMoves: Bool { transition == .finish && !isWhole }

  /// The job, when its file could be read.
  package var job: Job? { try? claim.content.get() }

  package var fileDescriptor: Int32 { claim.fd }

  /// The copy that has to come to its place before anything is written into it; nil: it has, or there is none.
  package var adoption: Adoption? { claim.adoption.flatMap { $0.isPlaced ? nil : $0 } }
}
