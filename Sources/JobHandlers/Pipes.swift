internal import CSpoolShims
internal import Glibc
internal import JobEngine

/// The pipes between the daemon and one handler process: standard input, output, error and, for one in `exec` mode, the
/// control lines on descriptor 3. The child's ends block, as programs expect, and so do the daemon's until `neverBlock`.
struct Pipes {
  /// Our ends; -1 once closed.
  var input: Int32 = -1
  var output: Int32 = -1
  var errors: Int32 = -1
  var control: Int32 = -1
  /// The child's ends, in the order of its descriptors 0 to 3.
  private(set) var childEnds: [Int32] = []

  /// Throws `.busy` when no descriptors are left; nothing stays open then.
  init(control hasControl: Bool = true) throws(StartProblem) {
    do throws(StartProblem) {
      input = try open(childReads: true)
      output = try open(childReads: false)
      errors = try open(childReads: false)
      if hasControl { control = try open(childReads: false) } else { childEnds.append(-1) }
    } catch {
      closeAll()
      throw error
    }
  }

  private mutating func open(childReads: Bool) throws(StartProblem) -> Int32 {
    var ends: [Int32] = [-1, -1]
    guard spool_pipe(&ends) == 0 else {
      throw StartProblem(
        .busy, "cannot open a pipe to a handler: \(String(cString: strerror(errno))); raise LimitNOFILE if this stays")
    }
    childEnds.append(childReads ? ends[0] : ends[1])
    return childReads ? ends[1] : ends[0]
  }

  /// What a new pipe takes without blocking: a page, to which the kernel cuts it down for a user with many (pipe(7)).
  static let holdsAtOnce = 4096

  /// To be called before an end is written to that may be full, or read from that may be empty.
  func neverBlock() {
    for end in [input, output, errors, control] where end >= 0 { _ = spool_set_nonblocking(end) }
  }

  /// After the start: the child has its own copies, and only without ours does the end of the child end the streams.
  mutating func closeChildEnds() {
    for end in childEnds where end >= 0 { close(end) }
    childEnds = []
  }

  mutating func closeAll() {
    closeChildEnds()
    for end in [input, output, errors, control] where end >= 0 { close(end) }
    (input, output, errors, control) = (-1, -1, -1, -1)
  }
}
