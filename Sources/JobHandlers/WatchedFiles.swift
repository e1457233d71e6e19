internal import CSpoolShims
internal import Glibc
internal import JobModel

/// The files a worker type's `watch` patterns match (glob(7), relative to the handler file's folder), and whether they
/// changed. Looked at when a job comes in, and not more often than every two seconds: an idle spool looks at nothing.
struct WatchedFiles {
  private static let pause = Duration.seconds(2)
  /// Files of one pattern; more would make the look a burden.
  private static let most = 10_000

  private struct Face: Equatable {
    var path: String
    var inode: UInt
    var size: Int
    var changed: timespec

    static func == (one: Face, other: Face) -> Bool {
      one.path == other.path && one.inode == other.inode && one.size == other.size
        && one.changed.tv_sec == other.changed.tv_sec && one.changed.tv_nsec == other.changed.tv_nsec
    }
  }

  private let patterns: [String]
  private var faces: [Face]?
  private var looked = Duration.zero

  init(_ settings: HandlerSettings) {
    let folder = settings.file.lastIndex(of: "/").map { String(settings.file[..<$0]) } ?? "."
    patterns = settings.watch.map { $0.hasPrefix("/") ? $0 : "\(folder)/\($0)" }
  }

  /// Whether anything was changed, added or removed since the last look. The first look only takes notice.
  mutating func haveChanged(_ now: Duration) -> Bool {
    guard !patterns.isEmpty, faces == nil || now - looked >= WatchedFiles.pause else { return false }
    looked = now
    let found = patterns.flatMap(WatchedFiles.match)
    defer { faces = found }
    return faces != nil && faces != found
  }

  private static func match(_ pattern: String) -> [Face] {
    var matches = glob_t()
    defer { globfree(&matches) }
    guard glob(pattern, 0, nil, &matches) == 0 else { return [] }
    return (0..<min(Int(matches.gl_pathc), most)).compactMap { index in
      var status = stat()
      guard let path = matches.gl_pathv[index], stat(path, &status) == 0 else { return nil }
      return Face(path: String(cString: path), inode: status.st_ino, size: status.st_size, changed: status.st_mtim)
    }
  }
}
