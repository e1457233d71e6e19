/// `backup.json` in a backup: when it was taken, of what, and which moment of the audit log it stands for. It is written
/// last, so a folder without it is an unfinished backup.
package import JobModel

package struct BackupManifest: Sendable, Equatable {
  package static let name = "backup.json"
  static let version = 1

  package var program: String
  package var node: String
  /// The spool it was taken of.
  package var spool: String
  package var startedAt: WallTime
  package var endedAt: WallTime
  /// The log when it began, and the moment it stands for: lines beyond are cut off by a restore.
  package var began: LogMark
  package var log: LogMark
  /// Jobs whose files were copied after that moment, so that they may be ahead of the log.
  package var late: [String]
  /// Jobs that the log knows at that moment and that were removed before they could be copied.
  package var removed: [String]
  /// Files of jobs in it, by folder.
  package var jobs: [String: Int]
  package var hasSecrets: Bool
  /// Where the configuration came from when that was not the spool; then it is in the folder `config` of the backup.
  package var configFolder: String?

  package init(program: String, node: String, spool: String, startedAt: WallTime) {
    self.program = program
    self.node = node
    self.spool = spool
    self.startedAt = startedAt
    endedAt = startedAt
    began = LogMark()
    log = LogMark()
    late = []
    removed = []
    jobs = [:]
    hasSecrets = false
  }

  package var json: [UInt8] {
    var writer = JSONWriter(reserving: 1024)
    writer.beginObject()
    writer.key("v")
    writer.int(BackupManifest.version)
    writer.key("program")
    writer.string(program)
    writer.key("node")
    writer.string(node)
    writer.key("spool")
    writer.string(spool)
    writer.key("started_at")
    writer.time(startedAt)
    writer.key("ended_at")
    writer.time(endedAt)
    for (key, sizes) in [("log_began", began.sizes), ("log", log.sizes), ("jobs", jobs)] {
      writer.key(escaping: key)
      writer.beginObject()
      for (name, size) in sizes.sorted(by: { $0.key < $1.key }) {
        writer.key(escaping: name)
        writer.int(size)
      }
      writer.endObject()
    }
    for (key, ids) in [("late", late), ("removed", removed)] {
      writer.key(escaping: key)
      writer.beginArray()
      for id in ids { writer.string(id) }
      writer.endArray()
    }
    writer.key("secrets")
    writer.bool(hasSecrets)
    if let configFolder {
      writer.key("config_folder")
      writer.string(configFolder)
    }
    writer.endObject()
    return writer.bytes
  }

  /// - Throws: `damaged` when the text is none, or of a version that this program does not know.
  package init(_ json: [UInt8], path: String) throws(SpoolError) {
    guard let value = try? JSONReader.parse(json), let version = value["v"]?.int else {
      throw SpoolError(.damaged, "is no description of a backup", path: path)
    }
    guard version == BackupManifest.version else {
      throw SpoolError(
        .damaged, "is of version \(version), which this jobspool does not know; use a newer one", path: path)
    }
    func time(_ key: String) -> WallTime {
      value[key]?.string.flatMap { WallTime(rfc3339: $0) } ?? WallTime(seconds: 0)
    }
    func sizes(_ key: String) -> [String: Int] {
      var sizes: [String: Int] = [:]
      for member in value[key]?.members ?? [] { sizes[member.key] = member.value.int }
      return sizes
    }
    self.init(
      program: value["program"]?.string ?? "", node: value["node"]?.string ?? "", spool: value["spool"]?.string ?? "",
      startedAt: time("started_at"))
    endedAt = time("ended_at")
    began = LogMark(sizes: sizes("log_began"))
    log = LogMark(sizes: sizes("log"))
    jobs = sizes("jobs")
    late = (value["late"]?.array ?? []).compactMap(\.string)
    removed = (value["removed"]?.array ?? []).compactMap(\.string)
    hasSecrets = value["secrets"]?.bool ?? false
    configFolder = value["config_folder"]?.string
  }
}
