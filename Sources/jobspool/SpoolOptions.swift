/// What every command takes: which spool, which configuration, and whether a person or a program reads the answer.
internal import ArgumentParser
internal import CSpoolShims
internal import Glibc
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

struct SpoolOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The spool.", valueName: "dir"))
  var spool: String?

  @Option(help: ArgumentHelp("The configuration, when the daemon was given one.", valueName: "file"))
  var config: String?

  @Flag(help: "Answer in JSON.")
  var json = false

  /// The first of --spool, $JOBSPOOL_DIR, ./spool, /var/spool/jobspool; the latter two only if they are there.
  var path: String {
    if let spool { return spool }
    if let path = Console.environment("JOBSPOOL_DIR"), !path.isEmpty { return path }
    return access("spool/new", F_OK) == 0 ? "spool" : "/var/spool/jobspool"
  }

  func open() throws -> Spool {
    do throws(SpoolError) { return try Spool(path) } catch {
      guard error.code == .noSpool, spool == nil, Console.environment("JOBSPOOL_DIR") == nil else { throw error }
      let remedy = "name one with --spool or $JOBSPOOL_DIR, or make one with 'jobspool init spool'"
      throw Failure("there is no spool here (./spool, /var/spool/jobspool): \(remedy)", exit: 66)
    }
  }

  func configuration(of spool: Spool) -> Configuration { Configuration.load(spool: spool.path, config: config) }

  func reader() throws -> SpoolReader {
    let spool = try open()
    return SpoolReader(spool, configuration: configuration(of: spool), now: .current)
  }
}

extension WallTime {
  /// Now.
  static var current: WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  /// A moment given on the command line: RFC 3339, a UTC day, or so long ago (`2h`).
  init?(argument text: String, now: WallTime) {
    if let time = WallTime(rfc3339: text) ?? WallTime(rfc3339: "\(text)T00:00:00Z") {
      self = time
    } else if let duration = DurationText.parse(text) {
      self = WallTime(microseconds: max(now.microseconds - duration.inMicroseconds, 0))
    } else {
      return nil
    }
  }

  /// How long before `now`, in its largest unit.
  func age(_ now: WallTime) -> String { Age.text(now - self) }
}

enum Age {
  /// `3s`, `12m`, `5h`, `9d`; below a second milliseconds.
  static func text(_ duration: Duration) -> String {
    let milliseconds = max(duration.inMilliseconds, 0)
    switch milliseconds {
    case ..<1000: return "\(milliseconds)ms"
    case ..<10_000: return "\(milliseconds / 1000).\(milliseconds / 100 % 10)s"
    case ..<120_000: return "\(milliseconds / 1000)s"
    case ..<7_200_000: return "\(milliseconds / 60_000)m"
    case ..<172_800_000: return "\(milliseconds / 3_600_000)h"
    default: return "\(milliseconds / 86_400_000)d"
    }
  }
}

enum Input {
  /// All of standard input, or of a file.
  static func read(_ path: String?) throws -> [UInt8] {
    var fd: Int32 = 0
    if let path {
      fd = spool_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
      guard fd >= 0 else { throw Failure("cannot read \(path): \(String(cString: strerror(errno)))", exit: 66) }
    }
    defer { if fd > 0 { close(fd) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(fd, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw Failure("cannot read \(path ?? "standard input"): \(String(cString: strerror(errno)))", exit: 66)
      }
      bytes += chunk[..<count]
    }
  }

  /// The lines of a text, without empty ones.
  static func lines(_ bytes: [UInt8]) -> [String] {
    bytes.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
      .map { line in String(line.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()) }
      .filter { !$0.isEmpty }
  }
}
