/// `/v1/system`: the programs and what is under them, the head of the audit log, and what is wrong in the configuration.
internal import Glibc
internal import Hummingbird
internal import JobModel
internal import SpoolConfig
internal import SpoolHistory
internal import SpoolStore

enum SystemRoutes {
  static let all: [Route] = [
    Route(
      .get, "/v1/system", .read,
      Operation(
        "getSystem", "The programs, disk, memory, audit log, configuration problems.",
        answers: [(200, "They.", [.ref("System")])])
    ) { call in
      try call.query.expect([])
      let clients = call.state.events.clientCount
      let bytes = try await call.read { reader in try document(reader, clients: clients) }
      return call.json(.ok, bytes)
    }
  ]

  private static func document(_ reader: SpoolReader, clients: Int) throws -> [UInt8] {
    var writer = JSONWriter(reserving: 2048)
    writer.beginObject()
    writer.key("node")
    writer.string(reader.status?.node ?? reader.holder?.node ?? "")
    writer.key("version")
    writer.string(jobspoolVersion)
    writer.key("web")
    writer.beginObject()
    writer.key("pid")
    writer.int(getpid())
    writer.key("version")
    writer.string(jobspoolVersion)
    writer.endObject()
    writer.key("daemon")
    writer.beginObject()
    writer.key("running")
    writer.bool(reader.hasDaemon)
    if let status = reader.status {
      writer.key("pid")
      writer.int(status.pid)
      writer.key("version")
      writer.string(status.version)
    }
    writer.endObject()
    let space = try FreeSpace(reader.spool)
    writer.key("disk")
    writer.beginObject()
    for (key, value) in [
      ("free_bytes", space.bytes), ("total_bytes", space.totalBytes), ("free_inodes", space.inodes),
      ("total_inodes", space.totalInodes),
    ] {
      writer.key(escaping: key)
      writer.int(value)
    }
    writer.endObject()
    writer.key("memory")
    writer.beginObject()
    writer.key("web_bytes")
    writer.int(resident("self") ?? 0)
    if let daemon = reader.status.flatMap({ resident("\($0.pid)") }) {
      writer.key("daemon_bytes")
      writer.int(daemon)
    }
    writer.endObject()
    try writeHead(reader, &writer)
    writer.key("clients")
    writer.int(clients)
    writer.key("configuration_problems")
    writer.beginArray()
    for problem in reader.configuration?.problems ?? [] { writer.string(problem.description) }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  /// The newest line: its number, its time, and the hash that the next one will carry.
  private static func writeHead(_ reader: SpoolReader, _ writer: inout JSONWriter) throws {
    var tail = AuditTail(reader.spool)
    guard let line = try tail.last(1).first, let value = try? JSONReader.parse(line) else { return }
    writer.key("audit")
    writer.beginObject()
    if let number = value["seq"]?.int {
      writer.key("seq")
      writer.int(number)
    }
    if let time = value["ts"]?.string {
      writer.key("at")
      writer.string(time)
    }
    writer.key("head")
    writer.string(Digest.sha256(line))
    writer.endObject()
  }

  /// Bytes in memory; nil when that may not be read.
  private static func resident(_ process: String) -> Int? {
    guard let file = fopen("/proc/\(process)/statm", "re") else { return nil }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 128)
    guard fgets(&text, 128, file) != nil else { return nil }
    let words = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
      separator: " ")
    return words.count > 1 ? Int(words[1]).map { $0 * Int(sysconf(Int32(_SC_PAGESIZE))) } : nil
  }
}
