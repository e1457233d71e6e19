/// systemd's side of the daemon, by the protocol of sd_notify(3): ready, what it does just now, that it is alive, reloading,
/// stopping. One datagram each to the socket in the environment; without one, nothing happens.
internal import CSpoolShims
internal import Glibc
internal import JobEngine
internal import JobModel

final class ServiceManager {
  private let socket: String
  private let loop: EventLoop
  /// Half of what the manager allows between two signs of life; nil: it does not watch.
  private let pulse: Duration?
  private var lastStatus = ""
  private var isStopping = false

  /// How much longer a stop may take, counted from the moment it is said; said again long before that is over.
  private static let moreTime = Duration.seconds(30)

  /// nil when nobody wants to know.
  init?(_ loop: EventLoop) {
    guard let path = ServiceManager.environment("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@") else {
      return nil
    }
    socket = path
    self.loop = loop
    // The watchdog may be meant for another process of the unit.
    let isOurs = ServiceManager.environment("WATCHDOG_PID").map { $0 == "\(getpid())" } ?? true
    let limit = ServiceManager.environment("WATCHDOG_USEC").flatMap(Int64.init)
    pulse = isOurs ? limit.flatMap { $0 > 0 ? .microseconds(max($0 / 2, 1000)) : nil } : nil
  }

  private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// The queue is open. From here on the loop, which does all the work, also gives the signs of life.
  func ready() {
    send("READY=1")
    beat()
  }

  func hear(_ news: DaemonNews) {
    switch news {
    case .counts(let running, let waiting, let state, let alerts):
      var status = "\(running) running, \(waiting) waiting"
      if state == "low_disk" { status += "; nothing is started, the disk is full" }
      if state == "draining" { status += "; stopping" }
      if alerts > 0 { status += "; \(alerts) \(alerts == 1 ? "alert" : "alerts"), see jobspool stats" }
      guard status != lastStatus else { return }
      lastStatus = status
      send("STATUS=\(status)")
    case .reloading:
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      send("RELOADING=1\nMONOTONIC_USEC=\(Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)")
    case .reloaded:
      // A reload during a stop must not look like a start.
      if !isStopping { send("READY=1") }
    case .stopping:
      guard !isStopping else { return }
      isStopping = true
      send("STOPPING=1")
      askForTime()
    }
  }

  private func beat() {
    guard let pulse else { return }
    send("WATCHDOG=1")
    loop.after(pulse) { [unowned self] in beat() }
  }

  /// `drain` and `grace` may be longer than the unit's TimeoutStopSec. A daemon that hangs says nothing and is ended.
  private func askForTime() {
    send("EXTEND_TIMEOUT_USEC=\(ServiceManager.moreTime.inMicroseconds)")
    loop.after(ServiceManager.moreTime / 3) { [unowned self] in askForTime() }
  }

  private func send(_ text: String) {
    // Nobody to tell it to: the manager restarts, or the socket is another's. Work goes on.
    var text = text
    text.withUTF8 { _ = spool_send_datagram(socket, $0.baseAddress, $0.count) }
  }
}
