/// How the daemon before us ended, by what the log says.
internal import Glibc
internal import JobModel

package struct PreviousRun: Sendable {
  /// It stopped in order, or there was none.
  package private(set) var wasClean = true
  /// The machine itself went down with it at work: the disk may lack what was written last, in any order.
  package private(set) var hadPowerCut = false

  /// Which run of the kernel this is (random(4)); "unknown" where it does not say.
  package static let bootID: String = {
    let fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
    guard fd >= 0 else { return "unknown" }
    defer { close(fd) }
    let text = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
      count = max(0, read(fd, buffer.baseAddress, 64))
    }
    return String(decoding: text.prefix { $0 > 0x20 }, as: UTF8.self)
  }()

  init() {}

  /// A start of this boot that did not get through its recovery does not count: the one before it is still to be made good.
  init(_ files: [AuditFile], in spool: Spool) throws(SpoolError) {
    var last: AuditEvent?
    var boot: String?
    var isSettled = false
    var hasStartedBefore = false
    var wasAtWork = false
    for file in files.reversed() where boot == nil {
      try MappedFile(file.name, in: spool).linesBackwards { line in
        guard let event = AuditLineHead(line)?.event else { return true }
        last = last ?? event
        guard last != .daemonStopped else { return false }
        if event == .recovered || event == .daemonStopped {
          isSettled = true
          if hasStartedBefore { boot = PreviousRun.bootID }
          return boot == nil
        }
        guard event == .daemonStarted else {
          // Jobs may be submitted before the first daemon; all else tells of one.
          if event != .submitted { wasAtWork = true }
          return true
        }
        let began = (try? JSONReader.parse(Array(line)))?["boot"]?.string ?? ""
        hasStartedBefore = began == PreviousRun.bootID && !isSettled
        if !hasStartedBefore { boot = began }
        wasAtWork = false
        return boot == nil
      }
      guard last != .daemonStopped else { return }
    }
    // The log begins with this boot, so no other has been at work here.
    if boot == nil, hasStartedBefore, !wasAtWork { boot = PreviousRun.bootID }
    wasClean = last == nil
    hadPowerCut = !wasClean && boot != PreviousRun.bootID
  }
}
