/// The daemon that started this program holds the other end of a pipe. When it closes, the daemon has gone, however that came
/// about, and this program ends within a second too.
internal import Glibc

enum Lifeline {
  /// What requests get to finish.
  private static let grace: UInt32 = 700_000

  static func watch(_ fd: Int32) {
    _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
    var thread = pthread_t()
    let made = pthread_create(
      &thread, nil,
      { argument in
        let fd = Int32(Int(bitPattern: argument))
        var byte: UInt8 = 0
        // Nobody writes to it: a read returns when it is closed.
        while true {
          let count = read(fd, &byte, 1)
          if count == 0 || (count < 0 && errno != EINTR) { break }
        }
        kill(getpid(), SIGTERM)
        usleep(Lifeline.grace)
        _exit(0)
      }, UnsafeMutableRawPointer(bitPattern: Int(fd)))
    if made == 0 { pthread_detach(thread) }
  }
}
